package topic_test

import (
	"testing"

	"sluice/internal/topic"
)

// open is connect for a stream whose callback was accepted.
func open(t testing.TB, h *topic.Hub, lastID, from string, topics ...string) (*sink, *topic.Member) {
	t.Helper()
	s, m := connect(t, h, lastID, from, topics...)
	h.Open(m)
	return s, m
}

// TestStreamsThatStandBehindTheEndOfAStoreThatWentBackGetWhatIsNew: also those that
// have that position from other topics, and at topics whose events are spread.
func TestStreamsThatStandBehindTheEndOfAStoreThatWentBackGetWhatIsNew(t *testing.T) {
	t.Parallel()
	for _, wide := range []int{1, 100} {
		s := newFakeStore()
		h := s.start(durable, 0)
		h.SpreadOver(wide, 10)
		publish(t, h, "all:quiet", "q1")
		publish(t, h, "all:a", "2", "3", "4", "5", "6")
		for h.Spreading() > 0 {
			h.Advance()
		}
		left, m := open(t, h, "", topic.FromDefault, "all:quiet", "all:a")
		h.Detach(m, []string{"all:a"})
		newcomer, _ := open(t, h, "", topic.FromLatest, "all:quiet")
		alone, am := open(t, h, "", topic.FromLatest, "all:a")
		h.Detach(am, []string{"all:a"})
		before, _ := open(t, h, storeID(h, 1), topic.FromDefault, "all:quiet")
		saw, _ := open(t, h, storeID(h, 4), topic.FromDefault, "all:quiet", "all:a")
		s.events = s.events[:3]
		h.Rewind(3, "")
		if got, want := newcomer.lastID(t), storeID(h, 3); got != want {
			t.Errorf("wide at %d: a stream that has had nothing of what was lost stands at %q, want %q", wide, got, want)
		}
		attach(t, h, am, topic.FromLatest, "all:quiet")
		publish(t, h, "all:quiet", "new 4")
		for h.Spreading() > 0 {
			h.Advance()
		}
		wantGot(t, "one that has left the other topic", left, "q1 2 3 4 5 6 new 4")
		wantGot(t, "a newcomer", newcomer, "new 4")
		wantGot(t, "one that was at no topic then", alone, "new 4")
		wantGot(t, "one that came back", before, "new 4")
		wantGot(t, "one that saw what was lost", saw, "5 6 reset new 4")
	}
}

// TestATopicWhoseEndWasLostCanBeAttachedAgain: a stream at several topics has had
// the end of one, which then was among what the store has lost.
func TestATopicWhoseEndWasLostCanBeAttachedAgain(t *testing.T) {
	t.Parallel()
	s := newFakeStore()
	h := s.start(durable, 0)
	c, m := open(t, h, "", topic.FromDefault, "all:a", "all:b")
	publish(t, h, "all:a", "1", "2")
	closeTopic(t, h, "all:a")
	s.events = s.events[:1]
	h.Rewind(1, "")
	publish(t, h, "all:a", "new 2")
	attach(t, h, m, topic.FromEarliest, "all:a")
	publish(t, h, "all:a", "new 3")
	wantGot(t, "the stream", c, "1 2 reset 1 new 2 new 3")
}

// TestATopicThatIsNotHeldIsNotClosedByAnEndThatWasLost: what is remembered of
// topics that made room goes back with the store, too.
func TestATopicThatIsNotHeldIsNotClosedByAnEndThatWasLost(t *testing.T) {
	t.Parallel()
	s := newFakeStore()
	opts := durable
	opts.MaxBytes = 1 // the newest event only
	h := s.start(opts, 0)
	publish(t, h, "all:a", "1")
	closeTopic(t, h, "all:a")
	publish(t, h, "all:b", "3", "4")
	s.events = s.events[:1]
	h.Rewind(1, "")
	publish(t, h, "all:a", "new 2")
	c, _ := connect(t, h, "", topic.FromDefault, "all:a", "all:b")
	wantGot(t, "a newcomer", c, "1 new 2")
}
