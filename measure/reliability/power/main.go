// Command power puts a server under load, cuts the power of its disk, restarts it, and
// looks for the answered events.
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

const summary = `power starts a server whose data is on its own disk, publishes all the time, and cuts the power. It suspends the
process, shuts the file system down without writing what the kernel still caches, and mounts it again. Then it
starts the server on what is left and looks for all events that the server had answered.

  --durability power    no answered event may be lost, and every id resumes where it was
  --durability process  only events answered within --bound before the loss may be lost, and every earlier id
                        leads to a reset, so that no client misses events without knowing it

The first loss follows soon after the first start, because a store that is seconds old must survive too. It is an
extra round beside --rounds.

The disk is an ext4 image on a loop device, which needs Linux, root and mkfs.ext4. With --copy, the disk is a folder
that returns to an earlier copy. That does not test what is synced, only what follows a loss.

Usage: power [FLAG…]`

// options are the settings of a run.
type options struct {
	tidegate, mode, durability, dir string

	copy       bool
	size       int64 // size of the disk, in MiB
	rounds     int
	pause      time.Duration // mean time from a start to the loss
	bound      time.Duration
	publishers int
	topics     int
	rate       float64 // most events a second, over all publishers
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
	fs.StringVar(&o.mode, "mode", o.mode, "what to start: `serve|gateway`")
	fs.StringVar(&o.durability, "durability", o.durability, "durability of the server: `process|power`")
	fs.StringVar(&o.tidegate, "tidegate", o.tidegate, "the `program` tidegate")
	fs.StringVar(&o.dir, "work", o.dir, "new or empty `directory` for disk and logs; by default a temporary one, kept only if the run fails")
	fs.BoolVar(&o.copy, "copy", o.copy, "use a folder and a copy of it instead of a disk")
	fs.Int64Var(&o.size, "disk", o.size, "size of the disk in `MiB`; the image file is sparse")
	fs.IntVar(&o.rounds, "rounds", o.rounds, "`number` of losses after the first one")
	fs.DurationVar(&o.pause, "pause", o.pause, "mean `time` from a start to the loss")
	fs.DurationVar(&o.bound, "bound", o.bound, "with --durability process, the `time` before the loss in which answered events may be lost")
	fs.IntVar(&o.publishers, "publishers", o.publishers, "`number` of publishers; each sends one event at a time")
	fs.IntVar(&o.topics, "topics", o.topics, "`number` of topics")
	fs.Float64Var(&o.rate, "rate", o.rate, "most `events` a second, over all publishers")
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
