package eventlog

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"tidegate/internal/storage/natstest"
	"tidegate/internal/topic"
)

// Two nodes publish to some topics from many goroutines. Both are given the same
// events in the same order, each answered one once, and know who got it.
func TestTwoNodesSeeOneOrder(t *testing.T) {
	t.Parallel()
	s, _ := natstest.Serve(t, t.TempDir(), 0)
	nodes := make([]*logNode, 2)
	for i := range nodes {
		e := openURL(t, s.URL())
		nodes[i] = runLog(t, e, makeEV(t, e, 1), Options{
			Node:   func() string { return fmt.Sprint("node", i) },
			Others: func() []string { return []string{fmt.Sprint("node", 1-i)} },

			countWait: natstest.Patience, // the machine may be busy
		})
		nodes[i].hub.receivers = 2 + i
	}
	answered := hammer(t, nodes, 5, 6, 40, func(got topic.Appended) error {
		if got.Receivers != 5 {
			return fmt.Errorf("%d receivers, want 5", got.Receivers)
		}
		return nil
	})
	newest := uint64(0)
	for seq := range answered {
		newest = max(newest, seq)
	}
	for i, n := range nodes {
		n.hub.until(t, "the newest event", func(h *fakeHub) bool { return len(h.events) >= len(answered) })
		checkOrder(t, fmt.Sprint("node", i), n.hub.all(), answered)
		if stats := n.Stats(); stats.Appends != 5*3*40 || stats.CountTimeouts > 0 || stats.Applied != uint64(len(answered)) {
			t.Errorf("node %d: %+v", i, stats)
		}
	}
}

// hammer appends from several goroutines to each topic, divided over the nodes,
// and returns what was answered: the data by its position.
func hammer(
	t *testing.T, nodes []*logNode, topics, writers, each int, check func(topic.Appended) error,
) map[uint64]string {
	t.Helper()
	var mu sync.Mutex
	answered := make(map[uint64]string)
	var wg sync.WaitGroup
	for k := range topics {
		for w := range writers {
			n := nodes[w%len(nodes)]
			wg.Go(func() {
				for i := range each {
					data := fmt.Sprintf("%d/%d", w, i)
					ctx, cancel := context.WithTimeout(t.Context(), 3*natstest.Patience)
					got, err := n.append(ctx, fmt.Sprint("topic", k), data)
					cancel()
					if err == nil && check != nil {
						err = check(got)
					}
					if err != nil {
						t.Errorf("Append(%s) = %v", data, err)
						return
					}
					mu.Lock()
					answered[got.Seq] = fmt.Sprintf("topic%d:%s", k, data)
					mu.Unlock()
				}
			})
		}
	}
	wg.Wait()
	return answered
}

// checkOrder compares the events of a hub with the results of AppendAll. Each event comes once,
// and those of one goroutine in its order. Each names its predecessor.
func checkOrder(t *testing.T, who string, events []topic.Stored, answered map[uint64]string) {
	t.Helper()
	if len(events) != len(answered) {
		t.Errorf("%s: %d events, %d answered", who, len(events), len(answered))
	}
	position, prev, next := uint64(0), map[string]uint64{}, map[string]int{}
	for _, e := range events {
		if e.Seq <= position {
			t.Errorf("%s: event %d after %d", who, e.Seq, position)
		}
		position = e.Seq
		if want := e.Topic + ":" + e.Data; answered[e.Seq] != want {
			t.Errorf("%s: event %d is %q, answered %q", who, e.Seq, want, answered[e.Seq])
		}
		if e.PrevKnown && e.Prev != prev[e.Topic] {
			t.Errorf("%s: event %d is said to follow %d, and follows %d", who, e.Seq, e.Prev, prev[e.Topic])
		}
		prev[e.Topic] = e.Seq
		writer, number, _ := strings.Cut(e.Data, "/")
		if writer = e.Topic + ":" + writer; number != fmt.Sprint(next[writer]) {
			t.Errorf("%s: %s of %s is number %d", who, number, writer, next[writer])
		}
		next[writer]++
	}
}

func TestPrevOfAFasterOneIsNotKnown(t *testing.T) {
	t.Parallel()
	n := soloLog(t)
	first := n.mustAppend(t, "a", "1")
	n.mustAppend(t, "b", "1")
	late := n.hub.entry("a", "2")
	faster := n.mustAppend(t, "a", "faster")
	if _, err := n.Append(t.Context(), late); err != nil {
		t.Fatal(err)
	}
	e := n.hub.all()
	if got := e[len(e)-1]; got.Data != "2" || got.PrevKnown || got.Prev != faster.Seq {
		t.Errorf("the slower one is %+v, want it to name the one that was faster", got)
	}
	if got := e[len(e)-2]; !got.PrevKnown || got.Prev != first.Seq {
		t.Errorf("the faster one is %+v", got)
	}
	if got := n.Stats().Conflicts; got != 1 {
		t.Errorf("%d conflicts", got)
	}
}

// TestPrevBehindItsEventIsNotKnown: a publisher that has not seen that the log went
// back names what was lost.
func TestPrevBehindItsEventIsNotKnown(t *testing.T) {
	t.Parallel()
	n := soloLog(t)
	for _, prev := range []uint64{1, 1000} { // the event's own position, and one behind it
		e := n.hub.entry(fmt.Sprint("topic", prev), "1")
		e.Number, e.Prev = 7, prev
		got, err := n.Append(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		all := n.hub.all()
		if last := all[len(all)-1]; last.Seq != got.Seq || last.PrevKnown != (prev < got.Seq) {
			t.Errorf("with the predecessor %d it is %+v", prev, last)
		}
	}
}

func TestPrevThatHasExpiredIsKnown(t *testing.T) {
	t.Parallel()
	n := soloLog(t)
	n.mustAppend(t, "a", "1")
	second := n.mustAppend(t, "a", "2")
	for _, before := range []uint64{second.Seq, second.Seq + 1} {
		if err := n.Purge(t.Context(), "a", before); err != nil {
			t.Fatal(err)
		}
	}
	n.mustAppend(t, "a", "3")
	e := n.hub.all()
	if got := e[len(e)-1]; !got.PrevKnown || got.Prev != second.Seq || got.Number != 3 {
		t.Errorf("the event after expired ones is %+v", got)
	}
}

func TestAppendBehindTheEndReturnsWhatTheHubSays(t *testing.T) {
	t.Parallel()
	n := soloLog(t)
	n.mustAppend(t, "a", "1")
	stale := n.hub.entry("a", "late")
	end := n.hub.entry("a", "end")
	end.Close = true
	if _, err := n.Append(t.Context(), end); err != nil {
		t.Fatal(err)
	}
	if got, err := n.Append(t.Context(), stale); err != error(errTopicClosed) {
		t.Errorf("Append behind the end = %+v, %v", got, err)
	}
	fresh := n.hub.entry("a", "")
	fresh.Delete, fresh.HasEvent = true, false
	if _, err := n.Append(t.Context(), fresh); err != nil {
		t.Errorf("Append of a deletion = %v", err)
	}
	n.mustAppend(t, "a", "anew")
}

// TestX35ACallerThatLeavesSaysNothingOfOtherNodes: they were not waited for the next
// time, and their streams not counted.
func TestX35ACallerThatLeavesSaysNothingOfOtherNodes(t *testing.T) {
	t.Parallel()
	s, _ := natstest.Serve(t, t.TempDir(), 0)
	e := openURL(t, s.URL())
	n := runLog(t, e, makeEV(t, e, 1), Options{Others: func() []string { return []string{"ghost"} }, countWait: time.Hour})
	counted := func(end func(*appendBatch)) {
		t.Helper()
		a := newAppendBatch(t.Context(), n.Log, []topic.Entry{n.hub.entry("a", "1")})
		_, size := a.take(0)
		if err := a.start(size); err != nil {
			t.Fatal(err)
		}
		w := a.events[0]
		w.state, a.left = acknowledged, 1
		if a.onUpdate(update{event: w, resolved: true}); w.state != counting {
			t.Fatalf("the state is %v, want that others are waited for", w.state)
		}
		if end(a); a.left != 0 || a.results[0].Err != nil {
			t.Errorf("%d are not answered, the result is %+v", a.left, a.results[0])
		}
		n.inflight.leave(a.events)
	}
	counted(func(a *appendBatch) { a.abandon(context.Canceled) })
	if len(n.inflight.silent) != 0 {
		t.Errorf("mute %v after the caller has gone", n.inflight.silent)
	}
	counted(func(a *appendBatch) { a.tick(time.Now().Add(2 * time.Hour)) })
	if len(n.inflight.silent) != 1 {
		t.Errorf("mute %v after a node was late", n.inflight.silent)
	}
}

func TestNodesThatAreGoneAreDropped(t *testing.T) {
	t.Parallel()
	var m inflight
	m.init()
	w := new(inflightEvent)
	m.enter([]*inflightEvent{w}, "n", []string{"n", "a", "b"})
	m.count("a", w.ref.n, 3)
	m.markSilent(w)
	if got := m.total(w); got.Receivers != 3 || len(m.silent) != 1 {
		t.Errorf("%+v, mute %v", got, m.silent)
	}
	m.dropDead([]string{"n", "b"})
	if len(m.silent) != 1 {
		t.Errorf("mute %v", m.silent)
	}
	m.dropDead([]string{"n"})
	if len(m.silent) != 0 {
		t.Errorf("mute %v", m.silent)
	}
}
