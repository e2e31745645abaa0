package task

import (
	"cmp"
	"container/list"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// record is what is stored of a task. Its slices are never modified.
type record struct {
	id      string
	typ     string
	seq     uint64 // set by the store: rises with each task
	params  json.RawMessage
	state   State
	created time.Time
	start   time.Time // zero until it ran
	end     time.Time // zero until it is final
	result  json.RawMessage
	err     string
}

// errTransition is returned for a change of state that the table does not allow.
var errTransition = errors.New("task: state does not allow that")

// become moves the record to state next if the table of transitions allows it.
func (r *record) become(next State, at time.Time) error {
	if !r.state.mayBecome(next) {
		return fmt.Errorf("%w: %s to %s", errTransition, r.state, next)
	}
	r.state = next
	if next == Running {
		r.start = at
	} else {
		r.end = at
		r.params = nil // nobody will run it again
	}
	return nil
}

func (r *record) bytes() int { return len(r.params) + len(r.result) + len(r.err) }

// store remembers tasks. The service asks it for whole changes, one at a time,
// and takes no lock around the call, so that a store may take its time. Methods
// that forget tasks to make room return their ids.
type store interface {
	// insert adds a pending task, or returns ErrBusy.
	insert(rec record) (forgotten []string, err error)
	load(id string) (record, bool)
	// change applies fn to the record as one step: either all of it happens or,
	// if fn returns an error, nothing. fn may be called more than once.
	change(id string, fn func(*record) error) (record, error)
	// settle says that the log of a final task is complete: it may be forgotten.
	// kept is how many bytes are kept elsewhere on its account.
	settle(id string, kept int) (forgotten []string)
	// remove forgets a final task, settled or not, or returns ErrNotFound.
	remove(id string) error
	// expire forgets the tasks that settled at or before the given time.
	expire(before time.Time) (forgotten []string)
	// scan returns up to limit matching records older than before, newest first.
	scan(before uint64, f Filter, limit int) []record
	counts() map[State]int
}

var _ store = (*memory)(nil)

// memory is the store that ends with the process.
type memory struct {
	maxPending, maxTasks, maxBytes int // set once

	mu      sync.Mutex
	rows    map[string]*row
	order   []*row    // by seq; forgotten rows stay until tidy
	gone    int       // forgotten rows in order
	settled list.List // of *row, in the order in which they settled
	byState map[State]int
	bytes   int
	lastSeq uint64
}

// row is a record's place in the store. Guarded by memory.mu.
type row struct {
	record
	settledAt time.Time
	kept      int           // bytes that settle told of
	place     *list.Element // in settled; nil if it is not there
	forgotten bool
}

func newMemory(maxPending, maxTasks, maxBytes int) *memory {
	return &memory{
		maxPending: maxPending, maxTasks: maxTasks, maxBytes: maxBytes,
		rows: map[string]*row{}, byState: map[State]int{},
	}
}

func (m *memory) insert(rec record) (forgotten []string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.byState[Pending] >= m.maxPending {
		return nil, fmt.Errorf("%w: %d are pending", ErrBusy, m.maxPending)
	}
	for len(m.rows) >= m.maxTasks || m.bytes+rec.bytes() > m.maxBytes {
		oldest := m.settled.Front()
		if oldest == nil {
			return forgotten, fmt.Errorf("%w: %d are remembered and none can be forgotten yet", ErrBusy, len(m.rows))
		}
		forgotten = append(forgotten, m.forget(oldest.Value.(*row)))
	}
	m.lastSeq++
	rec.seq = m.lastSeq
	r := &row{record: rec}
	m.rows[rec.id] = r
	m.order = append(m.order, r)
	m.byState[rec.state]++
	m.bytes += rec.bytes()
	return forgotten, nil
}

func (m *memory) load(id string) (record, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.rows[id]; r != nil {
		return r.record, true
	}
	return record{}, false
}

func (m *memory) change(id string, fn func(*record) error) (record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.rows[id]
	if r == nil {
		return record{}, ErrNotFound
	}
	changed := r.record
	if err := fn(&changed); err != nil {
		return r.record, err
	}
	m.byState[r.state]--
	m.byState[changed.state]++
	m.bytes += changed.bytes() - r.bytes()
	r.record = changed
	return changed, nil
}

func (m *memory) settle(id string, kept int) (forgotten []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.rows[id]
	if r == nil || r.place != nil || !r.state.Final() {
		return nil
	}
	r.kept = kept
	m.bytes += kept
	r.settledAt = time.Now()
	r.place = m.settled.PushBack(r)
	// The newest result stays even when it alone fills the room.
	for m.bytes > m.maxBytes && m.settled.Len() > 1 {
		forgotten = append(forgotten, m.forget(m.settled.Front().Value.(*row)))
	}
	return forgotten
}

func (m *memory) remove(id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.rows[id]
	if r == nil || !r.state.Final() {
		return ErrNotFound
	}
	m.forget(r)
	return nil
}

func (m *memory) expire(before time.Time) (forgotten []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for e := m.settled.Front(); e != nil; e = m.settled.Front() {
		r := e.Value.(*row)
		if r.settledAt.After(before) {
			break
		}
		forgotten = append(forgotten, m.forget(r))
	}
	return forgotten
}

// scanStep is how many rows are looked at under one hold of the lock.
const scanStep = 1000

func (m *memory) scan(before uint64, f Filter, limit int) (found []record) {
	for before > 0 && len(found) < limit {
		found, before = m.scanSome(found, before, f, limit)
	}
	return found
}

// scanSome looks at up to scanStep rows older than before and returns where to
// go on; 0 is the end.
func (m *memory) scanSome(found []record, before uint64, f Filter, limit int) ([]record, uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i, _ := slices.BinarySearchFunc(m.order, before, func(r *row, seq uint64) int { return cmp.Compare(r.seq, seq) })
	for range scanStep {
		i--
		if i < 0 {
			return found, 0
		}
		r := m.order[i]
		if !r.forgotten && (f.State == "" || f.State == r.state) && (f.Type == "" || f.Type == r.typ) {
			if found = append(found, r.record); len(found) == limit {
				break
			}
		}
	}
	return found, m.order[i].seq
}

func (m *memory) counts() map[State]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	counts := make(map[State]int, 5)
	for _, s := range States() {
		counts[s] = m.byState[s]
	}
	return counts
}

// forget drops r and returns its id. The caller holds mu.
func (m *memory) forget(r *row) string {
	delete(m.rows, r.id)
	m.byState[r.state]--
	m.bytes -= r.bytes() + r.kept
	if r.place != nil {
		m.settled.Remove(r.place)
		r.place = nil
	}
	r.record = record{id: r.id, seq: r.seq}
	r.forgotten = true
	m.gone++
	if m.gone > len(m.order)/2 {
		m.order = slices.DeleteFunc(m.order, func(r *row) bool { return r.forgotten })
		m.gone = 0
	}
	return r.id
}
