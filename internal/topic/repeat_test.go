package topic_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"tidegate/internal/topic"
)

// silentStore stores, and its answers are lost.
type silentStore struct {
	*fakeStore
	answers bool
	finds   [][2]uint64 // what ranges keys were looked for in
}

func (s *silentStore) AppendAll(ctx context.Context, entries []topic.Entry) []topic.Result {
	return topic.OneByOne(ctx, entries, s.append)
}

func (s *silentStore) append(ctx context.Context, e topic.Entry) (topic.Appended, error) {
	got, err := s.fakeStore.append(ctx, e)
	if !s.answers {
		return topic.Appended{}, errAway
	}
	return got, err
}

func (s *silentStore) Find(ctx context.Context, e topic.Entry, from, before uint64) (topic.Appended, bool, error) {
	s.finds = append(s.finds, [2]uint64{from, before})
	return s.fakeStore.Find(ctx, e, from, before)
}

// node makes a hub that is given what is stored from position floor on.
func (s *silentStore) node(floor uint64) *topic.Hub {
	opts := durable
	opts.Store, opts.Generation = s, "teststor"
	s.hub = topic.New(opts)
	s.hub.Begin(floor, 0, "")
	for _, e := range s.events {
		if e.Seq >= floor {
			s.hub.Apply([]topic.Stored{e})
		}
	}
	return s.hub
}

func TestARepeatAtAClosedTopicGetsTheFirstID(t *testing.T) {
	t.Parallel()
	for name, closing := range map[string]bool{"it was the end itself": true, "somebody else closed the topic": false} {
		synctest.Test(t, func(t *testing.T) {
			s := &silentStore{fakeStore: newFakeStore()}
			h := s.node(1)
			p := topic.Publication{Topic: "all:a", HasEvent: true, Data: "x", Close: closing, Key: "k"}
			if _, err := h.Publish(ctx, p); !errors.Is(err, topic.ErrUnavailable) {
				t.Fatalf("%s: publish without an answer = %v", name, err)
			}
			s.answers = true
			if !closing {
				closeTopic(t, h, "all:a")
			}
			stored := len(s.events)
			for floor := s.head() + 1; floor > 0; floor-- { // here, and on nodes that began later
				if floor < s.head()+1 {
					h = s.node(floor)
				}
				for range 2 {
					if got, err := h.Publish(ctx, p); err != nil || got.ID != storeID(h, 1) {
						t.Errorf("%s, floor %d: the repeat = %+v, %v, want the first id", name, floor, got, err)
					}
				}
				other := p
				other.Key = "other"
				if got, err := h.Publish(ctx, other); !errors.Is(err, topic.ErrClosed) {
					t.Errorf("%s, floor %d: another key = %+v, %v, want ErrClosed", name, floor, got, err)
				}
			}
			if len(s.events) != stored {
				t.Errorf("%s: %d events were stored behind the end", name, len(s.events)-stored)
			}
		})
	}
}

// Somebody who goes on sending to a topic that was closed a while ago must not
// have it read back each time.
func TestAKeyIsLookedForAsFarBackAsKeysCount(t *testing.T) {
	t.Parallel()
	s := &silentStore{fakeStore: newFakeStore(), answers: true}
	h := s.node(1)
	publish(t, h, "all:a", "1", "2", "3") // some years ago
	closeTopic(t, h, "all:a")
	_, err := h.Publish(ctx, topic.Publication{Topic: "all:a", HasEvent: true, Key: "k"})
	if !errors.Is(err, topic.ErrClosed) {
		t.Errorf("publish = %v, want ErrClosed", err)
	}
	for _, r := range s.finds {
		if r[0] < r[1] {
			t.Errorf("the key was looked for in %v, want it to be looked for in nothing", r)
		}
	}
}

func TestARepeatAtAClosedTopicWithoutAStoreIsUnavailable(t *testing.T) {
	t.Parallel()
	s := &silentStore{fakeStore: newFakeStore(), answers: true}
	h := s.node(1)
	closeTopic(t, h, "all:a")
	s.away = true
	_, err := h.Publish(ctx, topic.Publication{Topic: "all:a", HasEvent: true, Key: "k"})
	if !errors.Is(err, topic.ErrUnavailable) {
		t.Errorf("publish = %v, want ErrUnavailable: it is not known", err)
	}
}

// lateStore answers that the key is that of the newest event, which has come by then.
type lateStore struct{ *fakeStore }

func (s *lateStore) AppendAll(ctx context.Context, entries []topic.Entry) []topic.Result {
	return topic.OneByOne(ctx, entries, s.append)
}

func (s *lateStore) append(context.Context, topic.Entry) (topic.Appended, error) {
	s.hub.Apply(s.events)
	return topic.Appended{Seq: s.head(), At: timeAt(s.head()), Repeat: true}, nil
}

func TestARepeatOfWhatCameBehindTheEndIsRefusedAgain(t *testing.T) {
	t.Parallel()
	s := &lateStore{newFakeStore()}
	opts := durable
	opts.Store, opts.Generation = s, "teststor"
	s.hub = topic.New(opts)
	s.hub.Begin(1, 0, "")
	s.events = []topic.Stored{final(storedEvent(1, "all:a", "end", 1, 0)), blind(storedEvent(2, "all:a", "late", 1, 0))}
	got, err := s.hub.Publish(ctx, topic.Publication{Topic: "all:a", HasEvent: true, Data: "late", Key: "k"})
	if !errors.Is(err, topic.ErrClosed) {
		t.Errorf("publish = %+v, %v, want ErrClosed", got, err)
	}
}

// A node that has seen the topic's deletion and one that has not mean the same
// event by the same key.
func TestARepeatAfterADeleteGetsTheFirstIDFromAnyNode(t *testing.T) {
	t.Parallel()
	s := &silentStore{fakeStore: newFakeStore(), answers: true}
	h := s.node(1)
	p := topic.Publication{Topic: "all:a", HasEvent: true, Data: "x", Key: "k"}
	old, err := h.Publish(ctx, p)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Delete(ctx, "all:a"); err != nil {
		t.Fatal(err)
	}
	publish(t, h, "all:a", "1")
	s.answers = false
	if _, err := h.Publish(ctx, p); !errors.Is(err, topic.ErrUnavailable) {
		t.Fatalf("publish without an answer = %v", err)
	}
	s.answers = true
	first, stored := storeID(h, s.head()), len(s.events)
	if first == old.ID {
		t.Fatal("the key of the deleted topic swallowed an event of the new one")
	}
	for floor := s.head() + 1; floor > 0; floor-- {
		if got, err := s.node(floor).Publish(ctx, p); err != nil || got.ID != first {
			t.Errorf("floor %d: the repeat = %+v, %v, want id %s", floor, got, err, first)
		}
	}
	if len(s.events) != stored {
		t.Errorf("%d events more are stored", len(s.events)-stored)
	}
	h = s.node(s.head() + 1)
	if err := h.Delete(ctx, "all:a"); err != nil {
		t.Fatal(err)
	}
	if anew, err := h.Publish(ctx, p); err != nil || anew.ID == first {
		t.Errorf("after another deletion publish = %+v, %v, want an id of its own", anew, err)
	}
}

// Whoever comes back from before a deletion learns of it by what came behind,
// when its own event is not in the store any more.
func TestADeletionIsKnownByTheEventsBehindIt(t *testing.T) {
	t.Parallel()
	s := &silentStore{fakeStore: newFakeStore(), answers: true}
	h := s.node(1)
	publish(t, h, "all:a", "old")
	if err := h.Delete(ctx, "all:a"); err != nil {
		t.Fatal(err)
	}
	publish(t, h, "all:a", "1", "2")
	s.events = s.events[1:] // the deletion has expired
	for floor := s.head() + 1; floor > 2; floor-- {
		h := s.node(floor)
		if got := resume(t, h, "", "all:a"); got != "1 2" {
			t.Errorf("floor %d: a newcomer received %q, want no reset", floor, got)
		}
		if got := resume(t, h, storeID(h, 1), "all:a"); got != "reset 1 2" {
			t.Errorf("floor %d: who was there before received %q, want a reset", floor, got)
		}
	}
}

// forgetful stores do not have an event any more when its key comes again.
type forgetful struct{ *silentStore }

func (s forgetful) AppendAll(ctx context.Context, entries []topic.Entry) []topic.Result {
	return topic.OneByOne(ctx, entries, s.append)
}

func (s forgetful) append(ctx context.Context, e topic.Entry) (topic.Appended, error) {
	got, err := s.silentStore.append(ctx, e)
	if got.Repeat {
		got.At = 0
	}
	return got, err
}

func TestARepeatOfADroppedEventHasTheFirstIDOrNone(t *testing.T) {
	t.Parallel()
	s := forgetful{&silentStore{fakeStore: newFakeStore()}}
	opts := durable
	opts.Store, opts.Generation = s, "teststor"
	s.hub = topic.New(opts)
	s.hub.Begin(1, 0, "")
	p := topic.Publication{Topic: "all:a", HasEvent: true, Data: "x", Key: "k"}
	if _, err := s.hub.Publish(ctx, p); !errors.Is(err, topic.ErrUnavailable) {
		t.Fatalf("publish without an answer = %v", err)
	}
	s.answers = true
	publish(t, s.hub, "all:b", "1")
	if got, err := s.hub.Publish(ctx, p); err != nil || got.ID != storeID(s.hub, 1) {
		t.Errorf("the hub that was given the first answers %+v, %v, want its id", got, err)
	}
	later := topic.New(opts)
	later.Begin(2, 0, "")
	for range 2 {
		if got, err := later.Publish(ctx, p); err != nil || got.ID != "" {
			t.Errorf("a hub that began later answers %+v, %v, want no id", got, err)
		}
	}
}
