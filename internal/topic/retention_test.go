package topic_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/internal/topic"
)

// newHub makes a hub with one retention for all topics.
func newHub(keep topic.Retention) *topic.Hub { return topic.New(topic.Options{Default: keep}) }

// held is what a topic holds, in one line.
func held(t *testing.T, h *topic.Hub, name string) string {
	t.Helper()
	s, m := connect(t, h, "", topic.FromEarliest, name)
	h.Leave(m)
	return s.got(t)
}

func TestRetentionByCountDropsTheOldest(t *testing.T) {
	t.Parallel()
	h := newHub(topic.Retention{Events: 3})
	for i := range 100 { // often enough for the log to move down in its array
		publish(t, h, "a", fmt.Sprint(i))
	}
	publish(t, h, "b", "other")
	if got, want := held(t, h, "a"), "97 98 99"; got != want {
		t.Errorf("held %q, want %q", got, want)
	}
	if got := held(t, h, "b"); got != "other" {
		t.Errorf("the other topic holds %q", got)
	}
	st := h.Stats()
	if st.Events != 4 || st.Dropped[topic.DropEvents] != 97 || st.Published != 101 {
		t.Errorf("Stats() = %+v, want 4 events, 97 dropped by count of 101", st)
	}
}

func TestRetentionByBytesKeepsAtLeastOne(t *testing.T) {
	t.Parallel()
	h := newHub(topic.Retention{Events: 100, Bytes: 1000})
	for range 10 {
		publish(t, h, "a", strings.Repeat("x", 300))
	}
	info, err := h.Info(ctx, "a")
	if err != nil || info.Events != 3 || info.Bytes > 1000 {
		t.Errorf("Info = %+v, %v; want 3 events within 1000 bytes", info, err)
	}
	publish(t, h, "a", strings.Repeat("x", 5000))
	if info, _ = h.Info(ctx, "a"); info.Events != 1 {
		t.Errorf("after a large event: %d events held, want it alone", info.Events)
	}
	if st := h.Stats(); st.Bytes != info.Bytes || st.Dropped[topic.DropBytes] != 10 {
		t.Errorf("Stats() = %+v, want the topic's %d bytes and 10 dropped for bytes", st, info.Bytes)
	}
}

func TestRetentionByAgeWhileTheTopicIsQuiet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub(topic.Retention{Events: 100, Age: time.Minute, Replay: topic.ReplayAll})
		run(t, h)
		publish(t, h, "a", "1")
		time.Sleep(30 * time.Second)
		publish(t, h, "a", "2")
		for i := range 1000 { // more topics than one step looks at
			publish(t, h, fmt.Sprint("quiet:", i), "x")
		}
		time.Sleep(29 * time.Second)
		if got := held(t, h, "a"); got != "1 2" {
			t.Errorf("a second before its age: held %q", got)
		}
		time.Sleep(2 * time.Second)
		if got := held(t, h, "a"); got != "2" {
			t.Errorf("a second after its age: held %q, want the younger one alone", got)
		}
		time.Sleep(30 * time.Second)
		if st := h.Stats(); st.Events != 0 || st.Topics != 0 || st.Bytes != 0 || st.Dropped[topic.DropAge] != 1002 {
			t.Errorf("when all is too old: %+v, want nothing held, no topic, 1002 dropped for age", st)
		}
	})
}

func TestRetentionByAgeFollowsLaterEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub(topic.Retention{Events: 2, Age: 10 * time.Second})
		run(t, h)
		for i := range 50 { // each drops one by count, so the heap's key is early
			publish(t, h, "busy", fmt.Sprint(i))
			time.Sleep(time.Second)
		}
		if got := held(t, h, "busy"); got != "48 49" {
			t.Errorf("held %q, want the newest two", got)
		}
		time.Sleep(10 * time.Second)
		if _, err := h.Info(ctx, "busy"); !errors.Is(err, topic.ErrNotFound) {
			t.Errorf("10 s later: %v, want ErrNotFound", err)
		}
	})
}

// run runs the hub until the test ends.
func run(t *testing.T, h *topic.Hub) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- h.Run(ctx) }() // the cleanup waits for it
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	for range 50 {
		h := newHub(topic.Retention{Events: 1, Age: time.Nanosecond})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- h.Run(ctx) }() // ends with ctx, awaited below
		publish(t, h, "a", "x")
		cancel()
		if err := <-done; err != nil {
			t.Fatalf("Run: %v", err)
		}
	}
}

func TestMemoryOfAllTopicsIsBoundedAndTheLeastRecentlyUsedGives(t *testing.T) {
	t.Parallel()
	h := topic.New(topic.Options{Default: topic.Retention{Events: 1000, Replay: topic.ReplayAll}, MaxBytes: 14_000})
	publish(t, h, "older but used again", strings.Repeat("u", 3000))
	publish(t, h, "old", strings.Repeat("o", 3000), "o", "o")
	publish(t, h, "older but used again", "u")
	publish(t, h, "new", strings.Repeat("n", 3000))
	publish(t, h, "new", strings.Repeat("n", 3000))
	for name, want := range map[string]int{"old": 2, "older but used again": 2, "new": 2} {
		if info, err := h.Info(ctx, name); err != nil || info.Events != want {
			t.Errorf("%s: %d events, %v; want %d", name, info.Events, err, want)
		}
	}
	if st := h.Stats(); st.Bytes > 10_000 || st.Dropped[topic.DropMemory] != 1 {
		t.Errorf("Stats() = %+v, want 10000 bytes at most and one event dropped for memory", st)
	}
	publish(t, h, "huge", strings.Repeat("h", 50_000)) // more than the bound by itself
	if st := h.Stats(); st.Events != 1 || st.Topics != 1 {
		t.Errorf("Stats() = %+v, want the huge event alone", st)
	}
	if s, _ := connect(t, h, "", topic.FromDefault, "old"); s.got(t) != "reset" {
		t.Errorf("who comes for what gave way got %q, want a reset", s.got(t))
	}
}

func TestATopicThatKeepsNothingLeavesNothing(t *testing.T) {
	t.Parallel()
	h := topic.New(topic.Options{Default: topic.Retention{Replay: topic.ReplayNone}, MaxTopics: 10})
	for i := range 1000 {
		publish(t, h, fmt.Sprint("live:", i), "x") // nobody is there
	}
	if st := h.Stats(); st.Topics != 0 || st.Events != 0 || st.Bytes != 0 || st.Published != 1000 {
		t.Errorf("Stats() = %+v, want no topic left of 1000 events", st)
	}
}

func TestATopicWithoutStreamsAndEventsIsForgotten(t *testing.T) {
	t.Parallel()
	h := newHub(topic.Retention{Events: 5})
	_, m := connect(t, h, "", topic.FromDefault, "a", "b", "c")
	h.Detach(m, []string{"b", "unknown"})
	if st := h.Stats(); st.Topics != 2 {
		t.Errorf("after detach: %d topics, want 2", st.Topics)
	}
	h.Leave(m)
	h.Leave(m)
	if st := h.Stats(); st.Topics != 0 {
		t.Errorf("after leave: %d topics, want 0", st.Topics)
	}
}

func TestTombstonesTellOfWhatWasLost(t *testing.T) {
	t.Parallel()
	h := newHub(topic.Retention{Replay: topic.ReplayNone})
	seen := publish(t, h, "gone", "seen")[0]
	publish(t, h, "gone", "missed")
	if got := resume(t, h, seen, "gone"); got != "reset" {
		t.Errorf("got %q, want a reset", got)
	}
	if got := resume(t, h, seen, "never was"); got != "" {
		t.Errorf("of a topic that never was: got %q, want nothing", got)
	}
}

func TestTombstonesAreBoundedAndTheOldestAreMerged(t *testing.T) {
	t.Parallel()
	h := newHub(topic.Retention{Replay: topic.ReplayNone})
	early := publish(t, h, "early", "seen")[0]
	publish(t, h, "early", "missed")
	publish(t, h, "again", "x")
	publish(t, h, "little", "x")
	later := publish(t, h, "little", "x")[0]
	for i := range topic.MaxTombstones - 1 {
		publish(t, h, fmt.Sprint("x:", i), "x")
		publish(t, h, "again", "x") // buried again and again, it is not the oldest for that
	}
	if n := h.Tombstones(); n != topic.MaxTombstones {
		t.Errorf("%d tombstones, want %d", n, topic.MaxTombstones)
	}
	// Nothing is known of it now, so the early id may have missed something.
	if got := resume(t, h, early, "early"); got != "reset" {
		t.Errorf("forgotten: got %q, want a reset", got)
	}
	if got := resume(t, h, later, "early"); got != "" {
		t.Errorf("from after all that is forgotten: got %q, want nothing", got)
	}
	if got := resume(t, h, "", "early"); got != "" {
		t.Errorf("a newcomer got %q, want nothing", got)
	}
}

// resume is what a client gets that comes with an id, reads, and leaves.
func resume(t *testing.T, h *topic.Hub, lastID, name string) string {
	t.Helper()
	s, m := connect(t, h, lastID, topic.FromDefault, name)
	h.Leave(m)
	return s.got(t)
}
