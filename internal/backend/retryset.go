package backend

import (
	"context"
	"sync"
	"time"
)

// Bounds of a retrySet.
const (
	maxRetrySet  = 10_000           // ids that wait; add refuses more
	retryPause   = time.Second      // before an id is tried again
	retryTimeout = 10 * time.Second // of one try
)

// retrySet is a set of ids for which run does some work in the background, and
// repeats it until it succeeds. An id that is added several times meanwhile is
// worked on once. add may be called concurrently, also from callbacks: it never
// blocks.
type retrySet struct {
	wake chan struct{} // of size 1: there is something in ids

	mu  sync.Mutex
	ids map[string]struct{}
}

func newRetrySet() *retrySet {
	return &retrySet{wake: make(chan struct{}, 1), ids: map[string]struct{}{}}
}

// add puts id into the set. It reports false if the set is full.
func (s *retrySet) add(id string) bool {
	s.mu.Lock()
	_, there := s.ids[id]
	ok := there || len(s.ids) < maxRetrySet
	if ok {
		s.ids[id] = struct{}{}
	}
	s.mu.Unlock()
	if ok {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
	return ok
}

// take empties the set.
func (s *retrySet) take() map[string]struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := s.ids
	s.ids = map[string]struct{}{}
	return ids
}

// run calls work for each id that is added, until ctx ends. An id whose work
// fails is tried again after a pause, without end. failed is called for the
// first failure in a row.
func (s *retrySet) run(ctx context.Context, work func(context.Context, string) error, failed func(string, error)) {
	again := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		}
		failedBefore := again
		again = false
		for id := range s.take() {
			err := try(ctx, id, work)
			if err == nil || ctx.Err() != nil {
				continue
			}
			if !again && !failedBefore {
				failed(id, err)
			}
			again = true
			s.add(id)
		}
		if again {
			select {
			case <-ctx.Done():
			case <-time.After(retryPause):
			}
		}
	}
}

func try(ctx context.Context, id string, work func(context.Context, string) error) error {
	ctx, cancel := context.WithTimeout(ctx, retryTimeout)
	defer cancel()
	return work(ctx, id)
}
