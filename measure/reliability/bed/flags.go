package bed

import (
	"errors"
	"fmt"

	"github.com/spf13/pflag"
)

// BindFlags binds what the command line can say of a bed, whose defaults are
// the values in o.
func BindFlags(fs *pflag.FlagSet, o *Options) {
	fs.StringVar(&o.Command, "mode", o.Command, "what is started: `serve|gateway|cluster`; the first two are one process with storage of its own")
	fs.StringVar(&o.Tidegate, "tidegate", o.Tidegate, "the `program` tidegate")
	fs.StringVar(&o.NATS, "nats-server", o.NATS, "the `program` nats-server, for a cluster")
	fs.StringVar(&o.Dir, "work", o.Dir, "new or empty `directory` for data, logs and records; by default a temporary one, which is kept if something did not hold")
	fs.BoolVar(&o.Memory, "memory", o.Memory, "without storage (serve and gateway), to try things without kills")
	fs.IntVar(&o.Servers, "servers", o.Servers, "`number` of NATS servers of a cluster")
	fs.IntVar(&o.Gateways, "gateways", o.Gateways, "`number` of gateways of a cluster")
	fs.IntVar(&o.Backends, "backends", o.Backends, "`number` of backends of a cluster")
	fs.BoolVar(&o.Namespaces, "namespaces", o.Namespaces, "give each node of a cluster a network namespace, so that it can be cut off (Linux, root, ip); otherwise it is suspended instead")
	fs.StringArrayVar(&o.GatewayFlags, "gateway-flag", nil, "further `flag` for serve or gateway, such as --gateway-flag=--durability=power; repeatable")
	fs.StringArrayVar(&o.BackendFlags, "backend-flag", nil, "further `flag` for the backends of a cluster; repeatable")
}

// Validate tells what is wrong with the options.
func (o Options) Validate() error {
	var errs []error
	switch o.Command {
	case Serve, Gateway:
	case Cluster:
		if o.Memory {
			errs = append(errs, errors.New("--memory: a cluster has its storage in NATS; take --mode serve or gateway"))
		}
	default:
		errs = append(errs, fmt.Errorf("--mode %q: must be %s, %s or %s", o.Command, Serve, Gateway, Cluster))
	}
	for _, n := range []struct {
		flag string
		v    int
	}{{"servers", o.Servers}, {"gateways", o.Gateways}, {"backends", o.Backends}} {
		if n.v < 1 || n.v > 20 {
			errs = append(errs, fmt.Errorf("--%s %d: must be from 1 to 20", n.flag, n.v))
		}
	}
	if o.Servers == 2 {
		errs = append(errs, errors.New("--servers 2: two servers have no majority when one is down; take 1 or 3"))
	}
	return errors.Join(errs...)
}

// Defaults are those of all programs that start a bed.
func Defaults() Options {
	return Options{Command: Serve, Tidegate: "tidegate", NATS: "nats-server", Servers: 3, Gateways: 3, Backends: 2}
}
