package segments

import (
	"context"
	"slices"
	"sync"
	"time"

	"tidegate/internal/topic"
)

// queue is the requests that wait to be written. One of them at a time writes for all: who finds
// nobody writing does, and hands over to the first that came meanwhile.
type queue struct {
	mu      sync.Mutex
	waiting []*request // guarded by mu, like all below
	busy    bool       // a goroutine writes
	closed  bool
}

// request is one call of AppendAll, or something to be done while nobody writes.
type request struct {
	entries []topic.Entry
	results []topic.Result // for each; the writer's until it is done
	run     func()         // instead of entries
	bytes   int64
	wake    chan struct{} // size 1: it is done, or has to write; nil for a caller that never waited

	unstored map[string]uint64 // entries that are not stored, by topic; the writer's

	// guarded by the queue's lock
	taken, done, lead bool
}

// skip notes that an entry is not stored: those of its topic behind it are counted
// without it.
func (r *request) skip(name string) {
	if len(r.entries) == 1 {
		return
	}
	if r.unstored == nil {
		r.unstored = make(map[string]uint64)
	}
	r.unstored[name]++
}

// A group is what is written at once: so much, or what one request has.
const (
	groupBytes   = 1 << 20
	groupEntries = 2048
)

// enter puts a request into the queue. lead reports that the caller has to write at once.
func (q *queue) enter(r *request) (lead bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed && r.run == nil {
		return false, errClosed
	}
	if !q.busy {
		q.busy, r.taken = true, true
		return true, nil
	}
	r.wake = make(chan struct{}, 1)
	q.waiting = append(q.waiting, r)
	return false, nil
}

// wait waits until the request is done or has to write. If ctx ends before it was
// taken, it never is.
func (q *queue) wait(ctx context.Context, r *request) (lead bool, err error) {
	var late <-chan time.Time
	if _, ok := ctx.Deadline(); !ok {
		timer := time.NewTimer(appendPatience)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-r.wake:
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-late:
		err = errBusy
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case r.lead:
		r.lead = false
		return true, nil
	case r.done:
		return false, nil
	}
	if i := slices.Index(q.waiting, r); i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
	}
	return false, err
}

// take returns the group of the writer, in a slice of before.
func (q *queue) take(first *request, group []*request) []*request {
	group = append(group[:0], first)
	if first.run != nil {
		return group
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	bytes, entries := first.bytes, len(first.entries)
	n := 0
	for _, r := range q.waiting {
		bytes, entries = bytes+r.bytes, entries+len(r.entries)
		if r.run != nil || bytes > groupBytes || entries > groupEntries {
			break
		}
		r.taken = true
		group = append(group, r)
		n++
	}
	q.waiting = slices.Delete(q.waiting, 0, n)
	return group
}

// finish wakes the callers of a group that was written, and hands over to the next writer. The
// caller that wrote needs no wake-up.
func (q *queue) finish(group []*request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	defer clear(group)
	for _, r := range group[1:] {
		r.done = true
		r.wake <- struct{}{}
	}
	if len(q.waiting) == 0 {
		q.busy = false
		return
	}
	next := q.waiting[0]
	q.waiting = slices.Delete(q.waiting, 0, 1)
	next.taken, next.lead = true, true
	next.wake <- struct{}{}
}

// close refuses what comes from now on. What waits is written.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
}

// exclusive runs something while nobody writes.
func (q *queue) exclusive(run func()) {
	r := &request{run: run}
	if lead, _ := q.enter(r); !lead {
		<-r.wake // however long that takes: it leads then
		q.mu.Lock()
		r.lead = false
		q.mu.Unlock()
	}
	run()
	q.finish([]*request{r})
}
