package eventlog

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"tidegate/internal/storage/natstest"
	"tidegate/internal/topic"
	"tidegate/internal/wire"
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

// checkOrder compares what a hub was given with what was answered: each once,
// what one goroutine did in its order, and what is said of the event before.
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

func TestRepeatOfAKeyAnswersTheFirst(t *testing.T) {
	t.Parallel()
	s, _ := natstest.Serve(t, t.TempDir(), 0)
	var nodes []*logNode
	for range 2 {
		e := openURL(t, s.URL())
		nodes = append(nodes, runLog(t, e, makeEV(t, e, 1), Options{}))
	}
	entry := nodes[0].hub.entry("a", "1")
	entry.Key = "k"
	first, err := nodes[0].Append(t.Context(), entry)
	if err != nil || first.Repeat || first.At == 0 {
		t.Fatalf("the first = %+v, %v", first, err)
	}
	other := nodes[0].hub.entry("b", "1")
	other.Key = "k"
	if got, err := nodes[0].Append(t.Context(), other); err != nil || got.Repeat {
		t.Errorf("the key at another topic = %+v, %v", got, err)
	}
	nodes[0].mustAppend(t, "a", "2")
	want := topic.Appended{Seq: first.Seq, At: first.At, Repeat: true}
	for i, n := range nodes {
		again := entry // with a Prev of long ago
		if got, err := n.Append(t.Context(), again); err != nil || got != want {
			t.Errorf("node %d: the repeat = %+v, %v, want %+v", i, got, err, want)
		}
		again = n.hub.entry("a", "1")
		again.Key = "k"
		if got, err := n.Append(t.Context(), again); err != nil || got != want {
			t.Errorf("node %d: the repeat = %+v, %v, want %+v", i, got, err, want)
		}
	}
	for i, n := range nodes { // X45
		for what, change := range map[string]func(*topic.Entry){
			"data":  func(e *topic.Entry) { e.Data = "other" },
			"name":  func(e *topic.Entry) { e.Name = "other" },
			"close": func(e *topic.Entry) { e.Close = true },
		} {
			other := n.hub.entry("a", "1")
			other.Key = "k"
			change(&other)
			if got, err := n.Append(t.Context(), other); !errors.Is(err, topic.ErrMismatch) {
				t.Errorf("node %d: the key with other %s = %+v, %v, want ErrMismatch", i, what, got, err)
			}
		}
	}
	if got := len(nodes[0].hub.all()); got != 3 {
		t.Errorf("%d events, want 3", got)
	}
}

// The time of the next event would make an id of it that leads nowhere.
func TestRepeatOfADroppedEventHasNoTime(t *testing.T) {
	t.Parallel()
	n := soloLog(t)
	entry := n.hub.entry("a", "1")
	entry.Key = "k"
	first, err := n.Append(t.Context(), entry)
	if err != nil {
		t.Fatal(err)
	}
	n.mustAppend(t, "b", "1")
	if err := n.Purge(t.Context(), "a", first.Seq+1); err != nil {
		t.Fatal(err)
	}
	want := topic.Appended{Seq: first.Seq, Repeat: true}
	if got, err := n.Append(t.Context(), entry); err != nil || got != want {
		t.Errorf("the repeat = %+v, %v, want %+v", got, err, want)
	}
}

// The server's answer is lost, and the event published again.
func TestEventThatIsPublishedAgainIsStoredOnce(t *testing.T) {
	t.Parallel()
	n := soloLog(t)
	n.mustAppend(t, "a", "1")
	e := n.hub.entry("a", "2")
	a := newAppendBatch(t.Context(), n.Log, []topic.Entry{e})
	_, size := a.take(0)
	if err := a.start(size); err != nil {
		t.Fatal(err)
	}
	try := newTry(e, a.events[0].ref)
	first, err := n.e.JetStream().PublishMsg(t.Context(), try.message(n.e))
	if err != nil {
		t.Fatal(err)
	}
	a.run() // it now is itself what was not expected
	if r := a.results[0]; r.Err != nil || r.Seq != first.Sequence {
		t.Errorf("it came as %+v", r)
	}
	_, err = n.e.JetStream().PublishMsg(t.Context(), try.message(n.e))
	if verdict, err := n.again(&try, err); verdict != tryNow || err != nil || !try.blind {
		t.Fatalf("the second try = %v, %v, then %+v", verdict, err, try)
	}
	again, err := n.e.JetStream().PublishMsg(t.Context(), try.message(n.e))
	if err != nil || !again.Duplicate || again.Sequence != first.Sequence {
		t.Errorf("the third try = %+v, %v", again, err)
	}
	n.mustAppend(t, "a", "3")
	if got := n.hub.data("a"); len(got) != 3 {
		t.Errorf("the hub was given %q", got)
	}
}

func TestEventThatDoesNotComeBackIsAnError(t *testing.T) {
	t.Parallel()
	var m inflight
	m.init()
	enter := func(acked uint64) *inflightEvent {
		w := new(inflightEvent)
		m.enter([]*inflightEvent{w}, "n", nil)
		if acked > 0 {
			m.answered(w.ref.n, pubAck{seq: acked})
		}
		return w
	}
	comes, passed, lost, unseen, unanswered := enter(0), enter(5), enter(90), enter(8), enter(0)
	if left := m.apply([]tailOutcome{{ref: comes.ref, seq: 4}, {ref: appendRef{"x", comes.ref.n}, seq: 6}}, 6); len(left) != 1 {
		t.Errorf("%v is left for others", left)
	}
	late := enter(6)
	m.rewind(9)
	if lost.resolved {
		t.Error("what may be new is not waited for")
	}
	m.rewind(3)
	m.advance(91)
	for name, tt := range map[string]struct {
		w    *inflightEvent
		want error
	}{
		"came": {comes, nil}, "was passed": {passed, errPassed},
		"was answered when it had been passed": {late, errPassed}, "was lost": {lost, errPassed},
		"was stored when nobody looked": {unseen, errRewound},
	} {
		if !tt.w.resolved || tt.w.err != tt.want {
			t.Errorf("what %s: %v, resolved %v", name, tt.w.err, tt.w.resolved)
		}
	}
	if unanswered.resolved || m.at() != 91 {
		t.Errorf("what has no answer yet is resolved, or the position is %d", m.at())
	}
	m.leave([]*inflightEvent{comes, passed, lost, unseen, unanswered, late, enter(100)})
	if len(m.waiting) > 0 || m.acked.Len() > 0 {
		t.Errorf("%d wait, %d with a position", len(m.waiting), m.acked.Len())
	}
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

func TestNodesThatAreGoneAreForgotten(t *testing.T) {
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

func TestTooLargeSaysTheLimit(t *testing.T) {
	t.Parallel()
	n := soloLog(t)
	n.mustAppend(t, "a", strings.Repeat("x", 255<<10))
	for _, size := range []int{256 << 10, 4 << 20} {
		_, err := n.append(t.Context(), "a", strings.Repeat("x", size))
		e, ok := errors.AsType[*wire.Error](err)
		if !ok || e.Status != 413 || e.Code != wire.CodeBodyTooLarge || !strings.Contains(e.Message, "261632") {
			t.Errorf("Append of %d bytes = %v", size, err)
		}
	}
	n.mustAppend(t, "a", "and on")
}

func TestNodeThatDoesNotTellIsWaitedForOnce(t *testing.T) {
	t.Parallel()
	s, _ := natstest.Serve(t, t.TempDir(), 0)
	e := openURL(t, s.URL())
	n := runLog(t, e, makeEV(t, e, 1), Options{Others: func() []string { return []string{"ghost"} }})
	n.hub.receivers = 1
	for range 3 {
		if got := n.mustAppend(t, "a", "1"); got.Receivers != 1 {
			t.Errorf("%+v", got)
		}
	}
	if got := n.Stats().CountTimeouts; got != 1 {
		t.Errorf("waited %d times", got)
	}
	// When a count comes again, it is waited for again.
	n.onCounts(countsMsg("ghost", 1, 1))
	n.mustAppend(t, "a", "2")
	if got := n.Stats().CountTimeouts; got != 2 {
		t.Errorf("waited %d times", got)
	}
}

func TestAppendWithoutAServerEnds(t *testing.T) {
	t.Parallel()
	s, stop := natstest.Serve(t, t.TempDir(), 0)
	e := openURL(t, s.URL())
	n := runLog(t, e, makeEV(t, e, 1), Options{})
	stop()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := n.append(ctx, "a", "1")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Append = %v", err)
	}
	if _, ok := errors.AsType[*wire.Error](err); ok {
		t.Errorf("Append = %v, which would reach the caller", err)
	}
	n.stop()
	e.Close()
	if _, err := n.append(t.Context(), "a", "1"); err == nil {
		t.Error("Append without a connection is no error")
	}
}

func TestAgeBecomesATTL(t *testing.T) {
	t.Parallel()
	n := soloLog(t)
	entry := n.hub.entry("a", "1")
	entry.Age = 90*time.Second + time.Millisecond
	if _, err := n.Append(t.Context(), entry); err != nil {
		t.Fatal(err)
	}
	if got := n.hub.all()[0].Age; got != 91*time.Second {
		t.Errorf("the age is %v", got)
	}
}

// What the hubs of all nodes refuse would count when the topic is trimmed, and be
// the newest event for a node that begins later.
func TestRefusedEventDoesNotStayInTheLog(t *testing.T) {
	t.Parallel()
	n := soloLog(t)
	n.mustAppend(t, "a", "1")
	stale := n.hub.entry("a", "late")
	end := n.hub.entry("a", "end")
	end.Close = true
	last, err := n.Append(t.Context(), end)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Append(t.Context(), stale); err != error(errTopicClosed) {
		t.Fatalf("Append behind the end = %v", err)
	}
	if e, ok, err := n.Last(t.Context(), "a"); err != nil || !ok || e.Seq != last.Seq {
		t.Errorf("Last = %+v, %v, %v, want the end", e, ok, err)
	}
	n.mustAppend(t, "b", "and on")
	if len(n.hub.rewound) > 0 || n.Stats().TailStarts != 1 {
		t.Errorf("the tail was disturbed: %+v, rewound to %v", n.Stats(), n.hub.rewound)
	}
}
