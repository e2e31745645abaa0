package topic_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"tidegate/internal/topic"
)

// lookups is a store that counts how often a topic's newest event is asked for.
type lookups struct {
	*fakeStore
	asked int
}

func (s *lookups) Last(ctx context.Context, name string) (topic.Stored, bool, error) {
	s.asked++
	return s.fakeStore.Last(ctx, name)
}

// storedEvent is an event as another node has stored it.
func storedEvent(seq uint64, name, data string, number, prev uint64) topic.Stored {
	return topic.Stored{
		Entry: topic.Entry{Topic: name, Data: data, HasEvent: true, Number: number, Prev: prev},
		Seq:   seq, At: timeAt(seq), PrevKnown: true,
	}
}

// behind makes a hub to which the newest event, of all:x, has not come yet.
func behind() (*topic.Hub, *lookups) {
	s := &lookups{fakeStore: newFakeStore()}
	opts := durable
	opts.Store, opts.Generation = s, "teststor"
	s.hub = topic.New(opts)
	s.events = []topic.Stored{storedEvent(1, "all:z", "1", 1, 0), storedEvent(2, "all:x", "1", 1, 0)}
	s.hub.Begin(2, timeAt(1), "")
	return s.hub, s
}

func TestWhoNeedsAnEventOnItsWayWaitsForItAfterOneLook(t *testing.T) {
	t.Parallel()
	for name, act := range map[string]func(*topic.Hub) error{
		"publish": func(h *topic.Hub) error {
			_, err := h.Publish(ctx, topic.Publication{Topic: "all:x", HasEvent: true, Data: "2"})
			return err
		},
		"attach": func(h *topic.Hub) error {
			_, err := h.Attach(ctx, topic.NewMember(&sink{}, ""), []string{"all:x"}, topic.FromLatest)
			return err
		},
		"info": func(h *topic.Hub) error {
			_, err := h.Info(ctx, "all:x")
			return err
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			h, s := behind()
			var waiting sync.WaitGroup
			waiting.Go(func() {
				if err := act(h); err != nil {
					t.Errorf("%s = %v", name, err)
				}
			})
			synctest.Wait()
			h.Apply(s.events[1:2])
			waiting.Wait()
			if s.asked != 1 {
				t.Errorf("%s: the store was asked %d times, want once", name, s.asked)
			}
			if got := s.events[len(s.events)-1]; name == "publish" && (got.Prev != 2 || got.Number != 2) {
				t.Errorf("what was published is %+v, want it to follow event 2", got)
			}
		})
	}
}

func TestAPublisherDoesNotWaitForEverForAnEventOnItsWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, s := behind()
		_, err := h.Publish(ctx, topic.Publication{Topic: "all:x", HasEvent: true, Data: "2"})
		if !errors.Is(err, topic.ErrUnavailable) || s.asked != 1 || len(s.events) != 2 {
			t.Errorf("Publish = %v after %d looks, with %d events in the store; want ErrUnavailable after one", err, s.asked, len(s.events))
		}
	})
}

// An event that was stored before the hub's position, and was never given to it.
func TestAnEventThatHasPassedByIsTakenAsItWasFound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, s := behind()
		h.Apply([]topic.Stored{storedEvent(3, "all:z", "2", 2, 1)})
		s.events = append(s.events, storedEvent(3, "all:z", "2", 2, 1))
		publish(t, h, "all:x", "2")
		if got := s.events[len(s.events)-1]; s.asked != 1 || got.Prev != 2 {
			t.Errorf("after %d looks %+v was published, want it to follow event 2 after one", s.asked, got)
		}
		c, _ := connect(t, h, "", topic.FromEarliest, "all:x")
		if got := c.got(t); got != "1 2" {
			t.Errorf("received %q, want 1 2", got)
		}
	})
}
