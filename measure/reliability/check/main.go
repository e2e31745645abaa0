// Command check judges the records of a run of load.
package main

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/pflag"

	"tidegate/measure/reliability/command"
	"tidegate/measure/reliability/judge"
)

const summary = `check judges the records that load wrote. It finds answered events that clients did not receive,
received twice or received in different orders, and connects without exactly one disconnect.
docs/reference/reliability.md explains each line of its table.

Usage: check DIR [FLAG…]`

func main() {
	var o judge.Options
	var dir string
	command.Main(command.Program{
		Name: "check", Summary: summary,
		Flags: func(fs *pflag.FlagSet) {
			fs.BoolVar(&o.AllowResets, "allow-resets", false, "a reset is not a fault; its client starts again")
			fs.IntVar(&o.MaxEvents, "max-events", 50_000_000, "most `events` published, and most received; each takes about 200 bytes of memory")
		},
		Check: func(args []string) error {
			if len(args) != 1 {
				return errors.New("name the directory that load --out wrote to")
			}
			dir = args[0]
			return command.InRange("max-events", o.MaxEvents, 1, 1_000_000_000)
		},
		Run: func(_ context.Context, stdout, _ io.Writer) error {
			report, err := judge.Judge(dir, o)
			if err != nil {
				return err
			}
			if err := report.Print(stdout); err != nil {
				return err
			}
			if !report.OK() {
				return command.ErrFault
			}
			return nil
		},
	})
}
