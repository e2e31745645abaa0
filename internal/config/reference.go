package config

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
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
		fmt.Fprintf(&out, "\n## %s\n", g.title)
		for _, s := range g.settings {
			s.write(&out)
		}
	}
	out.WriteString(referenceEnd)
	return out.Bytes()
}

// write writes the section of the setting.
func (s setting) write(out *bytes.Buffer) {
	fmt.Fprintf(out, "\n### `--%s`\n\n%s\n\n", s.name, Sentence(s.usage))
	takes := s.value.Allowed()
	if _, many := s.value.(repeatable); many {
		takes += "; can be given several times"
	}
	fmt.Fprintf(out, "- Value: %s\n- Default: %s\n- Variable: `%s`\n- Commands: `%s`\n",
		takes, s.defaultText(), envName(s.name), strings.Join(s.cmds.names(), "`, `"))
}

// defaultText is the default as the page shows it.
func (s setting) defaultText() string {
	switch text := s.shownDefault(); {
	case s.name == "namespace":
		return "[below](#namespaces)"
	case text != "":
		return "`" + text + "`"
	case s.value.Type() == "":
		return "`false`"
	}
	return "none"
}

// Sentence gives text a capital letter and a full stop.
func Sentence(text string) string {
	for i, r := range text {
		text = string(unicode.ToUpper(r)) + text[i+utf8.RuneLen(r):]
		break
	}
	return strings.TrimSuffix(text, ".") + "."
}

const referenceTop = `# Configuration

<!-- Generated from internal/config by: go test ./internal/config -run TestReference -update -->

For operators: every setting of ` + "`tidegate serve`, `tidegate gateway` and `tidegate backend`" + `, with its default,
its variable and its bounds. The other commands are on [their own page](cli.md).

Each setting has one name, which is

- a flag: ` + "`--heartbeat 15s` or `--heartbeat=15s`" + `; a switch is ` + "`--replace` or `--replace=false`" + `,
- an environment variable: ` + "`TIDEGATE_HEARTBEAT=15s`" + `,
- a key of the YAML file that ` + "`--config` (or `TIDEGATE_CONFIG`)" + ` names: ` + "`heartbeat: 15s`" + `.

A flag beats the environment, the environment beats the file, the file beats the default. Some settings
can be given several times: repeat the flag, give a list in the file, or separate values by ` + "`;`" + ` in the
variable. The values of one source replace all values of a lower source.

Durations are written ` + "`300ms`, `15s`, `1h30m`" + `. Sizes are bytes: ` + "`1048576`, `1MiB`, `512KiB` (1024) or `1MB`" + ` (1000).

` + "```yaml\n%s```" + `

**Errors.** An unknown flag, key or ` + "`TIDEGATE_` variable" + `, a key given twice and a value that is not allowed are
errors. The program reports all of them at once, each with its source (file and line), and ends with exit code 2.
A setting of another command is an error as a flag. In the file or the environment, which several processes can
share, it is checked, logged as a warning, and not used.

**Effective configuration.** ` + "`tidegate config print gateway`" + ` shows the settings of a command (without a name: of
serve) and where each value comes from.

**Secrets.** ` + "`config print`" + ` shows them as ` + "`<set>`" + `. Give them as environment variables, in the file, or as ` + "`file:PATH`" + `:
other users of the machine can read the flags of a process.
`

const referenceEnd = `
## Namespaces

The namespace of a topic is the part of its name before the first ` + "`:`" + `. It decides how much history each of its topics
keeps, and what a stream gets that attaches without a position of its own. The bound that is met first counts.

| Field | Meaning | ` + "`task` | `version` | `*`" + ` (all others) |
| --- | --- | --- | --- | --- |
| ` + "`events`" + ` | events kept, at least 1 | 10000 | 1 | 1000 |
| ` + "`bytes`" + ` | bytes kept, at least 1KiB | 16MiB | 1MiB | 4MiB |
| ` + "`age`" + ` | age at which an event is dropped; 0 is never | 24h | 0 | 1h |
| ` + "`replay`" + ` | ` + "`all`, `held`, `last` or `none`" + ` | all | last | held |

An entry changes only the fields that it names. A namespace without defaults of its own starts from ` + "`*`" + `.

- Flag: ` + "`--namespace chat=events:500,age:1h --namespace task=bytes:64MiB`" + `
- Variable: ` + "`TIDEGATE_NAMESPACE='chat=events:500,age:1h;task=bytes:64MiB'`" + `
- File: a map, as in the example above

` + "`--max-history` and `--max-topics`" + ` bound all namespaces together.

## Variables of the Node gateway

` + "`tidegate gateway`" + ` reads these variables of the gateway that it replaces where the variable on the right is absent. Empty
means absent. A bad value is an error.

| Variable | Allowed | In place of |
| --- | --- | --- |
| ` + "`PORT`" + ` | whole number from 1 to 65535 | ` + "`TIDEGATE_LISTEN=:PORT`" + ` |
| ` + "`CALLBACK_URL`" + ` | http or https URL without user and password | ` + "`TIDEGATE_CALLBACK_URL`" + ` |
| ` + "`HEARTBEAT_INTERVAL_SECONDS`" + ` | whole number from 1 to 86400 | ` + "`TIDEGATE_HEARTBEAT`" + ` |

## Kubernetes

For a service called ` + "`tidegate` or `tidegate-…`" + `, Kubernetes puts variables such as ` + "`TIDEGATE_SERVICE_HOST` and `TIDEGATE_PORT=tcp://…`" + ` into each
container of the namespace. Tidegate ignores them.
`
