package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"tidegate/internal/access"
	"tidegate/internal/bench"
	"tidegate/internal/config"
)

const benchHelp = `Usage: tidegate bench [MODE…] [--flag value …]

Measures a gateway from outside: one that it starts itself, from this program or
--binary, or with --public and --internal any that runs already and calls the
backend that bench is, see --callback-listen. Every run checks that each event
came once, in order and to the right stream.

Modes (default: all):
`

const benchExamples = `
Examples:
  tidegate bench
  tidegate bench idle --streams 19000 --first 5000 --settle 60s --runs 5
  tidegate bench fanout unicast --json
  tidegate bench fanout --protocol h2
  tidegate bench all --limit ./limit --svg figures.svg
  tidegate bench --public http://127.0.0.1:3000 --internal http://127.0.0.1:3001 \
      --callback-listen 127.0.0.1:9099 --pid 4711

Exit codes: 0 when all was measured and delivered; 1 when something was lost or
broke; 2 for a mistake in the call.
`

type benchFlags struct{ bench.Options }

func (f *benchFlags) set() *pflag.FlagSet {
	fs := pflag.NewFlagSet("bench", pflag.ContinueOnError)
	f.AddFlags(fs)
	return fs
}

func measure(ctx context.Context, sys System) error {
	if bench.IsClient(sys.Args, sys.Env) {
		return bench.RunClient(sys.Args, sys.Stdin, sys.Stdout)
	}
	var f benchFlags
	fs := f.set()
	modes, err := config.Parse(fs, "bench", sys.Args, sys.Env)
	if errors.Is(err, config.ErrHelp) {
		return commandHelp(sys.Stdout, fs, benchHead(), benchExamples)
	}
	if secret, wrong := access.ClientSecret(f.InternalSecret); wrong != nil {
		err = errors.Join(err, usagef("bench: --internal-secret: %v", wrong))
	} else {
		f.InternalSecret = secret
	}
	f.Modes = modes
	// A flag that could not be read has its default, so that both errors are told.
	if wrong := f.Check(); wrong != nil {
		lines := strings.ReplaceAll(wrong.Error(), "\n", "\ntidegate: bench: ")
		err = errors.Join(err, usagef("bench: %s", lines))
	}
	if err != nil {
		return err
	}
	if f.Self, err = os.Executable(); err != nil {
		return fmt.Errorf("bench: find this program: %w", err)
	}
	return bench.Run(ctx, f.Options, sys.Stdout, sys.Stderr)
}

// benchHead is the help up to the flags.
func benchHead() string {
	var b strings.Builder
	b.WriteString(benchHelp)
	for _, m := range bench.Modes() {
		fmt.Fprintf(&b, "  %-10s %s\n", m.Name, m.Summary)
	}
	b.WriteString("\nFlags:\n")
	return b.String()
}
