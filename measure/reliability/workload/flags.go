package workload

import "github.com/spf13/pflag"

// BindFlags adds the flags of the load itself to fs. The values in o are the defaults.
// Each program adds its own flags for the addresses of the servers.
func BindFlags(fs *pflag.FlagSet, o *Options) {
	fs.IntVar(&o.Publishers, "publishers", o.Publishers, "`number` of publishers; each sends one event at a time")
	fs.IntVar(&o.Topics, "topics", o.Topics, "`number` of topics")
	fs.IntVar(&o.Clients, "clients", o.Clients, "`number` of clients; each follows one to three topics")
	fs.Float64Var(&o.Rate, "rate", o.Rate, "`events` a second, over all publishers")
	fs.IntVar(&o.Size, "size", o.Size, "least `bytes` of an event's data")
	fs.Uint64Var(&o.Seed, "seed", o.Seed, "`seed` of all random choices")
	fs.DurationVar(&o.Drop, "drop", o.Drop, "mean time after which a client leaves its stream; less than 0 for never")
	fs.DurationVar(&o.Retry, "retry", o.Retry, "least pause before a client reconnects; the most is half as long again")
	fs.DurationVar(&o.Idle, "idle", o.Idle, "silence after which a client drops its stream; more than two heartbeats")
	fs.DurationVar(&o.Timeout, "timeout", o.Timeout, "timeout of one request")
	fs.DurationVar(&o.Settle, "settle", o.Settle, "how long the end of the run may take: last answers, events and disconnects")
}
