package harness

import (
	"errors"
	"fmt"

	"github.com/spf13/pflag"
)

// BindFlags adds the flags of a deployment to fs. The values in o are the defaults.
func BindFlags(fs *pflag.FlagSet, o *Options) {
	fs.StringVar(&o.Command, "mode", o.Command, "what to start: `serve|gateway|cluster`; the first two are one process with its own storage")
	fs.StringVar(&o.Tidegate, "tidegate", o.Tidegate, "the `program` tidegate")
	fs.StringVar(&o.NATS, "nats-server", o.NATS, "the `program` nats-server, for a cluster")
	fs.StringVar(&o.Dir, "work", o.Dir, "new or empty `directory` for data, logs and records; by default a temporary one, kept only if the run fails")
	fs.BoolVar(&o.Memory, "memory", o.Memory, "run serve or gateway without storage; for runs without kills")
	fs.IntVar(&o.Servers, "servers", o.Servers, "`number` of NATS servers of a cluster")
	fs.IntVar(&o.Gateways, "gateways", o.Gateways, "`number` of gateways of a cluster")
	fs.IntVar(&o.Backends, "backends", o.Backends, "`number` of backends of a cluster")
	fs.BoolVar(&o.Namespaces, "namespaces", o.Namespaces, "give each node of a cluster a network namespace, so that faults can cut it off; needs Linux, root and iproute2. Without it they suspend the process")
	fs.StringArrayVar(&o.GatewayFlags, "gateway-flag", nil, "another `flag` for serve or gateway, such as --gateway-flag=--durability=power; repeatable")
	fs.StringArrayVar(&o.BackendFlags, "backend-flag", nil, "another `flag` for the backends of a cluster; repeatable")
}

// Validate returns all values that are wrong.
func (o Options) Validate() error {
	var errs []error
	switch o.Command {
	case Serve, Gateway:
	case Cluster:
		if o.Memory {
			errs = append(errs, errors.New("--memory: a cluster stores in NATS; use --mode serve or gateway"))
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
		errs = append(errs, errors.New("--servers 2: two servers have no majority when one is down; use 1 or 3"))
	}
	return errors.Join(errs...)
}

// Defaults returns the options that all programs start from.
func Defaults() Options {
	return Options{Command: Serve, Tidegate: "tidegate", NATS: "nats-server", Servers: 3, Gateways: 3, Backends: 2}
}
