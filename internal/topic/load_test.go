package topic_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/internal/topic"
)

// heldStore reads when it is let to, or until the reading's context ends.
type heldStore struct {
	*fakeStore
	goOn chan struct{}

	mu    sync.Mutex
	begun int // guarded by mu, like all below: readings
	cut   int // that were ended by their context
}

func (s *heldStore) Read(ctx context.Context, name string, from, before uint64, yield func(topic.Stored) error) error {
	s.mu.Lock()
	s.begun++
	s.mu.Unlock()
	select {
	case <-s.goOn:
	case <-ctx.Done():
		s.mu.Lock()
		s.cut++
		s.mu.Unlock()
		return ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fakeStore.Read(ctx, name, from, before, yield)
}

func (s *heldStore) counts() (begun, cut int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.begun, s.cut
}

// cold makes a hub that has to read back the one event of all:a.
func cold() (*topic.Hub, *heldStore) {
	s := &heldStore{fakeStore: newFakeStore(), goOn: make(chan struct{})}
	s.events = []topic.Stored{storedEvent(1, "all:a", "1", 1, 0)}
	opts := durable
	opts.Store, opts.Generation = s, "teststor"
	h := topic.New(opts)
	h.Begin(2, 0, "")
	return h, s
}

func earliest(ctx context.Context, h *topic.Hub) (*sink, error) {
	s := &sink{}
	_, err := h.Attach(ctx, topic.NewMember(s, ""), []string{"all:a"}, topic.FromEarliest)
	return s, err
}

// The first of many goes away, and so does one that came later.
func TestWhoGoesAwayDoesNotEndAReadThatOthersWaitFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, s := cold()
		var waiting sync.WaitGroup
		leaves, cancel := context.WithCancel(t.Context())
		for i := range 4 {
			ctx := t.Context()
			if i%2 == 0 {
				ctx = leaves
			}
			waiting.Go(func() {
				c, err := earliest(ctx, h)
				if i%2 == 0 {
					if !errors.Is(err, topic.ErrUnavailable) {
						t.Errorf("one that went away: %v, want ErrUnavailable", err)
					}
				} else if got := c.got(t); err != nil || got != "1" {
					t.Errorf("one that stayed received %q, %v, want 1", got, err)
				}
			})
			synctest.Wait() // they come one after the other
		}
		cancel()
		synctest.Wait()
		close(s.goOn)
		waiting.Wait()
		if begun, cut := s.counts(); begun != 1 || cut != 0 {
			t.Errorf("%d readings, %d of them cut, want one that was not", begun, cut)
		}
	})
}

func TestAReadThatNobodyWaitsForEndsAndTheNextOneBeginsAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, s := cold()
		ctx, cancel := context.WithCancel(t.Context())
		var waiting sync.WaitGroup
		for range 2 {
			waiting.Go(func() {
				if _, err := earliest(ctx, h); !errors.Is(err, topic.ErrUnavailable) {
					t.Errorf("one that went away: %v, want ErrUnavailable", err)
				}
			})
		}
		synctest.Wait()
		cancel()
		waiting.Wait() // and so for the reading
		if begun, cut := s.counts(); begun != 1 || cut != 1 {
			t.Errorf("%d readings, %d of them cut, want one that was", begun, cut)
		}
		close(s.goOn)
		if c, err := earliest(t.Context(), h); err != nil || c.got(t) != "1" {
			t.Errorf("the next one received %q, %v, want 1", c.got(t), err)
		}
	})
}

// tardyStore takes two seconds for each reading.
type tardyStore struct{ *fakeStore }

func (s *tardyStore) Read(ctx context.Context, name string, from, before uint64, yield func(topic.Stored) error) error {
	pause := time.NewTimer(2 * time.Second)
	defer pause.Stop()
	select {
	case <-pause.C:
		return s.fakeStore.Read(ctx, name, from, before, yield)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestAnAttachWaitsForAllItsTopicsTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &tardyStore{newFakeStore()}
		names := []string{"all:1", "all:2", "all:3"}
		for i, name := range names {
			s.events = append(s.events, storedEvent(uint64(i+1), name, name, 1, 0))
		}
		opts := durable
		opts.Store, opts.Generation = s, "teststor"
		h := topic.New(opts)
		h.Begin(4, 0, "")
		for try, want := range []error{topic.ErrUnavailable, topic.ErrUnavailable, nil} { // each reads one topic more
			begun := time.Now()
			_, err := h.Attach(t.Context(), topic.NewMember(&sink{}, ""), names, topic.FromEarliest)
			if took := time.Since(begun); !errors.Is(err, want) || took > 3*time.Second {
				t.Errorf("attempt %d = %v after %v, want %v within 3 s", try, err, took, want)
			}
		}
	})
}

func TestAReadThatTakesTooLongEndsForAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, s := cold()
		begun := time.Now()
		var waiting sync.WaitGroup
		for range 3 {
			waiting.Go(func() {
				if _, err := earliest(t.Context(), h); !errors.Is(err, topic.ErrUnavailable) {
					t.Errorf("attach = %v, want ErrUnavailable", err)
				}
			})
		}
		waiting.Wait()
		if took := time.Since(begun); took > 3*time.Second {
			t.Errorf("it took %v, want 3 s", took)
		}
		if begun, cut := s.counts(); begun != 1 || cut != 1 {
			t.Errorf("%d readings, %d of them cut, want one that was", begun, cut)
		}
	})
}
