package topic_test

import (
	"errors"
	"testing"

	"tidegate/internal/topic"
)

// blind is an event whose publisher did not know of the one before it.
func blind(e topic.Stored) topic.Stored {
	e.PrevKnown = false
	return e
}

// final is the event that closes its topic.
func final(e topic.Stored) topic.Stored {
	e.Close = true
	return e
}

// Two nodes published at the same time, one of them the end: the store has an
// event behind it. A node that begins later, with any part of this, sees the
// topic as those do that saw the end come.
func TestAnEventThatWasStoredBehindTheEndDoesNotOpenTheTopic(t *testing.T) {
	t.Parallel()
	for back := range 5 {
		s := newFakeStore()
		s.events = []topic.Stored{
			storedEvent(1, "all:a", "1", 1, 0),
			final(storedEvent(2, "all:a", "2", 2, 1)),
			blind(storedEvent(3, "all:a", "late", 2, 1)),
			storedEvent(4, "all:b", "other", 1, 0),
		}
		start := func() *topic.Hub { return s.start(durable, back) }

		_, err := start().Publish(ctx, topic.Publication{Topic: "all:a", HasEvent: true, Data: "later still"})
		if !errors.Is(err, topic.ErrClosed) || len(s.events) != 4 {
			t.Fatalf("%d events in memory: publish = %v, want ErrClosed", back, err)
		}
		h := start()
		if _, m := connect(t, h, storeID(h, 2), topic.FromDefault, "all:a"); !h.Open(m) {
			t.Errorf("%d events in memory: a client with the final id is not asked to stay away", back)
		}
		h = start()
		if got := resume(t, h, storeID(h, 1), "all:a"); got != "2" {
			t.Errorf("%d events in memory: after the first event received %q, want 2", back, got)
		}
		for _, from := range []string{topic.FromEarliest, topic.FromLatest} {
			c, m := connect(t, start(), "", from, "all:a")
			want := "1 2"
			if from == topic.FromLatest {
				want = ""
			}
			if got := c.got(t); got != want || len(s.hub.Topics(m)) > 0 {
				t.Errorf("%d events in memory: from %s received %q and is at %q, want %q and nothing", back, from, got, s.hub.Topics(m), want)
			}
		}
		info, err := start().Info(ctx, "all:a")
		if err != nil || !info.Closed || info.LastID != storeID(h, 2) {
			t.Errorf("%d events in memory: Info = %+v, %v, want it closed by the second event", back, info, err)
		}
	}
}

// An event that came at the same time as another one is no reason to take a topic
// for closed.
func TestATopicIsOpenBehindAnEventThatCameWithAnother(t *testing.T) {
	t.Parallel()
	for back := range 4 {
		s := newFakeStore()
		s.events = []topic.Stored{
			storedEvent(1, "all:a", "1", 1, 0),
			blind(storedEvent(2, "all:a", "2", 1, 0)),
			storedEvent(3, "all:b", "other", 1, 0),
		}
		h := s.start(durable, back)
		publish(t, h, "all:a", "3")
		if got := s.events[3]; got.Prev != 2 {
			t.Errorf("%d events in memory: published %+v, want it to follow event 2", back, got)
		}
		if got := resume(t, h, storeID(h, 1), "all:a"); got != "2 3" {
			t.Errorf("%d events in memory: received %q, want 2 3", back, got)
		}
	}
}

// Two nodes published the first event of a topic at the same time. Both say that
// theirs is number 1.
func TestTheLossOfAnEventIsReportedThoughTheNextOneTakesItselfForTheFirst(t *testing.T) {
	t.Parallel()
	s := newFakeStore()
	s.events = []topic.Stored{ // and event 1 has been dropped
		blind(storedEvent(2, "all:a", "2", 1, 0)),
		storedEvent(3, "all:b", "other", 1, 0),
	}
	s.first = 2
	h := s.start(durable, 1)
	for _, id := range []string{"", h.ID(0, 0)} {
		if got := resume(t, h, id, "all:a"); got != "reset 2" {
			t.Errorf("with the id %q received %q, want a reset first", id, got)
		}
	}
}
