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

func benchManual() manual {
	m := manual{
		usage: []string{"tidegate bench [MODE…] [--flag value …]"},
		about: `Measures a gateway from outside. It starts the gateway itself, from this program or
--binary. Or it measures one that runs already (--public and --internal) and that
sends its callbacks to bench (--callback-listen). Every run checks that each event
arrived once, in order and at the right stream.
`,
		wordsAre: "Modes (default: all)",
		flags:    new(benchFlags).set(),
		examples: []string{
			"tidegate bench",
			"tidegate bench idle --streams 19000 --first 5000 --settle 60s --runs 5",
			"tidegate bench fanout unicast --json",
			"tidegate bench fanout --protocol h2",
			"tidegate bench all --limit ./limit --svg figures.svg",
			"tidegate bench --public http://127.0.0.1:3000 --internal http://127.0.0.1:3001 --callback-listen 127.0.0.1:9099 --pid 4711",
		},
		exits: []entry{
			{"0", "everything was measured and delivered"},
			{"1", "an event was lost, or something failed"},
			{"2", "the call has a mistake"},
		},
	}
	for _, mode := range bench.Modes() {
		m.words = append(m.words, entry{mode.Name, mode.Summary})
	}
	return m
}

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
		return benchManual().help(sys.Stdout)
	}
	if secret, wrong := access.ClientSecret(f.InternalSecret); wrong != nil {
		err = errors.Join(err, usagef("bench: --internal-secret: %v", wrong))
	} else {
		f.InternalSecret = secret
	}
	f.Modes = modes
	// A flag that could not be read has its default, so both errors are reported.
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
