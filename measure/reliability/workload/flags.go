package workload

import "github.com/spf13/pflag"

// BindFlags binds the settings of the load itself, whose defaults are the
// values in o. What says where the server is has flags elsewhere.
func BindFlags(fs *pflag.FlagSet, o *Options) {
	fs.IntVar(&o.Publishers, "publishers", o.Publishers, "`number` of publishers, each with one event under way")
	fs.IntVar(&o.Topics, "topics", o.Topics, "`number` of topics")
	fs.IntVar(&o.Clients, "clients", o.Clients, "`number` of clients, each with one to three topics")
	fs.Float64Var(&o.Rate, "rate", o.Rate, "`events` a second, over all publishers")
	fs.IntVar(&o.Size, "size", o.Size, "`bytes` of an event's data, at least")
	fs.Uint64Var(&o.Seed, "seed", o.Seed, "`number` from which all choices are drawn")
	fs.DurationVar(&o.Drop, "drop", o.Drop, "mean life of a stream before its client leaves by itself; less than 0 is never")
	fs.DurationVar(&o.Retry, "retry", o.Retry, "pause before a client comes back, up to half as long again")
	fs.DurationVar(&o.Idle, "idle", o.Idle, "silence after which a client gives its stream up; more than two heartbeats")
	fs.DurationVar(&o.Timeout, "timeout", o.Timeout, "time for one request")
	fs.DurationVar(&o.Settle, "settle", o.Settle, "how long the end may take: last answers, events and disconnects")
}
