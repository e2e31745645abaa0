// Package workload publishes to a running Tidegate and follows it, and writes down
// what each side was told, for package judge.
//
// Publishers repeat an event, with the same idempotency key, until it is
// answered. Clients follow a few topics each, leave at random, lose their
// streams, and come back after the last id that they have, as EventSource does.
// Their connects are accepted by a callback endpoint of the workload's own, or
// by the backend of `tidegate serve`.
package workload

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"time"
)

// Options are the settings of a run. Defaults are filled in by [New].
type Options struct {
	Dir      string   // an empty or new directory for the records
	Public   []string // base URLs of the public listeners; clients take turns with them
	Internal []string // base URLs of the internal ones; publishers take turns when one fails
	Secret   string   // bearer token of the internal listeners, "" for none

	// CallbackListen is where callbacks are taken; clients then follow topics
	// load:N by way of /internal/subscribe. "" goes through the task streams of
	// `tidegate serve` instead: topics are task:load-N, and each is replayed from
	// its beginning.
	CallbackListen string

	// Cuts says that the network will be cut: a gateway may tell a disconnect
	// twice then, because the answer to the first was lost.
	Cuts bool

	Publishers int     // default 50
	Topics     int     // default 1,000
	Clients    int     // default 500
	Rate       float64 // events a second, over all publishers. Default 2,000
	Size       int     // bytes of an event's data, at least. Default 128
	Seed       uint64  // of all that is random, apart from time

	Duration time.Duration // how long is published. Default 30 s
	Drop     time.Duration // mean life of a stream before its client leaves by itself. Default 10 s, less than 0 never
	Retry    time.Duration // pause before a client comes back, up to half as long again. Default 250 ms
	Idle     time.Duration // silence after which a client gives a stream up; more than two heartbeats. Default 40 s
	Timeout  time.Duration // of one request. Default 10 s
	Settle   time.Duration // how long the end may take: last answers, last events, last disconnects. Default 2 min
}

// Bounds of what one process can do.
const (
	MaxPublishers = 1_000
	MaxTopics     = 100_000
	MaxClients    = 5_000
	maxPerClient  = 3 // topics
)

func (o Options) withDefaults() Options {
	o.Publishers = cmp.Or(o.Publishers, 50)
	o.Topics = cmp.Or(o.Topics, 1_000)
	o.Clients = cmp.Or(o.Clients, 500)
	o.Rate = cmp.Or(o.Rate, 2_000)
	o.Size = cmp.Or(o.Size, 128)
	o.Duration = cmp.Or(o.Duration, 30*time.Second)
	o.Drop = cmp.Or(o.Drop, 10*time.Second)
	o.Retry = cmp.Or(o.Retry, 250*time.Millisecond)
	o.Idle = cmp.Or(o.Idle, 40*time.Second)
	o.Timeout = cmp.Or(o.Timeout, 10*time.Second)
	o.Settle = cmp.Or(o.Settle, 2*time.Minute)
	return o
}

// Validate tells everything that is wrong. Values that are zero have a default.
func (o Options) Validate() error {
	var errs []error
	if o.Dir == "" {
		errs = append(errs, errors.New("no directory for the records: give --out DIR"))
	}
	for _, list := range []struct {
		flag string
		urls []string
	}{{"public", o.Public}, {"internal", o.Internal}} {
		if len(list.urls) == 0 {
			errs = append(errs, fmt.Errorf("--%s: give at least one URL such as http://127.0.0.1:8080", list.flag))
		}
		for _, text := range list.urls {
			if u, err := url.Parse(text); err != nil || u.Scheme != "http" || u.Port() == "" || u.Path != "" {
				errs = append(errs, fmt.Errorf("--%s %q: must be like http://127.0.0.1:8080, with a port and without a path", list.flag, text))
			}
		}
	}
	for _, n := range []struct {
		flag     string
		v, least int
		most     int
	}{
		{"publishers", o.Publishers, 0, MaxPublishers}, {"topics", o.Topics, 0, MaxTopics},
		{"clients", o.Clients, 0, MaxClients}, {"size", o.Size, 0, 512 << 10},
	} {
		if n.v < n.least || n.v > n.most {
			errs = append(errs, fmt.Errorf("--%s %d: must be from 1 to %d", n.flag, n.v, n.most))
		}
	}
	if o.Rate < 0 || o.Rate > 1e6 {
		errs = append(errs, fmt.Errorf("--rate %g: must be more than 0, up to 1000000", o.Rate))
	}
	for _, d := range []struct {
		flag string
		v    time.Duration
	}{{"duration", o.Duration}, {"retry", o.Retry}, {"idle", o.Idle}, {"timeout", o.Timeout}, {"settle", o.Settle}} {
		if d.v < 0 {
			errs = append(errs, fmt.Errorf("--%s %s: must be more than 0", d.flag, d.v))
		}
	}
	return errors.Join(errs...)
}
