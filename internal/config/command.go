package config

// commands is a set of the commands that have settings.
type commands uint8

const (
	serve commands = 1 << iota
	gateway
	backend

	streams = serve | gateway // those that hold streams
	tasks   = serve | backend // those that run tasks
	all     = serve | gateway | backend
)

// command describes a command that [Load] knows.
type command struct {
	name     string
	set      commands
	summary  string // to follow "tidegate gateway "
	about    string
	args     bool // whether it takes arguments that are not flags
	examples []string
}

// commandTable has every command that [Load] knows.
var commandTable = []command{
	{
		name: "serve", set: serve, summary: "runs gateway and backend in one process",
		about: `Clients open streams at /api/sse/ on the public listener. The API of tasks and versions is at /api/.
Callbacks stay inside the process, with a secret of their own, so nothing has to be configured.`,
		examples: []string{
			"tidegate serve",
			"tidegate serve --listen :443 --api-token file:token.txt --tls-cert cert.pem --tls-key key.pem",
			"tidegate serve --mode testing --listen 127.0.0.1:0 --log-format json",
		},
	},
	{
		name: "gateway", set: gateway, summary: "runs only the gateway, beside any backend",
		about: `The gateway asks the backend about each stream by a callback; the status of the answer decides. The backend
sends events with POST /internal/send to the internal listener.
If TIDEGATE_LISTEN, TIDEGATE_CALLBACK_URL or TIDEGATE_HEARTBEAT is not in the environment, the gateway reads
PORT, CALLBACK_URL or HEARTBEAT_INTERVAL_SECONDS instead.`,
		examples: []string{
			"tidegate gateway --callback-url http://127.0.0.1:8082/api/sse/callback",
			"TIDEGATE_CALLBACK_SECRET=… tidegate gateway --config gateway.yaml",
			"PORT=3000 CALLBACK_URL=http://127.0.0.1:5000/cb tidegate gateway --internal-listen shared --internal-open",
			"tidegate gateway --namespace chat=events:500,age:1h,replay:all",
		},
	},
	{
		name: "backend", set: backend, summary: "runs only the backend: callback endpoint, tasks and versions",
		about: `It answers the callbacks of a gateway and sends events to that gateway's internal listener.`,
		examples: []string{
			"TIDEGATE_CALLBACK_SECRET=… tidegate backend --gateway-url http://127.0.0.1:8081",
			"tidegate backend --mode development",
		},
	},
	{
		name: "config", set: all, args: true, summary: "prints the effective configuration with the source of each value, or checks it",
		about: `print shows the settings of a command: serve (the default), gateway or backend. check reports mistakes in
the settings of a command or, without its name, of all commands. Secrets are shown as ` + hidden + `.`,
		examples: []string{
			"tidegate config print gateway",
			"tidegate config print serve --config tidegate.yaml",
		},
	},
}

// lookUp panics on the name of a command that is not in the table: only code chooses it.
func lookUp(name string) command {
	for _, c := range commandTable {
		if c.name == name {
			return c
		}
	}
	panic("config: no command " + name)
}

// names lists the commands of the set, for people.
func (s commands) names() []string {
	var names []string
	for _, c := range commandTable {
		if c.set&s != 0 && c.set != all {
			names = append(names, c.name)
		}
	}
	return names
}

// Manual describes a command that [Load] knows, for the page of all commands.
type Manual struct {
	Summary  string // to follow "tidegate gateway "
	About    string
	Usage    string
	Examples []string
}

// ManualOf describes the command. It panics on the name of a command that Load does not know.
func ManualOf(name string) Manual {
	c := lookUp(name)
	return Manual{Summary: c.summary, About: c.about, Usage: c.usage(), Examples: c.examples}
}

// usage is the line that says how the command is called.
func (c command) usage() string {
	if c.args {
		return "tidegate " + c.name + " print|check [serve|gateway|backend] [--flag value …]"
	}
	return "tidegate " + c.name + " [--flag value …]"
}
