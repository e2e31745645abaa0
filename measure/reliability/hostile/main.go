// Command hostile attacks a server of its own in the ways that one client can,
// while honest clients use it.
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

const summary = `hostile builds and starts a server, has honest clients connect, send and listen, attacks it for a while, and
prints what the honest ones noticed: how long a connect and a send took, calm and during the attack, the
server's memory at its highest, and how long after the end everything was as before.

It fails if an honest client was refused, or was not shown an event that was answered, or if something
was let in that should not be. It never fails because something took long: those figures are for people.

Attackers and honest clients are in this process, on the same processors as the server. They come from
loopback, which has no share of its own: what holds here are the bounds over all clients.

Attacks:
%s
Usage: hostile [--attack NAME,…] [FLAG…]`

// options are what the command line says.
type options struct {
	names    []string
	tidegate string
	dir      string
	calm     time.Duration
	attack   time.Duration
	recover  time.Duration
	scale    float64
	flags    []string
}

func defaults() options {
	return options{
		names: []string{"all"}, calm: 3 * time.Second, attack: 10 * time.Second, recover: 15 * time.Second, scale: 1,
	}
}

func main() {
	o := defaults()
	command.Main(command.Program{
		Name: "hostile", Summary: fmt.Sprintf(summary, listOfAttacks()),
		Flags: func(fs *pflag.FlagSet) {
			fs.StringSliceVar(&o.names, "attack", o.names, "`names` of attacks, or all")
			fs.StringVar(&o.tidegate, "tidegate", "", "the `program` tidegate; without it, it is built from the source around")
			fs.StringVar(&o.dir, "work", "", "new or empty `directory` for data and logs; by default a temporary one, which is kept if something did not hold")
			fs.DurationVar(&o.calm, "calm", o.calm, "how long it is measured without an attack")
			fs.DurationVar(&o.attack, "duration", o.attack, "how long an attack takes")
			fs.DurationVar(&o.recover, "recover", o.recover, "how long to wait until everything is as before")
			fs.Float64Var(&o.scale, "scale", o.scale, "`factor` on the number of attackers")
			fs.StringArrayVar(&o.flags, "server-flag", nil, "further `flag` for the server, such as --server-flag=--max-connections=1000; repeatable")
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
	}{{"calm", o.calm}, {"duration", o.attack}, {"recover", o.recover}} {
		errs = append(errs, command.InRange(d.flag, int64(d.v), int64(100*time.Millisecond), int64(time.Hour)))
	}
	if o.scale <= 0 || o.scale > 100 {
		errs = append(errs, errors.New("--scale: must be more than 0, up to 100"))
	}
	return errors.Join(errs...)
}

// chosen are the attacks that the options name, in the order of the table.
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
