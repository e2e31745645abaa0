package task

import (
	"container/list"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

var _ Store = (*memory)(nil)

// memory is the store that ends with the process.
type memory struct {
	// Set once.
	maxPending, maxTasks, maxBytes int
	retention, cleanup             time.Duration
	onDelete                       func(id string)

	mu           sync.Mutex
	rows         map[string]*row
	order        []*row    // by Seq; deleted rows stay until most are
	holes        int       // deleted rows in order
	acknowledged list.List // of *row, in the order in which they were acknowledged
	byState      map[State]int
	bytes        int
	lastSeq      uint64

	queues map[Priority][]string // ids of pending tasks that are not leased, oldest first
	queued chan struct{}         // closed when a queue grows; nil if none waits
}

// row is a record's place in the store. Guarded by memory.mu.
type row struct {
	Record
	acknowledgedAt time.Time
	place          *list.Element // in acknowledged; nil if it is not there
	deleted        bool
}

// newMemory makes a store in memory; it calls onDelete for each task that it deletes.
func newMemory(o Options, onDelete func(id string)) *memory {
	return &memory{
		maxPending: o.QueueLimit, maxTasks: o.MaxTasks, maxBytes: o.MaxBytes,
		retention: o.Retention, cleanup: o.CleanupInterval, onDelete: onDelete,
		rows: map[string]*row{}, byState: map[State]int{}, queues: map[Priority][]string{},
	}
}

func (m *memory) Durable() bool { return false }

// Run deletes tasks whose retention is over.
func (m *memory) Run(ctx context.Context, _ Hooks) error {
	ticker := time.NewTicker(m.cleanup)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case at := <-ticker.C:
			m.notifyDeleted(m.expire(at.Add(-m.retention)))
		}
	}
}

// Submit deletes the tasks that were acknowledged first if there is no room.
func (m *memory) Submit(_ context.Context, rec Record) (Record, error) {
	rec, deleted, err := m.submit(rec)
	m.notifyDeleted(deleted)
	return rec, err
}

func (m *memory) submit(rec Record) (_ Record, deleted []string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rows[rec.ID] != nil {
		return rec, nil, ErrExists
	}
	if m.byState[Pending] >= m.maxPending {
		return rec, nil, fmt.Errorf("%w: %d are pending", ErrBusy, m.maxPending)
	}
	for len(m.rows) >= m.maxTasks || m.bytes+rec.bytes() > m.maxBytes {
		oldest := m.acknowledged.Front()
		if oldest == nil {
			return rec, deleted, fmt.Errorf("%w: %d are kept and none can be deleted yet", ErrBusy, len(m.rows))
		}
		deleted = append(deleted, m.delete(oldest.Value.(*row)))
	}
	m.lastSeq++
	rec.Seq, rec.Revision = m.lastSeq, 1
	r := &row{Record: rec}
	m.rows[rec.ID] = r
	m.order = append(m.order, r)
	m.byState[rec.State]++
	m.bytes += rec.bytes()
	m.enqueue(r, false)
	return rec, deleted, nil
}

func (m *memory) Load(_ context.Context, id string) (Record, error) {
	if rec, ok := m.Peek(id); ok {
		return rec, nil
	}
	return Record{}, ErrNotFound
}

func (m *memory) Peek(id string) (Record, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.rows[id]; r != nil {
		return r.Record, true
	}
	return Record{}, false
}

func (m *memory) Update(_ context.Context, rec Record) (Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, err := m.find(rec)
	if err != nil {
		return rec, err
	}
	if rec.State.Final() && r.State == Pending {
		m.dequeue(r)
	}
	rec.Revision++
	m.byState[r.State]--
	m.byState[rec.State]++
	m.bytes += rec.bytes() - r.bytes()
	r.Record = rec
	return rec, nil
}

// find returns the row of rec if it is as rec knows it. The caller holds mu.
func (m *memory) find(rec Record) (*row, error) {
	r := m.rows[rec.ID]
	switch {
	case r == nil:
		return nil, ErrNotFound
	case r.Revision != rec.Revision:
		return nil, ErrConflict
	default:
		return r, nil
	}
}

// Remove deletes a task, acknowledged or not.
func (m *memory) Remove(_ context.Context, rec Record) error {
	m.mu.Lock()
	r, err := m.find(rec)
	if err == nil {
		m.dequeue(r)
		m.delete(r)
	}
	m.mu.Unlock()
	if err == nil {
		m.onDelete(rec.ID)
	}
	return err
}

// Acknowledge lets a task be deleted, at once if there is no room for it.
func (m *memory) Acknowledge(_ context.Context, rec Record, _ Lease) error {
	m.notifyDeleted(m.acknowledge(rec.ID))
	return nil
}

func (m *memory) acknowledge(id string) (deleted []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.rows[id]
	if r == nil || r.place != nil || !r.State.Final() {
		return nil
	}
	r.acknowledgedAt = time.Now()
	r.place = m.acknowledged.PushBack(r)
	// The newest result stays even when it alone fills the room.
	for m.bytes > m.maxBytes && m.acknowledged.Len() > 1 {
		deleted = append(deleted, m.delete(m.acknowledged.Front().Value.(*row)))
	}
	return deleted
}

// Queued is true until the task is acknowledged.
func (m *memory) Queued(_ context.Context, rec Record) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.rows[rec.ID]
	return r != nil && r.place == nil, nil
}

// RequestCancel is for other processes, and there are none.
func (m *memory) RequestCancel(context.Context, Record) (answered, done bool) { return false, false }

// expire deletes the tasks that were acknowledged at or before the given time.
func (m *memory) expire(before time.Time) (deleted []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for e := m.acknowledged.Front(); e != nil; e = m.acknowledged.Front() {
		r := e.Value.(*row)
		if r.acknowledgedAt.After(before) {
			break
		}
		deleted = append(deleted, m.delete(r))
	}
	return deleted
}

// notifyDeleted reports what was deleted.
func (m *memory) notifyDeleted(deleted []string) {
	for _, id := range deleted {
		m.onDelete(id)
	}
}

// delete drops r and returns its id. The caller holds mu.
func (m *memory) delete(r *row) string {
	delete(m.rows, r.ID)
	m.byState[r.State]--
	m.bytes -= r.bytes()
	if r.place != nil {
		m.acknowledged.Remove(r.place)
		r.place = nil
	}
	r.Record = Record{ID: r.ID, Seq: r.Seq}
	r.deleted = true
	m.holes++
	if m.holes > len(m.order)/2 {
		m.order = slices.DeleteFunc(m.order, func(r *row) bool { return r.deleted })
		m.holes = 0
	}
	return r.ID
}
