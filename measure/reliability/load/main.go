// Command load publishes to a running Tidegate and follows it, and writes down
// what each side was told, for check.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/pflag"

	"tidegate/measure/reliability/command"
	"tidegate/measure/reliability/workload"
)

const summary = `load publishes to a running Tidegate and follows it, and writes down what each side was told, for check.

Publishers repeat an event, with the same idempotency key, until it is answered, also while the server
is away. Clients follow one to three topics each, leave at random, and come back after the last id that
they have. At the end each topic gets an end marker, and each client stays until it has those of its topics.

By default clients are let in by a callback endpoint of load's own. Start the server with its URL:

  tidegate gateway --callback-url http://127.0.0.1:9199/callback --heartbeat 5s \
    --namespace load=events:10000,bytes:64MiB,age:1h,replay:none
  go run -C measure ./reliability/load --out run1 && go run -C measure ./reliability/check run1

With --serve they follow task streams of "tidegate serve", whose own backend lets them in.

Usage: load --out DIR [FLAG…]`

func main() {
	o := workload.Options{
		Public: []string{"http://127.0.0.1:8080"}, Internal: []string{"http://127.0.0.1:8081"}, CallbackListen: "127.0.0.1:9199",
		Publishers: 50, Topics: 1000, Clients: 500, Rate: 2000, Size: 128,
		Duration: 30 * time.Second, Drop: 10 * time.Second, Retry: 250 * time.Millisecond, Idle: 40 * time.Second,
		Timeout: 10 * time.Second, Settle: 2 * time.Minute,
	}
	var serve bool
	var secretEnv string
	command.Main(command.Program{
		Name: "load", Summary: summary,
		Flags: func(fs *pflag.FlagSet) {
			workload.BindFlags(fs, &o)
			fs.DurationVar(&o.Duration, "duration", o.Duration, "how long is published")
			fs.StringVar(&o.Dir, "out", "", "new or empty `directory` for the records")
			fs.StringSliceVar(&o.Public, "public", o.Public, "base `URL`s of the public listeners; clients take turns with them")
			fs.StringSliceVar(&o.Internal, "internal", o.Internal, "base `URL`s of the internal listeners; publishers go on to the next when one fails")
			fs.StringVar(&o.CallbackListen, "callback-listen", o.CallbackListen, "`address` where callbacks are taken, at /callback")
			fs.StringVar(&secretEnv, "internal-secret-env", "TIDEGATE_INTERNAL_SECRET", "environment `variable` with the secret of the internal listeners")
			fs.BoolVar(&serve, "serve", false, "follow task streams of tidegate serve; no callbacks are taken")
		},
		Check: func(args []string) error {
			o.Secret = os.Getenv(secretEnv)
			if serve {
				o.CallbackListen = ""
			}
			if err := command.NoArgs(args); err != nil {
				return err
			}
			return o.Validate()
		},
		Run: func(ctx context.Context, stdout, _ io.Writer) error {
			l, err := workload.New(o)
			if err != nil {
				return err
			}
			if url := l.CallbackURL(); url != "" {
				fmt.Fprintf(stdout, "callbacks are taken at %s\n", url)
			}
			run, err := l.Run(ctx, nil, nil)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(stdout, "%d events answered in %s, longest pause %s; now: check %s\n",
				run.Answered, run.Took.Round(time.Millisecond), run.LongestPause.Round(time.Millisecond), o.Dir)
			return err
		},
	})
}
