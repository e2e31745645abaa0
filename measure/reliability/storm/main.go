// Command storm measures a reconnect storm: thousands of clients resume at once while
// others receive live events.
package main

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/spf13/pflag"

	"tidegate/measure/reliability/command"
	"tidegate/measure/reliability/harness"
)

const summary = `storm starts a server or a cluster, publishes events to some topics, and then lets thousands of clients
resume at once. Each client is behind by all events of one topic. Meanwhile a publisher sends to a topic with
its own listeners. storm prints how fast the clients caught up, and the latency at the listeners.

Every client must receive each event once and in order, and none may receive a reset.

The clients run in this process, on the same processors as the server, so the figures are of both together.
Each client needs an open file here and another one in the server.

Usage: storm [FLAG…]`

// options are the settings of a run.
type options struct {
	deployment harness.Options
	clients    int
	behind     int
	topics     int
	size       int
	listeners  int
	rate       float64
	baseline   time.Duration
	limit      time.Duration
	callbacks  string
}

func main() {
	o := options{
		deployment: harness.Defaults(), clients: 5000, behind: 1000, topics: 50, size: 128,
		listeners: 100, rate: 100, baseline: 5 * time.Second, limit: 5 * time.Minute,
	}
	o.deployment.Command = harness.Gateway
	command.Main(command.Program{
		Name: "storm", Summary: summary,
		Flags: func(fs *pflag.FlagSet) {
			harness.BindFlags(fs, &o.deployment)
			fs.IntVar(&o.clients, "clients", o.clients, "`number` of clients that resume at once")
			fs.IntVar(&o.behind, "behind", o.behind, "`events` that each client is behind")
			fs.IntVar(&o.topics, "topics", o.topics, "`number` of topics that the clients resume on")
			fs.IntVar(&o.size, "size", o.size, "least `bytes` of an event's data")
			fs.IntVar(&o.listeners, "listeners", o.listeners, "`number` of listeners of the live topic")
			fs.Float64Var(&o.rate, "rate", o.rate, "`events` a second on the live topic")
			fs.DurationVar(&o.baseline, "baseline", o.baseline, "how long to measure the live topic before the storm")
			fs.DurationVar(&o.limit, "limit", o.limit, "how long the run may take")
		},
		Check: func(args []string) error {
			return errors.Join(command.NoArgs(args), o.deployment.Validate(), o.validate())
		},
		Run: func(ctx context.Context, stdout, _ io.Writer) error {
			return harness.WorkDir(o.deployment.Dir, "storm", stdout, func(dir string) error {
				o.deployment.Dir = dir
				return run(ctx, o, stdout)
			})
		},
	})
}

func (o options) validate() error {
	errs := []error{
		command.InRange("clients", o.clients, 1, 1_000_000), command.InRange("behind", o.behind, 1, 9_000),
		command.InRange("topics", o.topics, 1, 100_000), command.InRange("size", o.size, 0, 64<<10),
		command.InRange("listeners", o.listeners, 1, 10_000),
		command.InRange("baseline", int64(o.baseline), int64(100*time.Millisecond), int64(time.Hour)),
		command.InRange("limit", int64(o.limit), int64(time.Second), int64(time.Hour)),
		enoughFiles(o.clients + o.listeners),
	}
	if o.deployment.Command == harness.Serve {
		errs = append(errs, errors.New("--mode serve accepts only watchers of tasks; use gateway or cluster"))
	}
	if o.rate <= 0 || o.rate > 10_000 {
		errs = append(errs, errors.New("--rate: must be more than 0, up to 10000"))
	}
	return errors.Join(errs...)
}

// callbackURL returns the function that picks a free port for callbacks, at the address
// at which nodes reach this process.
func (o *options) callbackURL(ports *harness.Ports, failed *error) func(address string) string {
	return func(address string) string {
		if o.callbacks == "" {
			o.callbacks, *failed = ports.Free(address)
		}
		return "http://" + o.callbacks + "/callback"
	}
}
