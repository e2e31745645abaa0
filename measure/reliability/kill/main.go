// Command kill starts a server or a cluster, puts it under load, injects faults at
// random times, and judges the records.
package main

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"

	"tidegate/measure/reliability/command"
	"tidegate/measure/reliability/harness"
	"tidegate/measure/reliability/workload"
)

const summary = `kill starts a server or a cluster, puts it under the load of "load", injects faults at random times,
waits each time until it is ready again, and at the end judges the records as "check" does.

  --mode serve    tidegate serve with its data in a directory; clients follow task streams
  --mode gateway  tidegate gateway with its data in a directory; callbacks are judged too
  --mode cluster  NATS servers, gateways and backends; callbacks are judged too

Each round draws one of these faults:
  kill-gateway  kill -9 of a gateway or of the one process
  kill-backend  kill -9 of a backend
  kill-leader   kill -9 of the NATS server that leads the event stream
  restart-all   an orderly restart of each node in turn, as in an upgrade
  cut-gateway   a gateway loses the network for a while
  cut-nats      a NATS server loses the network for a while
  cut-engine    a gateway loses NATS for a while, but not its clients (with --namespaces only)

Usage: kill [FLAG…]`

func main() {
	o := options{
		deployment: harness.Defaults(),
		plan:       harness.Plan{Rounds: 200, Mean: 1500 * time.Millisecond, Down: 5 * time.Second},
		load: workload.Options{
			Publishers: 50, Topics: 1000, Clients: 500, Rate: 1000, Size: 128, Drop: 10 * time.Second,
			Retry: 250 * time.Millisecond, Idle: 5 * time.Second, Timeout: 5 * time.Second, Settle: 2 * time.Minute,
		},
	}
	command.Main(command.Program{
		Name: "kill", Summary: summary,
		Flags: func(fs *pflag.FlagSet) {
			harness.BindFlags(fs, &o.deployment)
			o.plan.BindFlags(fs)
			fs.BoolVar(&o.resets, "allow-resets", false, "a reset is not a fault")
			workload.BindFlags(fs, &o.load)
		},
		Check: func(args []string) error {
			o.plan.Seed = o.load.Seed
			return errors.Join(command.NoArgs(args), o.deployment.Validate(), o.plan.Validate())
		},
		Run: func(ctx context.Context, stdout, _ io.Writer) error {
			return harness.WorkDir(o.deployment.Dir, "kill", stdout, func(dir string) error {
				o.deployment.Dir, o.load.Dir = dir, filepath.Join(dir, "records")
				return run(ctx, o, stdout)
			})
		},
	})
}
