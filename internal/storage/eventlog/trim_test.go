package eventlog

import (
	"fmt"
	"testing"

	"tidegate/internal/storage/natstest"
)

func TestLastAndTime(t *testing.T) {
	t.Parallel()
	n := soloLog(t)
	if _, ok, err := n.Last(t.Context(), "a"); ok || err != nil {
		t.Errorf("Last of nothing = %v, %v", ok, err)
	}
	if at, exact, err := n.Time(t.Context(), 1); at != 0 || exact || err != nil {
		t.Errorf("Time of nothing = %d, %v, %v", at, exact, err)
	}
	first := n.mustAppend(t, "a", "1")
	second := n.mustAppend(t, "b", "1")
	third := n.mustAppend(t, "a", "2")
	if e, ok, err := n.Last(t.Context(), "a"); !ok || err != nil || e != n.hub.all()[2] {
		t.Errorf("Last = %+v, %v, %v", e, ok, err)
	}
	if err := n.Purge(t.Context(), "b", 0); err != nil {
		t.Fatal(err)
	}
	if _, ok, _ := n.Last(t.Context(), "b"); !ok {
		t.Error("Purge below 0 has dropped something")
	}
	if err := n.Purge(t.Context(), "b", second.Seq+1); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		seq   uint64
		at    int64
		exact bool
	}{
		{0, first.At, false},
		{first.Seq, first.At, true},
		{second.Seq, third.At, false},
		{third.Seq, third.At, true},
		{third.Seq + 1, 0, false},
	} {
		if at, exact, err := n.Time(t.Context(), tt.seq); at != tt.at || exact != tt.exact || err != nil {
			t.Errorf("Time(%d) = %d, %v, %v, want %d, %v", tt.seq, at, exact, err, tt.at, tt.exact)
		}
	}
}

func TestTrimKeepsTheNewest(t *testing.T) {
	t.Parallel()
	n := soloLog(t)
	for i := range 5 {
		n.mustAppend(t, "a", fmt.Sprint(i))
		n.mustAppend(t, "b", fmt.Sprint(i))
	}
	for range 100 {
		n.Trim("a", 2)
	}
	n.Trim("b", 0)
	left := func(name string) int {
		got, err := readAll(n.Log, name, 1, 1<<40)
		if err != nil {
			t.Errorf("Read = %v", err)
		}
		return len(got)
	}
	logBecomes(t, "trimmed", func() bool { return left("a") == 2 && left("b") == 0 })
	n.mustAppend(t, "b", "on")
	n.Trim("a", 1)
	logBecomes(t, "trimmed again", func() bool { return left("a") == 1 })
}

func TestTrimsWaitInABoundedQueue(t *testing.T) {
	t.Parallel()
	s, _ := natstest.Serve(t, t.TempDir(), 0)
	e := openURL(t, s.URL())
	l := newLog(e, makeEV(t, e, 1), Options{})
	for i := range maxTrims + 10 {
		l.Trim(fmt.Sprint(i), 1)
	}
	l.Trim("7", 3)
	if got := l.Stats().TrimsRefused; got != 10 {
		t.Errorf("%d refused, want 10", got)
	}
	waiting := l.trims.take()
	if len(waiting) != maxTrims || waiting["7"] != 3 {
		t.Errorf("%d topics wait, topic 7 keeps %d", len(waiting), waiting["7"])
	}
	l.Trim("7", 4)
	l.trims.restore(waiting)
	if again := l.trims.take(); len(again) != maxTrims || again["7"] != 4 {
		t.Errorf("%d topics wait again, topic 7 keeps %d", len(again), again["7"])
	}
}

func TestDiscardedIsWhereAFullLogBegins(t *testing.T) {
	t.Parallel()
	s, _ := natstest.Serve(t, t.TempDir(), 0)
	e := openURL(t, s.URL())
	config := evConfig(e, 1)
	config.MaxBytes = 4096
	ev, err := e.JetStream().CreateStream(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	n := runLog(t, e, ev, Options{})
	n.mustAppend(t, "a", "1")
	n.mustInfo(t)
	if got := n.Discarded(); got != 0 {
		t.Errorf("Discarded of a log with room = %d", got)
	}
	for i := range 100 {
		n.mustAppend(t, "a", fmt.Sprint(i))
	}
	first := n.mustInfo(t)
	if got := n.Discarded(); got != first || got < 50 {
		t.Errorf("Discarded of a full log = %d, it begins at %d", got, first)
	}
}

// mustInfo looks at the stream and returns its first position.
func (n *logNode) mustInfo(t *testing.T) uint64 {
	t.Helper()
	info, err := n.info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return info.State.FirstSeq
}
