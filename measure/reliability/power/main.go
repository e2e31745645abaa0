// Command power puts a server under load, takes the power away from its disk,
// starts it again, and looks for what was answered.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/pflag"

	"tidegate/measure/reliability/command"
	"tidegate/measure/reliability/harness"
)

const summary = `power starts a server whose data is on a disk of its own, publishes without a pause, and takes the power away:
the process is stopped, the file system is shut down without writing what the kernel still holds, and is mounted
again. The server is started on what is left, and everything that it had answered is looked for.

  --durability power    nothing that was answered may be gone, and every id leads on from where it was
  --durability process  only what was answered in the last moments (--bound) may be gone, and every id of
                        before leads to a reset, so that no client misses anything without being told

The first loss comes soon after the first start: a store that is seconds old has to be there. It counts as one
round more than --rounds.

The disk is an ext4 image on a loop device, for which it takes Linux, root and mkfs.ext4. With --copy it is a folder
that is replaced by a copy that was made a moment before: no test of what is synced, but of what follows a loss.

Usage: power [FLAG…]`

// options are what the command line says.
type options struct {
	tidegate, mode, durability, dir string

	copy       bool
	size       int64 // of the disk, in MiB
	rounds     int
	pause      time.Duration // from a start to the loss, on average
	bound      time.Duration
	publishers int
	topics     int
	rate       float64 // events a second at most, of all publishers
}

const (
	power   = "power"
	process = "process"
)

func main() {
	o := defaults()
	command.Main(command.Program{
		Name: "power", Summary: summary, Flags: o.bindFlags,
		Check: func(args []string) error { return errors.Join(command.NoArgs(args), o.validate()) },
		Run: func(ctx context.Context, stdout, _ io.Writer) error {
			return harness.WorkDir(o.dir, "power", stdout, func(dir string) error {
				o.dir = dir
				return run(ctx, *o, stdout)
			})
		},
	})
}

func defaults() *options {
	return &options{
		tidegate: "tidegate", mode: harness.Gateway, durability: process, size: 1024, rounds: 10,
		pause: 4 * time.Second, bound: 2 * time.Second, publishers: 16, topics: 40, rate: 1000,
	}
}

func (o *options) bindFlags(fs *pflag.FlagSet) {
	fs.StringVar(&o.mode, "mode", o.mode, "what is started: `serve|gateway`")
	fs.StringVar(&o.durability, "durability", o.durability, "the server's: `process|power`")
	fs.StringVar(&o.tidegate, "tidegate", o.tidegate, "the `program` tidegate")
	fs.StringVar(&o.dir, "work", o.dir, "new or empty `directory` for disk and logs; by default a temporary one, which is kept if something did not hold")
	fs.BoolVar(&o.copy, "copy", o.copy, "no disk of its own: go back to a copy of the folder")
	fs.Int64Var(&o.size, "disk", o.size, "size of the disk in `MiB`; it takes as much as is written")
	fs.IntVar(&o.rounds, "rounds", o.rounds, "`number` of losses after the first")
	fs.DurationVar(&o.pause, "pause", o.pause, "`time` from a start to the loss, on average")
	fs.DurationVar(&o.bound, "bound", o.bound, "how long before the loss an answer may be that does not count, for --durability process: `time`")
	fs.IntVar(&o.publishers, "publishers", o.publishers, "`number` of publishers, each with one event under way")
	fs.IntVar(&o.topics, "topics", o.topics, "`number` of topics")
	fs.Float64Var(&o.rate, "rate", o.rate, "events a `second` at most")
}

func (o *options) validate() error {
	var errs []error
	if o.mode != harness.Serve && o.mode != harness.Gateway {
		errs = append(errs, fmt.Errorf("--mode %q: must be %s or %s", o.mode, harness.Serve, harness.Gateway))
	}
	if o.durability != power && o.durability != process {
		errs = append(errs, fmt.Errorf("--durability %q: must be %s or %s", o.durability, process, power))
	}
	if o.rate < 1 || o.rate > 1e6 {
		errs = append(errs, errors.New("--rate: must be from 1 to 1000000"))
	}
	return errors.Join(append(errs,
		command.InRange("rounds", o.rounds, 0, 10_000), command.InRange("publishers", o.publishers, 1, 1000),
		command.InRange("topics", o.topics, 1, 1000), command.InRange("disk", o.size, 256, 1<<20),
		command.InRange("pause", o.pause.Milliseconds(), 500, 600_000), command.InRange("bound", o.bound.Milliseconds(), 0, 600_000))...)
}
