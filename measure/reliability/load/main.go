// Command load publishes to a running Tidegate, follows its streams, and records all
// answers and events for check.
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

const summary = `load publishes to a running Tidegate, follows its streams, and records all answers and events for check.

Publishers repeat each event, with the same idempotency key, until it is answered, also while the server
is down. Clients follow one to three topics each, leave at random times, and resume after their last id.
At the end load publishes an end marker to each topic, and each client stays until it has its markers.

By default, load's own callback endpoint accepts the clients. Start the server with its URL:

  tidegate gateway --callback-url http://127.0.0.1:9199/callback --heartbeat 5s \
    --namespace load=events:10000,bytes:64MiB,age:1h,replay:none
  go run -C measure ./reliability/load --out run1 && go run -C measure ./reliability/check run1

With --serve, clients follow task streams of "tidegate serve", whose own backend accepts them.

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
			fs.DurationVar(&o.Duration, "duration", o.Duration, "how long to publish")
			fs.StringVar(&o.Dir, "out", "", "new or empty `directory` for the records")
			fs.StringSliceVar(&o.Public, "public", o.Public, "base `URL`s of the public listeners; clients use them in turn")
			fs.StringSliceVar(&o.Internal, "internal", o.Internal, "base `URL`s of the internal listeners; publishers fail over to the next")
			fs.StringVar(&o.CallbackListen, "callback-listen", o.CallbackListen, "`address` of the callback endpoint, whose path is /callback")
			fs.StringVar(&secretEnv, "internal-secret-env", "TIDEGATE_INTERNAL_SECRET", "environment `variable` with the secret of the internal listeners")
			fs.BoolVar(&serve, "serve", false, "follow task streams of tidegate serve, without a callback endpoint")
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
				fmt.Fprintf(stdout, "callback URL: %s\n", url)
			}
			run, err := l.Run(ctx, nil, nil)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(stdout, "%d events answered in %s, longest pause %s; next: check %s\n",
				run.Answered, run.Took.Round(time.Millisecond), run.LongestPause.Round(time.Millisecond), o.Dir)
			return err
		},
	})
}
