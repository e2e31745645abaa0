package eventlog

import (
	"errors"
	"testing"

	"tidegate/internal/storage/natstest"
	"tidegate/internal/topic"
)

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
