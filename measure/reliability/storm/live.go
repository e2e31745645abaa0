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
	calm = iota
	stormy
	phases
)

// live is the topic that goes on all the time. An event says when it was
// published, by the clock of this process, which the listeners read too.
type live struct {
	storm *storm
	zero  time.Time
	now   atomic.Int32 // the phase

	mu   sync.Mutex
	seen [phases][]time.Duration // from before the request to the listener; guarded by mu
	late [phases][]time.Duration // how long the publisher waited for the answer; guarded by mu
}

func newLive(s *storm) *live { return &live{storm: s, zero: time.Now()} }

func (l *live) phase(p int32) { l.now.Store(p) }

const (
	liveTopic = "load:storm-live"
	maxSeen   = 2_000_000 // of one phase; more are not counted
)

// during publishes and listens while work runs.
func (l *live) during(ctx context.Context, work func(context.Context) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var listeners, placed sync.WaitGroup
	placed.Add(l.storm.opts.listeners)
	for n := range l.storm.opts.listeners {
		listeners.Go(func() { l.listen(ctx, l.storm.public[n%len(l.storm.public)], placed.Done) })
	}
	placed.Wait() // each has a stream, or ctx has ended
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

// publish publishes at the rate until ctx ends, one event after another.
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
		l.late[phase] = append(l.late[phase], time.Since(began))
		l.mu.Unlock()
	}
}

// listen follows the live topic. placed is called when it has a stream, or when
// there is none to be had.
func (l *live) listen(ctx context.Context, base string, placed func()) {
	var once sync.Once
	defer once.Do(placed)
	lastID := ""
	for ctx.Err() == nil {
		err := l.stream(ctx, base, &lastID, func() { once.Do(placed) })
		if ctx.Err() == nil {
			l.storm.fault("a listener of the live topic lost its stream: %v", err)
		}
		api.Sleep(ctx, 100*time.Millisecond)
	}
}

func (l *live) stream(ctx context.Context, base string, lastID *string, placed func()) error {
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
			placed()
		}
		if b.HasData {
			l.took(b)
		}
	}
}

func (l *live) took(b eventsource.Block) {
	now := time.Since(l.zero)
	sent, err := strconv.ParseInt(b.Data, 10, 64)
	phase, phaseErr := strconv.Atoi(b.Name)
	if err != nil || phaseErr != nil || phase < 0 || phase >= phases {
		l.storm.fault("the live topic has an event %.40q %.40q", b.Name, b.Data)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.seen[phase]) < maxSeen {
		l.seen[phase] = append(l.seen[phase], now-time.Duration(sent))
	}
}

// report prints what came out.
func (s *storm) report(w io.Writer) error {
	events := s.opts.clients * s.opts.behind
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(name string, value any) { fmt.Fprintf(t, "%s\t%v\t\n", name, value) }
	row("clients", s.opts.clients)
	row("events that each was behind", s.opts.behind)
	row("all caught up after", s.took.Round(time.Millisecond))
	row("resumes a second", fmt.Sprintf("%.0f", float64(s.opts.clients)/s.took.Seconds()))
	row("replayed events a second", fmt.Sprintf("%.0f", float64(events)/s.took.Seconds()))
	row("caught up, p50 / p99", quantiles(s.caught))
	row("connections for that", s.attempts)
	row("how they ended", s.ends)
	for phase, name := range []string{"before", "during"} {
		row("live latency "+name+", p50 / p99", fmt.Sprintf("%s of %d", quantiles(s.live.seen[phase]), len(s.live.seen[phase])))
		row("publisher's wait "+name+", p50 / p99", quantiles(s.live.late[phase]))
	}
	row("resets", s.resets)
	row("faults", s.faulty)
	if err := t.Flush(); err != nil {
		return err
	}
	for _, fault := range s.faults {
		fmt.Fprintln(w, "FAULT", fault)
	}
	verdict := "PASS: everything held"
	if s.faulty+s.resets > 0 {
		verdict = "FAIL"
	}
	_, err := fmt.Fprintln(w, verdict)
	return err
}

// quantiles gives the median and the 99th percentile.
func quantiles(d []time.Duration) string {
	if len(d) == 0 {
		return "none"
	}
	slices.Sort(d)
	at := func(q float64) time.Duration { return d[int(q*float64(len(d)-1))].Round(10 * time.Microsecond) }
	return fmt.Sprintf("%s / %s", at(0.5), at(0.99))
}
