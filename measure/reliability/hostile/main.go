// Command hostile starts a server and attacks it in the ways that one client can, while
// honest clients use it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"tidegate/measure/reliability/command"
	"tidegate/measure/reliability/harness"
)

const summary = `hostile builds and starts a server, lets honest clients connect, send and listen, attacks the server for a
while, and prints what the honest clients noticed: the latency of connects and sends before and during the
attack, the server's peak memory, and how soon after the attack everything was as before.

It fails if the server rejected an honest client, if a listener missed an answered event, or if the server
accepted something that it must reject. It never fails because of latency: those figures are for people.

Attackers and honest clients run in this process, on the same processors as the server. All come from
loopback, so limits by address do not apply, only the limits over all clients.

Attacks:
%s
Usage: hostile [--attack NAME,…] [FLAG…]`

// options are the settings of a run.
type options struct {
	names    []string
	tidegate string
	dir      string
	baseline time.Duration
	attack   time.Duration
	recover  time.Duration
	scale    float64
	flags    []string
}

func defaults() options {
	return options{
		names: []string{"all"}, baseline: 3 * time.Second, attack: 10 * time.Second, recover: 15 * time.Second, scale: 1,
	}
}

func main() {
	o := defaults()
	command.Main(command.Program{
		Name: "hostile", Summary: fmt.Sprintf(summary, listOfAttacks()),
		Flags: func(fs *pflag.FlagSet) {
			fs.StringSliceVar(&o.names, "attack", o.names, "`names` of attacks, or all")
			fs.StringVar(&o.tidegate, "tidegate", "", "the `program` tidegate; by default built from this checkout")
			fs.StringVar(&o.dir, "work", "", "new or empty `directory` for data and logs; by default a temporary one, kept only if the run fails")
			fs.DurationVar(&o.baseline, "baseline", o.baseline, "how long to measure without an attack")
			fs.DurationVar(&o.attack, "duration", o.attack, "how long to attack")
			fs.DurationVar(&o.recover, "recover", o.recover, "how long to wait until everything is as before")
			fs.Float64Var(&o.scale, "scale", o.scale, "`factor` by which to multiply the number of attackers")
			fs.StringArrayVar(&o.flags, "server-flag", nil, "another `flag` for the server, such as --server-flag=--max-connections=1000; repeatable")
		},
		Check: func(args []string) error { return errors.Join(command.NoArgs(args), o.validate()) },
		Run: func(ctx context.Context, stdout, _ io.Writer) error {
			return harness.WorkDir(o.dir, "hostile", stdout, func(dir string) error {
				o.dir = dir
				return run(ctx, o, stdout)
			})
		},
	})
}

func (o options) validate() error {
	var errs []error
	for _, name := range o.names {
		if name != "all" && !slices.ContainsFunc(attacks, func(a attack) bool { return a.name == name }) {
			errs = append(errs, fmt.Errorf("--attack %q: there is no such attack; see --help", name))
		}
	}
	for _, d := range []struct {
		flag string
		v    time.Duration
	}{{"baseline", o.baseline}, {"duration", o.attack}, {"recover", o.recover}} {
		errs = append(errs, command.InRange(d.flag, int64(d.v), int64(100*time.Millisecond), int64(time.Hour)))
	}
	if o.scale <= 0 || o.scale > 100 {
		errs = append(errs, errors.New("--scale: must be more than 0, up to 100"))
	}
	return errors.Join(errs...)
}

// chosen returns the attacks that the options name, in the order of the table.
func (o options) chosen() []attack {
	return slices.DeleteFunc(slices.Clone(attacks), func(a attack) bool {
		return !slices.Contains(o.names, "all") && !slices.Contains(o.names, a.name)
	})
}

func listOfAttacks() string {
	var text strings.Builder
	for _, a := range attacks {
		fmt.Fprintf(&text, "  %-20s %s\n", a.name, a.what)
	}
	return text.String()
}
