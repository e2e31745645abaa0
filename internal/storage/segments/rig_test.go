package segments

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"testing"

	"tidegate/internal/topic"
)

// follower is a hub that takes note.
type follower struct {
	mu         sync.Mutex
	given      []topic.Stored
	generation string
	refuse     func(topic.Stored) error
}

func (f *follower) Begin(_ uint64, _ int64, generation string) { f.generation = generation }
func (f *follower) Key(string)                                 {}
func (f *follower) Rewind(uint64, string)                      {}
func (f *follower) Common(context.Context) (uint64, int64, error) {
	return 0, 0, nil
}

func (f *follower) Apply(events []topic.Stored) []topic.Applied {
	f.mu.Lock()
	defer f.mu.Unlock()
	applied := make([]topic.Applied, len(events))
	for i, e := range events {
		if f.refuse != nil {
			applied[i].Err = f.refuse(e)
		}
		f.given = append(f.given, e)
	}
	return applied
}

// rig is a log that runs.
type rig struct {
	t    testing.TB
	opts Options
	log  *Log
	hub  *follower
	stop func()
}

// start opens a log and runs it until the test ends.
func start(t testing.TB, dir string, change ...func(*Options)) *rig {
	t.Helper()
	opts := Options{Dir: dir, Log: slog.New(slog.DiscardHandler)}
	for _, c := range change {
		c(&opts)
	}
	r := &rig{t: t, opts: opts}
	r.open()
	t.Cleanup(func() { r.stop() })
	return r
}

func (r *rig) open() {
	r.t.Helper()
	l, err := Open(r.t.Context(), r.opts)
	if err != nil {
		r.t.Fatal(err)
	}
	r.log, r.hub = l, &follower{}
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.t.Context()))
	var wg sync.WaitGroup
	wg.Go(func() { _ = l.Run(ctx, r.hub) })
	if err := l.Caught(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	r.stop = sync.OnceFunc(func() {
		cancel()
		wg.Wait()
		if err := l.Close(); err != nil {
			r.t.Errorf("close: %v", err)
		}
	})
}

// reopen closes the log and opens it again.
func (r *rig) reopen() {
	r.t.Helper()
	r.stop()
	r.open()
}

// add appends events and gives their positions.
func (r *rig) add(entries ...topic.Entry) []uint64 {
	r.t.Helper()
	results := r.log.AppendAll(r.t.Context(), entries)
	seqs := make([]uint64, len(results))
	for i, res := range results {
		if res.Err != nil {
			r.t.Fatalf("entry %d: %v", i, res.Err)
		}
		seqs[i] = res.Seq
	}
	return seqs
}

func entry(name, data string) topic.Entry {
	return topic.Entry{Topic: name, HasEvent: true, Data: data}
}

// all reads a topic.
func (r *rig) all(name string) (events []topic.Stored) {
	r.t.Helper()
	err := r.log.Read(r.t.Context(), name, 1, math.MaxUint64, func(e topic.Stored) error {
		events = append(events, e)
		return nil
	})
	if err != nil {
		r.t.Fatalf("read %s: %v", name, err)
	}
	return events
}

// texts sums a topic up: "1:a 3:b".
func (r *rig) texts(name string) string {
	r.t.Helper()
	var s strings.Builder
	for _, e := range r.all(name) {
		s.WriteString(fmt.Sprintf("%d<%d:%s ", e.Seq, e.Prev, e.Data))
	}
	return s.String()
}
