package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"

	"tidegate/measure/reliability/api"
	"tidegate/measure/reliability/eventsource"
)

// Phases of a run.
const (
	baseline = iota
	duringStorm
	phases
)

// live is the topic with events all the time. An event contains the time at which it
// was published, by the clock of this process, which the listeners use too.
type live struct {
	storm *storm
	zero  time.Time
	now   atomic.Int32 // the current phase

	mu        sync.Mutex
	latencies [phases][]time.Duration // from before the request to the arrival at a listener; guarded by mu
	waits     [phases][]time.Duration // times that the publisher waited for an answer; guarded by mu
}

func newLive(s *storm) *live { return &live{storm: s, zero: time.Now()} }

func (l *live) phase(p int32) { l.now.Store(p) }

const (
	liveTopic    = "load:storm-live"
	maxLatencies = 2_000_000 // kept of one phase, at most
)

// during publishes and listens while work runs.
func (l *live) during(ctx context.Context, work func(context.Context) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var listeners, connected sync.WaitGroup
	connected.Add(l.storm.opts.listeners)
	for n := range l.storm.opts.listeners {
		listeners.Go(func() { l.listen(ctx, l.storm.public[n%len(l.storm.public)], connected.Done) })
	}
	connected.Wait() // each listener has a stream, or ctx has ended
	group, working := errgroup.WithContext(ctx)
	publishing, enough := context.WithCancel(working)
	group.Go(func() error { return l.publish(publishing) })
	group.Go(func() error {
		defer enough()
		return work(working)
	})
	err := group.Wait()
	stop()
	listeners.Wait()
	return err
}

// publish publishes one event after another at the given rate until ctx ends.
func (l *live) publish(ctx context.Context) error {
	pause := time.Duration(float64(time.Second) / l.storm.opts.rate)
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		phase, began := l.now.Load(), time.Now()
		message, err := json.Marshal(map[string]any{
			"topic": liveTopic, "event": map[string]string{"name": strconv.Itoa(int(phase)), "data": strconv.FormatInt(int64(began.Sub(l.zero)), 10)},
		})
		if err != nil {
			return err
		}
		var answer struct{ ID string }
		if err := l.storm.api.Post(ctx, "/internal/send", message, &answer); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("publish to the live topic: %w", err)
		}
		l.mu.Lock()
		l.waits[phase] = append(l.waits[phase], time.Since(began))
		l.mu.Unlock()
	}
}

// listen follows the live topic. It calls connected when it has a stream, or when it
// gives up.
func (l *live) listen(ctx context.Context, base string, connected func()) {
	var once sync.Once
	defer once.Do(connected)
	lastID := ""
	for ctx.Err() == nil {
		err := l.stream(ctx, base, &lastID, func() { once.Do(connected) })
		if ctx.Err() == nil {
			l.storm.fault("a listener of the live topic lost its stream: %v", err)
		}
		api.Sleep(ctx, 100*time.Millisecond)
	}
}

func (l *live) stream(ctx context.Context, base string, lastID *string, connected func()) error {
	s, err := eventsource.Open(ctx, eventsource.Request{Base: base, Target: "/live?topic=" + liveTopic, LastEventID: *lastID, Wait: time.Minute})
	if err != nil {
		return err
	}
	defer s.Close()
	for {
		b, err := s.Next(time.Time{})
		if err != nil {
			return err
		}
		if b.HasID {
			*lastID = b.ID
			connected()
		}
		if b.HasData {
			l.receive(b)
		}
	}
}

// receive records the latency of an event.
func (l *live) receive(b eventsource.Block) {
	now := time.Since(l.zero)
	sent, err := strconv.ParseInt(b.Data, 10, 64)
	phase, phaseErr := strconv.Atoi(b.Name)
	if err != nil || phaseErr != nil || phase < 0 || phase >= phases {
		l.storm.fault("the live topic has an unexpected event %.40q %.40q", b.Name, b.Data)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.latencies[phase]) < maxLatencies {
		l.latencies[phase] = append(l.latencies[phase], now-time.Duration(sent))
	}
}

// report prints the figures and the faults.
func (s *storm) report(w io.Writer) error {
	events := s.opts.clients * s.opts.behind
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(name string, value any) { fmt.Fprintf(t, "%s\t%v\t\n", name, value) }
	row("clients", s.opts.clients)
	row("events behind, each", s.opts.behind)
	row("all caught up after", s.took.Round(time.Millisecond))
	row("resumes a second", fmt.Sprintf("%.0f", float64(s.opts.clients)/s.took.Seconds()))
	row("replayed events a second", fmt.Sprintf("%.0f", float64(events)/s.took.Seconds()))
	row("caught up, p50 / p99", quantiles(s.caught))
	row("connections", s.attempts)
	row("ends of connections", s.ends)
	for phase, name := range []string{"before", "during"} {
		row("live latency "+name+", p50 / p99", fmt.Sprintf("%s of %d", quantiles(s.live.latencies[phase]), len(s.live.latencies[phase])))
		row("publisher's wait "+name+", p50 / p99", quantiles(s.live.waits[phase]))
	}
	row("resets", s.resets)
	row("faults", s.faultCount)
	if err := t.Flush(); err != nil {
		return err
	}
	for _, fault := range s.faults {
		fmt.Fprintln(w, "FAULT", fault)
	}
	verdict := "PASS: all promises held"
	if s.faultCount+s.resets > 0 {
		verdict = "FAIL"
	}
	_, err := fmt.Fprintln(w, verdict)
	return err
}

// quantiles formats the median and the 99th percentile.
func quantiles(d []time.Duration) string {
	if len(d) == 0 {
		return "none"
	}
	slices.Sort(d)
	at := func(q float64) time.Duration { return d[int(q*float64(len(d)-1))].Round(10 * time.Microsecond) }
	return fmt.Sprintf("%s / %s", at(0.5), at(0.99))
}
