package task

import (
	"context"
	"slices"
	"time"
)

// memoryLease is a lease of the store in memory. It does not expire: its holder dies
// with the store.
type memoryLease struct {
	store *memory
	id    string
}

func (l *memoryLease) TaskID() string              { return l.id }
func (l *memoryLease) TTL() time.Duration          { return 0 }
func (l *memoryLease) Renew(context.Context) error { return nil }

// Release puts the task at the head of the queue, or after a pause at its end.
func (l *memoryLease) Release(_ context.Context, pause time.Duration) error {
	if pause > 0 {
		time.AfterFunc(pause, func() { l.store.release(l.id, false) })
	} else {
		l.store.release(l.id, true)
	}
	return nil
}

func (m *memory) release(id string, first bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.rows[id]; r != nil && !r.State.Final() {
		m.enqueue(r, first)
	}
}

// Fetch implements [Store].
func (m *memory) Fetch(ctx context.Context, types []string, n int) ([]Lease, error) {
	for {
		leases, more := m.lease(types, n)
		if len(leases) > 0 {
			return leases, nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// lease takes up to n tasks of the given types out of the queue. If there are none,
// more closes when there may be one.
func (m *memory) lease(types []string, n int) (leases []Lease, more <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range Priorities() {
		leases = m.leaseFrom(p, leases, types, n)
	}
	if m.queued == nil {
		m.queued = make(chan struct{})
	}
	return leases, m.queued
}

// leaseFrom appends leases of one priority until there are n. The caller holds mu.
func (m *memory) leaseFrom(p Priority, leases []Lease, types []string, n int) []Lease {
	queue := m.queues[p]
	for i := 0; i < len(queue) && len(leases) < n; {
		id := queue[i]
		switch {
		case !slices.Contains(types, m.rows[id].Type):
			i++
			continue
		case i == 0: // moves nothing
			queue[0] = ""
			queue = queue[1:]
		default:
			queue = slices.Delete(queue, i, i+1)
		}
		leases = append(leases, &memoryLease{m, id})
	}
	m.queues[p] = queue
	return leases
}

// enqueue puts a task at the head of the queue of its priority, or at its end. The
// caller holds mu.
func (m *memory) enqueue(r *row, first bool) {
	queue := m.queues[r.Priority]
	i := len(queue)
	if first {
		i = 0
	}
	m.queues[r.Priority] = slices.Insert(queue, i, r.ID)
	if m.queued != nil {
		close(m.queued)
		m.queued = nil
	}
}

// dequeue takes a task out of its queue if it is there. The caller holds mu.
func (m *memory) dequeue(r *row) {
	queue := m.queues[r.Priority]
	if i := slices.Index(queue, r.ID); i >= 0 {
		m.queues[r.Priority] = slices.Delete(queue, i, i+1)
	}
}
