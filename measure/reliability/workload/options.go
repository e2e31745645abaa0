// Package workload publishes to a running Tidegate, follows its streams, and records
// all answers and events for package judge.
//
// A publisher repeats each event, with the same idempotency key, until it is answered.
// A client follows a few topics, leaves at random times, loses streams, and resumes
// after its last id, as EventSource does. The workload's own callback endpoint accepts
// the clients, or the backend of `tidegate serve` does.
package workload

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"time"
)

// Options are the settings of a run. [New] replaces zero values by the defaults.
type Options struct {
	Dir      string   // an empty or new directory for the records
	Public   []string // base URLs of the public listeners; clients use them in turn
	Internal []string // base URLs of the internal listeners; publishers fail over between them
	Secret   string   // bearer token of the internal listeners, "" for none

	// CallbackListen is the address of the callback endpoint, which subscribes
	// clients to topics load:N. If it is "", clients follow the task streams of
	// `tidegate serve`: topics are task:load-N, and each is replayed from its start.
	CallbackListen string

	// Cuts says that the run cuts the network. A gateway may then deliver a
	// disconnect twice, because the answer to the first one was lost.
	Cuts bool

	Publishers int     // default 50
	Topics     int     // default 1,000
	Clients    int     // default 500
	Rate       float64 // events a second, over all publishers; default 2,000
	Size       int     // least bytes of an event's data; default 128
	Seed       uint64  // of all random choices, except timing

	Duration time.Duration // how long Run publishes without stop; default 30 s
	Drop     time.Duration // mean time after which a client leaves its stream; default 10 s, less than 0 for never
	Retry    time.Duration // least pause before a client reconnects, the most is 1.5 times that; default 250 ms
	Idle     time.Duration // silence after which a client drops its stream; more than two heartbeats; default 40 s
	Timeout  time.Duration // of one request; default 10 s
	Settle   time.Duration // bounds each wait at the end: for answers, events and disconnects; default 2 min
}

// Bounds of what one process can simulate.
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

// Validate returns all values that are wrong. Zero values stand for the defaults.
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
