package storetest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"tidegate/internal/topic"
)

var lifetimeCases = []testCase{
	{"CaughtWaits", func(t *testing.T, c Config) {
		p, n := open(t, c)
		n.publish(texts("a", numbered("", 50)...)...)
		want := n.rec.all()
		n.stop()
		pause := make(chan struct{})
		n = p.startWith(t, func(r *recorder) { r.pause = pause })
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		err := n.store.Caught(ctx) // the hub takes nothing yet
		cancel()
		close(pause)
		n.caught()
		if events := n.rec.all(); len(events) == 0 {
			if n.rec.floor <= want[len(want)-1].Seq {
				t.Errorf("Caught returned with nothing applied from %d on", n.rec.floor)
			}
		} else if events[len(events)-1].Seq != want[len(want)-1].Seq {
			t.Errorf("Caught returned at %d, and %d was there", events[len(events)-1].Seq, want[len(want)-1].Seq)
		} else if err == nil {
			t.Error("Caught returned nil, and nothing had been applied")
		}
	}},
	{"AppendsWithoutRunReturn", func(t *testing.T, c Config) {
		p := c.New(t)
		in := p.Open(t)
		t.Cleanup(func() { _ = in.Close() })
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		finishes(t, "AppendAll without Run", func() {
			for _, r := range in.Store.AppendAll(ctx, []topic.Entry{text("a", "1"), text("b", "2")}) {
				if r.Err == nil {
					t.Error("an event was answered that no hub was given")
				}
			}
		})
	}},
	{"AppendsThatAreCalledOffReturn", func(t *testing.T, c Config) {
		p, n := open(t, c)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		var answered []string
		finishes(t, "AppendAll with a context that has ended", func() {
			batch := n.entries(texts("a", numbered("", 20)...)...)
			for i, r := range n.tryIn(ctx, batch...) {
				if r.Err == nil {
					answered = append(answered, batch[i].Data)
				}
			}
		})
		n = n.again(p)
		stored := make(map[string]bool)
		for _, e := range n.read("a") {
			stored[e.Data] = true
		}
		for _, d := range answered {
			if !stored[d] {
				t.Errorf("event %s was answered and is not there", d)
			}
		}
		n.chain("a")
	}},
	{"ASlowHubHoldsNoCallerForEver", func(t *testing.T, c Config) {
		if c.CallerApplies {
			t.Skip("one of the callers feeds the hub")
		}
		p := c.New(t)
		n := p.start(t)
		pause := make(chan struct{})
		n.rec.applying.Lock()
		n.rec.pause = pause
		n.rec.applying.Unlock()
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		var all sync.WaitGroup
		for i := range 20 {
			batch := n.entries(text(fmt.Sprint("t:", i), "1"))
			all.Go(func() {
				for _, r := range n.tryIn(ctx, batch...) {
					if r.Err == nil {
						t.Errorf("an event was answered that the hub has not taken")
					}
				}
			})
		}
		finishes(t, "AppendAll while the hub does not take anything", all.Wait)
		close(pause)
		n.rec.until(t, "the hub is given an event", func(r *recorder) bool { return len(r.events) > 0 })
		n.publish(text("after", "1"))
	}},
	{"StoppedWhileEventsAreStored", func(t *testing.T, c Config) {
		p, n := open(t, c)
		var all sync.WaitGroup
		var mu sync.Mutex
		answered := make(map[uint64]string)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		started := make(chan struct{}, 100)
		for i := range 8 {
			all.Go(func() {
				name := fmt.Sprint("t:", i)
				for j := range 10_000 {
					e := text(name, fmt.Sprint(j))
					k, _ := n.rec.state(name)
					e.Number, e.Prev = k.number+1, k.last
					r := n.store.AppendAll(ctx, []topic.Entry{e})[0]
					if r.Err != nil {
						return
					}
					if j == 5 {
						started <- struct{}{}
					}
					mu.Lock()
					answered[r.Seq] = name + " " + e.Data
					mu.Unlock()
				}
			})
		}
		for range 8 {
			<-started
		}
		finishes(t, "Run while events are stored", n.end)
		if err := n.in.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
		finishes(t, "AppendAll of a log that was closed", all.Wait)
		n = p.start(t)
		n.holds(answered)
	}},
	{"ClosedLogsAnswer", func(t *testing.T, c Config) {
		p := c.New(t)
		n := p.start(t)
		n.publish(texts("a", "1")...)
		n.stop()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		finishes(t, "a log that was closed", func() {
			if r := n.store.AppendAll(ctx, []topic.Entry{text("a", "2")})[0]; r.Err == nil {
				t.Error("a log that was closed has taken an event")
			}
			_ = n.store.Read(ctx, "a", 0, everything, func(topic.Stored) error { return nil })
			_, _, _ = n.store.Last(ctx, "a")
			_, _, _ = n.store.Time(ctx, 1)
			_ = n.store.Purge(ctx, "a", 1)
			n.store.Trim("a", 1)
			n.store.Discarded()
			n.store.Lost("a")
		})
		n = p.start(t)
		n.wantData("a", "1")
	}},
	{"OpenedAgainAndAgain", func(t *testing.T, c Config) {
		p, n := open(t, c)
		for i := range 8 {
			n.each(texts("a", fmt.Sprint(i))...)
			n = n.again(p)
			n = n.again(p)
		}
		n.wantData("a", "0 1 2 3 4 5 6 7")
		n.chain("a")
		n.counted("a", 8)
	}},
}

// holds checks that events are there: their topic and data by position.
func (n *node) holds(answered map[uint64]string) {
	n.t.Helper()
	names := make(map[string]bool)
	for _, what := range answered {
		var name, d string
		if _, err := fmt.Sscan(what, &name, &d); err != nil {
			n.t.Fatal(err)
		}
		names[name] = true
	}
	stored := make(map[uint64]string)
	for name := range names {
		for _, e := range n.read(name) {
			stored[e.Seq] = e.Topic + " " + e.Data
		}
		n.chain(name)
	}
	for seq, what := range answered {
		if stored[seq] != what {
			n.t.Errorf("position %d was answered for %q, and has %q", seq, what, stored[seq])
		}
	}
}

// finishes fails the test if a call does not return.
func finishes(t *testing.T, what string, call func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { // ends with the call
		defer close(done)
		call()
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("%s: not finished within %v", what, patience)
	}
}
