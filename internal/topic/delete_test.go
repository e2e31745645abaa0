package topic_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/internal/topic"
)

// purgeStore fails to purge some times.
type purgeStore struct {
	*fakeStore
	fails int
}

func (s *purgeStore) Purge(ctx context.Context, name string, before uint64) error {
	if s.fails > 0 {
		s.fails--
		return errAway
	}
	return s.fakeStore.Purge(ctx, name, before)
}

func (s *purgeStore) node(keep topic.Retention, floor uint64) *topic.Hub {
	s.hub = topic.New(topic.Options{Default: keep, Store: s, Generation: "teststor"})
	s.hub.Begin(floor, 0, "")
	for _, e := range s.events {
		if e.Seq >= floor {
			s.hub.Apply([]topic.Stored{e})
		}
	}
	return s.hub
}

func TestAPurgeThatFailsOnceIsTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &purgeStore{newFakeStore(), 1}
		h := s.node(keepAll, 1)
		publish(t, h, "a", "1", "2")
		if err := h.Delete(ctx, "a"); err != nil || len(s.events) != 1 {
			t.Errorf("Delete = %v, %d events are left, want that of the deletion", err, len(s.events))
		}
	})
}

// Who repeats a delete that was answered 503 must not get the answer that all is gone
// while it is not, here or at a node that has the deletion from the store.
func TestARepeatedDeleteDropsWhatTheFirstHasLeft(t *testing.T) {
	t.Parallel()
	for _, floor := range []uint64{0, 1, 3, 4} { // 0: the node itself
		synctest.Test(t, func(t *testing.T) {
			s := &purgeStore{newFakeStore(), 100}
			h := s.node(keepAll, 1)
			publish(t, h, "a", "1", "2")
			if err := h.Delete(ctx, "a"); !errors.Is(err, topic.ErrUnavailable) {
				t.Fatalf("Delete = %v, want ErrUnavailable", err)
			}
			if floor > 0 {
				h = s.node(keepAll, floor)
			}
			if err := h.Delete(ctx, "a"); !errors.Is(err, topic.ErrUnavailable) || len(s.events) != 3 {
				t.Errorf("floor %d: the repeat = %v with %d events, want ErrUnavailable and no other deletion", floor, err, len(s.events))
			}
			s.fails = 0
			if err := h.Delete(ctx, "a"); err != nil || len(s.events) != 1 {
				t.Errorf("floor %d: the repeat = %v, %d events are left, want that of the deletion", floor, err, len(s.events))
			}
			if err := h.Delete(ctx, "a"); !errors.Is(err, topic.ErrNotFound) {
				t.Errorf("floor %d: a repeat when nothing is left = %v, want ErrNotFound", floor, err)
			}
		})
	}
}

func TestAPurgeGoesOnWhenWhoAskedForItHasGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &purgeStore{newFakeStore(), 2}
		h := s.node(keepAll, 1)
		publish(t, h, "a", "1")
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := h.Delete(ctx, "a"); err != nil || len(s.events) != 1 {
			t.Errorf("Delete = %v, %d events are left, want that of the deletion", err, len(s.events))
		}
	})
}

// What a purge has left is hidden by the deletion's event, so that has to be there
// for as long as any of it.
func TestADeletionIsRememberedAsLongAsWhatItDeletes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		keep topic.Retention
		want time.Duration
	}{
		{topic.Retention{Events: 9}, 0},
		{topic.Retention{Events: 9, Age: time.Minute}, 24 * time.Hour},
		{topic.Retention{Events: 9, Age: 72 * time.Hour}, 72 * time.Hour},
		{topic.Retention{}, 24 * time.Hour},
	} {
		s := &purgeStore{newFakeStore(), 0}
		h := s.node(tt.keep, 1)
		connect(t, h, "", topic.FromLatest, "a")
		publish(t, h, "a", "1")
		if err := h.Delete(ctx, "a"); err != nil {
			t.Fatal(err)
		}
		if got := s.events[len(s.events)-1]; !got.Delete || got.Age != tt.want {
			t.Errorf("with %+v the deletion is %+v, want it to be kept for %v", tt.keep, got, tt.want)
		}
	}
}
