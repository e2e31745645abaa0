package config

import (
	"bytes"
	"fmt"
	"strings"
)

// exampleFile is the file of the reference page. A test loads it.
const exampleFile = `# tidegate gateway --config gateway.yaml
listen: :8080
callback-url: http://127.0.0.1:8082/api/sse/callback
heartbeat: 25s
max-pending: 4MiB
cors-origin: [https://example.org, https://app.example.org]
namespace:
  chat: {events: 500, age: 1h, replay: all}
  "*": {bytes: 256KiB}
`

// Reference returns docs/reference/configuration.md.
func Reference() []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, referenceTop, exampleFile)
	for _, g := range new(Config).bind("config") {
		fmt.Fprintf(&out, "\n## %s\n\n", g.title)
		out.WriteString("| Setting | Default | Meaning | Commands |\n| --- | --- | --- | --- |\n")
		for _, s := range g.settings {
			out.WriteString(s.row())
		}
	}
	out.WriteString(referenceEnd)
	return out.Bytes()
}

// row is the line of the setting in the table of its group.
func (s setting) row() string {
	name := strings.TrimSpace("--" + s.name + " " + s.value.Type())
	def := s.shownDefault()
	switch {
	case s.name == "namespace":
		def = "[below](#namespaces)"
	case def != "":
		def = "`" + def + "`"
	case s.value.Type() == "":
		def = "`false`"
	}
	cells := []string{
		"`" + name + "`<br>`" + envName(s.name) + "`",
		def,
		strings.ToUpper(s.usage[:1]) + s.usage[1:] + ".<br>Takes " + s.value.Allowed() + ".",
		strings.Join(s.cmds.names(), ", "),
	}
	for i, c := range cells {
		cells[i] = strings.ReplaceAll(c, "|", `\|`)
	}
	return "| " + strings.Join(cells, " | ") + " |\n"
}

const referenceTop = `# Configuration

<!-- Made from internal/config by: go test ./internal/config -run TestReference -update -->

Every setting of ` + "`tidegate serve`, `tidegate gateway` and `tidegate backend`" + ` has one name, which is

- a flag: ` + "`--heartbeat 15s` or `--heartbeat=15s`" + `; a switch is ` + "`--replace` or `--replace=false`" + `,
- an environment variable: ` + "`TIDEGATE_HEARTBEAT=15s`" + `,
- a key of the YAML file that ` + "`--config` (or `TIDEGATE_CONFIG`)" + ` names: ` + "`heartbeat: 15s`" + `.

A flag beats the environment, the environment beats the file, the file beats the default. Settings that may be given several
times (their flag repeated, a list in the file, separated by ` + "`;`" + ` in the environment) replace, as a whole, what a lower source gives.

Nothing is guessed: an unknown flag, key or ` + "`TIDEGATE_` variable" + `, a key given twice and a value that is not allowed are errors. All errors
are reported at once, each with its source (file and line), and the program ends with exit code 2. A setting of another command is
an error as a flag; in the file or the environment, which several processes may share, it is checked, not used, and logged as a warning.

Durations are written ` + "`300ms`, `15s`, `1h30m`" + `; sizes are bytes, ` + "`1048576`, `1MiB`, `512KiB` (1024) or `1MB`" + ` (1000).

` + "`tidegate config print gateway`" + ` shows the effective configuration of a command (without a name: of serve) and where each value comes from. Secrets are shown as ` + "`<set>`" + `.
Give them as environment variables or in the file: other users of the machine can read the flags of a process.

` + "```yaml\n%s```\n"

const referenceEnd = `
## Namespaces

The namespace of a topic is the part of its name before the first ` + "`:`" + `. It says how much history each of its topics keeps, whichever
bound is met first, and what a stream is sent that attaches without a position of its own.

| Field | Meaning | ` + "`task` | `version` | `*`" + ` (all others) |
| --- | --- | --- | --- | --- |
| ` + "`events`" + ` | events kept, at least 1 | 10000 | 1 | 1000 |
| ` + "`bytes`" + ` | bytes kept, at least 1KiB | 16MiB | 1MiB | 4MiB |
| ` + "`age`" + ` | age at which an event is dropped; 0 is never | 24h | 0 | 1h |
| ` + "`replay`" + ` | ` + "`all`, `held`, `last` or `none`" + ` | all | last | held |

An entry changes only the fields that it names: ` + "`--namespace chat=events:500,age:1h --namespace task=bytes:64MiB`" + `, in the environment
` + "`TIDEGATE_NAMESPACE='chat=events:500,age:1h;task=bytes:64MiB'`" + `, in the file a map as above. A namespace without defaults of its own starts
from ` + "`*`" + `. ` + "`--max-history` and `--max-topics`" + ` bound all namespaces together.

## Variables of the gateway that Tidegate replaces

` + "`tidegate gateway`" + ` reads them where the variable on the right is absent. Empty means absent. A bad value is an error.

| Variable | Allowed | In place of |
| --- | --- | --- |
| ` + "`PORT`" + ` | whole number from 1 to 65535 | ` + "`TIDEGATE_LISTEN=:PORT`" + ` |
| ` + "`CALLBACK_URL`" + ` | http or https URL without user and password | ` + "`TIDEGATE_CALLBACK_URL`" + ` |
| ` + "`HEARTBEAT_INTERVAL_SECONDS`" + ` | whole number from 1 to 86400 | ` + "`TIDEGATE_HEARTBEAT`" + ` |

## Kubernetes

For a service called ` + "`tidegate` or `tidegate-…`" + ` Kubernetes puts variables such as ` + "`TIDEGATE_SERVICE_HOST` and `TIDEGATE_PORT=tcp://…`" + ` into each container
of the namespace. They are ignored.
`
