package backend

import (
	"context"
	"sync"
	"time"
)

// Bounds of a todo.
const (
	maxTodo     = 10_000           // ids that wait; more are turned away
	todoPause   = time.Second      // before an id is tried again
	todoTimeout = 10 * time.Second // of one try
)

// todo is a set of ids on which something is to be done in the background, each
// once however often it is added meanwhile. add may be called concurrently, from
// callbacks too: it never blocks.
type todo struct {
	wake chan struct{} // of size 1: there is something in ids

	mu  sync.Mutex
	ids map[string]struct{}
}

func newTodo() *todo {
	return &todo{wake: make(chan struct{}, 1), ids: map[string]struct{}{}}
}

// add puts id into the set. It reports false if the set is full.
func (t *todo) add(id string) bool {
	t.mu.Lock()
	_, there := t.ids[id]
	ok := there || len(t.ids) < maxTodo
	if ok {
		t.ids[id] = struct{}{}
	}
	t.mu.Unlock()
	if ok {
		select {
		case t.wake <- struct{}{}:
		default:
		}
	}
	return ok
}

// take empties the set.
func (t *todo) take() map[string]struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	ids := t.ids
	t.ids = map[string]struct{}{}
	return ids
}

// run calls work for each id that is added until ctx ends. An id whose work
// fails is tried again, for ever, after a pause; failed is told of the first
// failure in a row.
func (t *todo) run(ctx context.Context, work func(context.Context, string) error, failed func(string, error)) {
	again := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.wake:
		}
		failedBefore := again
		again = false
		for id := range t.take() {
			err := t.try(ctx, id, work)
			if err == nil || ctx.Err() != nil {
				continue
			}
			if !again && !failedBefore {
				failed(id, err)
			}
			again = true
			t.add(id)
		}
		if again {
			select {
			case <-ctx.Done():
			case <-time.After(todoPause):
			}
		}
	}
}

func (t *todo) try(ctx context.Context, id string, work func(context.Context, string) error) error {
	ctx, cancel := context.WithTimeout(ctx, todoTimeout)
	defer cancel()
	return work(ctx, id)
}
