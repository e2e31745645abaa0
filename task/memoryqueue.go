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
	if r := m.rows[id]; r == nil || r.State.Final() {
		return
	}
	if first {
		m.enqueue(0, id)
	} else {
		m.enqueue(len(m.queue), id)
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
	for i := 0; i < len(m.queue) && len(leases) < n; {
		id := m.queue[i]
		switch {
		case !slices.Contains(types, m.rows[id].Type):
			i++
			continue
		case i == 0: // moves nothing
			m.queue[0] = ""
			m.queue = m.queue[1:]
		default:
			m.queue = slices.Delete(m.queue, i, i+1)
		}
		leases = append(leases, &memoryLease{m, id})
	}
	if m.queued == nil {
		m.queued = make(chan struct{})
	}
	return leases, m.queued
}

// enqueue puts id in the queue at place i. The caller holds mu.
func (m *memory) enqueue(i int, id string) {
	m.queue = slices.Insert(m.queue, i, id)
	if m.queued != nil {
		close(m.queued)
		m.queued = nil
	}
}

// dequeue takes id out of the queue if it is there. The caller holds mu.
func (m *memory) dequeue(id string) {
	if i := slices.Index(m.queue, id); i >= 0 {
		m.queue = slices.Delete(m.queue, i, i+1)
	}
}
