// Package cli is the command line. Each command has a file.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"tidegate/internal/config"
	"tidegate/internal/terminal"
)

// Exit codes.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

// System is the environment of a command.
type System struct {
	Args   []string
	Env    []string // as of os.Environ
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
}

// command is a command of the program: the word after "tidegate".
type command struct {
	name    string
	summary string
	run     func(ctx context.Context, sys System) error // sys.Args are those after the name
	manual  func() manual                               // nil for the commands that config describes
}

// commands are in the order in which help shows them.
func commands() []command {
	return []command{
		{"serve", "gateway, backend and page in one process: the quickest start", server("serve"), nil},
		{"gateway", "only the gateway, beside any backend", server("gateway"), nil},
		{"backend", "only the backend: callback endpoint, tasks, versions", server("backend"), nil},
		{"listen", "print the events of a stream as they come", listen, listenManual},
		{"send", "send an event to a stream or a topic", send, sendManual},
		{"bench", "measure a gateway: memory, fan-out, sends, latency, slow clients", measure, benchManual},
		{"cluster", "show the storage that nodes share", clusterCommand, clusterManual},
		{"storage", "check, dump, export and import the events in a data folder", storageCommand, storageManual},
		{"config", "check or print the configuration", configure, nil},
		{"licenses", "print the licences of what this program is made of", printLicenses, licensesManual},
		{"version", "print the version", printVersion, versionManual},
	}
}

// Main runs the command in sys.Args and returns the exit code. If an output is a terminal, text of
// others cannot control it: see package terminal.
func Main(ctx context.Context, sys System) int {
	sys.Stdout, sys.Stderr = terminal.Guard(sys.Stdout), terminal.Guard(sys.Stderr)
	err := dispatch(ctx, sys)
	var usage *usageError
	var invalid *config.Error
	switch {
	case err == nil, errors.Is(err, config.ErrHelp):
		return exitOK
	case errors.As(err, &usage), errors.As(err, &invalid):
		fmt.Fprintln(sys.Stderr, err)
		return exitUsage
	default:
		fmt.Fprintln(sys.Stderr, "tidegate:", err)
		return exitError
	}
}

func dispatch(ctx context.Context, sys System) error {
	if len(sys.Args) == 0 {
		help(sys.Stderr)
		return usagef("no command given")
	}
	name := sys.Args[0]
	sys.Args = sys.Args[1:]
	switch name {
	case "help", "--help", "-h":
		if len(sys.Args) == 0 {
			help(sys.Stdout)
			return nil
		}
		name, sys.Args = sys.Args[0], []string{"--help"}
	case "--version":
		name = "version"
	}
	all := commands()
	i := slices.IndexFunc(all, func(c command) bool { return c.name == name })
	if i < 0 {
		return usagef("unknown command %q; tidegate --help lists them", name)
	}
	return all[i].run(ctx, sys)
}

func help(w io.Writer) {
	var b strings.Builder
	b.WriteString("Tidegate holds Server-Sent Events streams for web backends, and shows the progress\n" +
		"of background tasks in browsers without losing a line of it.\n\nUsage: tidegate COMMAND [--flag value …]\n\nCommands:\n")
	for _, c := range commands() {
		fmt.Fprintf(&b, "  %-9s %s\n", c.name, c.summary)
	}
	b.WriteString("\ntidegate COMMAND --help shows the flags and examples of a command.\n")
	_, _ = io.WriteString(w, b.String())
}

// usageError is a mistake in how the program was called.
type usageError struct{ text string }

func (e *usageError) Error() string { return "tidegate: " + e.text }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}
