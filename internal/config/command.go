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

// command is what help says of a command.
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
		about: `Streams are opened at /api/sse/ on the public listener, tasks and versions are driven at /api/.
Callbacks stay inside the process, with a secret of their own, so that nothing has to be configured.`,
		examples: []string{
			"tidegate serve",
			"tidegate serve --listen :443 --api-token file:token.txt --tls-cert cert.pem --tls-key key.pem",
			"tidegate serve --mode testing --listen 127.0.0.1:0 --log-format json",
		},
	},
	{
		name: "gateway", set: gateway, summary: "runs only the gateway, beside any backend",
		about: `Each stream is announced to the backend by a callback, whose status decides; events are sent with
POST /internal/send on the internal listener.
Where TIDEGATE_LISTEN, TIDEGATE_CALLBACK_URL and TIDEGATE_HEARTBEAT are absent from the environment, PORT,
CALLBACK_URL and HEARTBEAT_INTERVAL_SECONDS are read in their place.`,
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
		name: "config", set: all, args: true, summary: "print shows the effective configuration and where each value comes from",
		about: `print and check take the name of a command, serve, gateway or backend, and then its settings. Without a
name print is about serve, and check takes the settings of all commands. Secrets are shown as ` + hidden + `.`,
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
