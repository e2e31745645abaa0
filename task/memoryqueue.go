package task

import (
	"context"
	"slices"
	"time"
)

// memoryLease is a task that the store in memory has lent. It does not run out:
// its holder dies with the store.
type memoryLease struct {
	store *memory
	id    string
}

func (l *memoryLease) TaskID() string              { return l.id }
func (l *memoryLease) TTL() time.Duration          { return 0 }
func (l *memoryLease) Renew(context.Context) error { return nil }

// Release puts the task at the head of the queue, or at its end after a pause.
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

// Fetch lends tasks. It does not look at their types: it has none but those of
// its one service.
func (m *memory) Fetch(ctx context.Context, _ []string, n int) ([]Lease, error) {
	for {
		leases, more := m.lease(n)
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

// lease takes up to n tasks out of the queue. If there are none, more closes when
// there may be one.
func (m *memory) lease(n int) (leases []Lease, more <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n = min(n, len(m.queue))
	for _, id := range m.queue[:n] {
		leases = append(leases, &memoryLease{m, id})
	}
	clear(m.queue[:n])
	m.queue = m.queue[n:]
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
