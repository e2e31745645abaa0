package topic_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"tidegate/internal/topic"
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
		h.FanOutOver(wide, 10)
		publish(t, h, "all:quiet", "q1")
		publish(t, h, "all:a", "2", "3", "4", "5", "6")
		for h.FanningOut() > 0 {
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
		for h.FanningOut() > 0 {
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

// TestAStoreThatWentBackAndWasFilledAgainIsServedAsItIs: new events of others stand
// in it already, up to below or above where the hub was.
func TestAStoreThatWentBackAndWasFilledAgainIsServedAsItIs(t *testing.T) {
	t.Parallel()
	for _, more := range []int{0, 1, 4, 9} {
		s := newFakeStore()
		h := s.start(durable, 0)
		publish(t, h, "all:b", "b1")
		publish(t, h, "all:a", "2", "3", "4", "5", "6")
		a, _ := open(t, h, "", topic.FromDefault, "all:a")
		b, _ := open(t, h, storeID(h, 1), topic.FromDefault, "all:b")
		s.lose(3)
		var news []string
		for i := range more {
			news = append(news, fmt.Sprint("new", i))
			s.elsewhere("all:b", news[i])
		}
		if at, anew := s.rewind(t, ""); at != 3 || anew {
			t.Fatalf("%d more: it went back to %d, anew: %v", more, at, anew)
		}
		publish(t, h, "all:a", "after")
		publish(t, h, "all:b", "after")
		newsAfter := strings.Join(append(news, "after"), " ")
		wantGot(t, "one that saw what was lost", a, "2 3 4 5 6 reset after")
		wantGot(t, "one that did not", b, newsAfter)
		na, _ := open(t, h, "", topic.FromDefault, "all:a")
		nb, _ := open(t, h, "", topic.FromDefault, "all:b")
		wantGot(t, "a newcomer", na, "2 3 after")
		wantGot(t, "a newcomer at the other topic", nb, "b1 "+newsAfter)
	}
}

func TestAStoreThatHasNothingInCommonIsBegunAnew(t *testing.T) {
	t.Parallel()
	s := newFakeStore()
	h := s.start(durable, 0)
	publish(t, h, "all:a", "1", "2", "3")
	a, am := open(t, h, "", topic.FromDefault, "all:a")
	b, _ := open(t, h, "", topic.FromDefault, "all:b")
	s.lose(0)
	s.elsewhere("all:b", "new 1")
	s.elsewhere("all:a", "new 2")
	s.take(topic.Entry{Topic: "all:a", HasEvent: true, Data: "end", Number: 2, Prev: 2, Close: true})
	if at, anew := s.rewind(t, "another1"); at != 3 || !anew {
		t.Fatalf("it began at %d, anew: %v", at, anew)
	}
	publish(t, h, "all:b", "new 4")
	wantGot(t, "one that saw what was lost", a, "1 2 3 reset")
	wantGot(t, "one that saw nothing", b, "reset new 4")
	if got := b.lastID(t); got != h.ID(4, timeAt(4)+s.epoch) || !strings.HasPrefix(got, "another1-") {
		t.Errorf("its last id is %q", got)
	}
	if _, err := h.Publish(ctx, topic.Publication{Topic: "all:a", HasEvent: true}); !errors.Is(err, topic.ErrClosed) {
		t.Errorf("publish behind an end that the hub was not given: %v, want ErrClosed", err)
	}
	if a.ending == nil || len(h.Topics(am)) > 0 {
		t.Error("a stream stays at the topic that was found to be closed")
	}
	c, _ := open(t, h, "", topic.FromDefault, "all:a", "all:b")
	wantGot(t, "a newcomer", c, "new 1 new 2 end new 4")
}

// TestIDsFromMemoryAreOfTheNewGeneration: events that are held have ids in their
// frames.
func TestIDsFromMemoryAreOfTheNewGeneration(t *testing.T) {
	t.Parallel()
	s := newFakeStore()
	h := s.start(durable, 0)
	publish(t, h, "all:a", "1", "2")
	c, _ := open(t, h, "", topic.FromDefault, "all:a")
	if at, anew := s.rewind(t, "another1"); at != 2 || anew {
		t.Fatalf("it went back to %d, anew: %v", at, anew)
	}
	wantGot(t, "an open stream, whose ids are void", c, "1 2 reset")
	for _, id := range []string{"", c.lastID(t)} {
		again, _ := open(t, h, id, topic.FromDefault, "all:a")
		if got := again.lastID(t); !strings.HasPrefix(got, "another1-") {
			t.Errorf("with the id %q the last id is %q", id, got)
		}
		if got, _, _ := strings.Cut(again.got(t), " "); got == "reset" {
			t.Errorf("with the id %q, of the new generation, it was notified of a loss", id)
		}
	}
}

// TestCommonIsTheNewestEventThatIsWhereItWas: whatever has expired around it.
func TestCommonIsTheNewestEventThatIsWhereItWas(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 0))
		s := newFakeStore()
		h := s.start(durable, 0)
		for i := range 1 + rng.IntN(40) {
			publish(t, h, "all:a", fmt.Sprint(i))
		}
		expire := func(percent int) {
			s.events = slices.DeleteFunc(s.events, func(topic.Stored) bool { return rng.IntN(100) < percent })
		}
		expire(rng.IntN(100))
		s.lose(rng.Uint64N(s.head() + 1))
		want := uint64(0)
		if len(s.events) > 0 {
			want = s.head()
		}
		for range rng.IntN(40) {
			s.elsewhere("all:b", "new")
		}
		if rng.IntN(2) == 0 && want > 0 { // not the one that is looked for
			s.events = slices.DeleteFunc(s.events, func(e topic.Stored) bool { return e.Seq > want && rng.IntN(2) == 0 })
		}
		got, at, err := h.Common(ctx)
		if err != nil || got != want || want > 0 && at != timeAt(want) {
			t.Fatalf("seed %d: Common = %d, %d, %v, want %d", seed, got, at, err, want)
		}
	}
	s := newFakeStore()
	h := s.start(durable, 0)
	publish(t, h, "all:a", "1")
	s.away = true
	if _, _, err := h.Common(ctx); !errors.Is(err, errAway) {
		t.Errorf("without the store: %v, want its error", err)
	}
}

func TestAnIDThatWasLookedUpBeforeTheStoreWentBackDoesNotHold(t *testing.T) {
	t.Parallel()
	s := newFakeStore()
	h := s.start(durable, 0)
	publish(t, h, "all:a", "1", "2", "3")
	c, m := connect(t, h, storeID(h, 3), topic.FromDefault, "all:a")
	s.lose(1)
	s.elsewhere("all:b", "new 2")
	s.rewind(t, "")
	h.Open(m)
	attach(t, h, m, topic.FromDefault, "all:b")
	publish(t, h, "all:b", "new 3")
	wantGot(t, "the stream", c, "reset reset new 2 new 3")
}

// TestWhatIsReadWhileTheStoreGoesBackIsNotUsed: it may be of before, although what
// is missing looks the same.
func TestWhatIsReadWhileTheStoreGoesBackIsNotUsed(t *testing.T) {
	t.Parallel()
	s := newFakeStore()
	h := s.start(durable, 0)
	publish(t, h, "all:a", "1", "2", "3")
	h = s.start(durable, 0) // which is given nothing of it
	s.meanwhile = func() {
		s.lose(1)
		s.elsewhere("all:b", "new 2")
		s.elsewhere("all:a", "new 3")
		h.Begin(4, timeAt(3)+s.epoch, "")
	}
	c, _ := connect(t, h, "", topic.FromDefault, "all:a")
	wantGot(t, "a newcomer", c, "1 new 3")
}
