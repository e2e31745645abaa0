package eventlog

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"tidegate/internal/storage/natstest"
	"tidegate/internal/wire"
)

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

func TestASilentNodeIsWaitedForOnce(t *testing.T) {
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
