package eventlog

import (
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"

	"tidegate/internal/heap"
	"tidegate/internal/topic"
)

// inflight are the events of this process that are on their way into the log: each
// is resolved where the tail applies it. It also keeps how far the tail has come.
type inflight struct {
	mu      sync.Mutex
	next    uint64                    // guarded by mu, like all below: number of the next event
	waiting map[uint64]*inflightEvent // by number
	acked   heap.Heap[*inflightEvent] // those whose position is known, and which the tail has not come to
	applied uint64                    // all up to this position has been applied, or will never be
	silent  map[string]struct{}       // nodes that did not tell in time: not waited for until they do
}

// inflightEvent is one event on its way.
type inflightEvent struct {
	heap.Place // in acked, guarded by the lock of inflight

	ref    appendRef // set once, like owner
	owner  *appendBatch
	number int // of the owner's entries

	// Guarded by the lock of inflight. The owner is woken when one of them changes.
	changed  bool // the owner has not looked since
	answer   *pubAck
	resolved bool           // the tail has come to the event, or does not any more
	got      topic.Appended // own streams only; when resolved
	err      error          // of the hub, or why the event did not come; when resolved
	acked    uint64         // where the server said that it is, 0 before
	left     []string       // nodes that have not told yet
	others   int            // streams of those that have

	progress // owned by the owner
}

var (
	// errPassed: the event was stored, or may have been, but has not come.
	errPassed = errors.New("cluster: the event was gone before it came back from the log")
	// errRewound: it was among what the log has lost.
	errRewound = errors.New("cluster: the log went backwards while the event was stored")
)

func (m *inflight) init() {
	m.next = rand.Uint64N(1 << 48) // another process with this name has used other numbers
	m.waiting = make(map[uint64]*inflightEvent)
	m.silent = make(map[string]struct{})
}

// enter begins some events of a node that expects to hear from others.
func (m *inflight) enter(events []*inflightEvent, node string, others []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, w := range events {
		m.next++
		w.ref = appendRef{node: node, n: m.next}
		for _, other := range others {
			if _, mute := m.silent[other]; !mute && other != node {
				w.left = append(w.left, other)
			}
		}
		m.waiting[w.ref.n] = w
	}
}

func (m *inflight) leave(events []*inflightEvent) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, w := range events {
		delete(m.waiting, w.ref.n)
		m.acked.Remove(w)
	}
}

// answered notes what the server has said of an event. That it is stored settles it
// if the tail is past it: it does not come.
func (m *inflight) answered(n uint64, answer pubAck) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w, ok := m.waiting[n]
	if !ok {
		return
	}
	w.answer = &answer
	if answer.err == nil && w.acked == 0 && !w.resolved {
		w.acked = answer.seq
		if m.acked.Push(w); answer.seq <= m.applied {
			m.resolve(w, errPassed)
		}
	}
	w.notifyOwner()
}

// tell wakes the owner. The caller holds the lock.
func (w *inflightEvent) notifyOwner() {
	if w.changed || w.owner == nil {
		return
	}
	w.changed = true
	w.owner.changed = append(w.owner.changed, w)
	select {
	case w.owner.wake <- struct{}{}:
	default:
	}
}

func (m *inflight) resolve(w *inflightEvent, err error) {
	m.acked.Remove(w)
	if !w.resolved {
		w.resolved, w.err = true, err
		w.notifyOwner()
	}
}

// tailOutcome is one event that was applied, for whom it concerns.
type tailOutcome struct {
	ref     appendRef
	seq     uint64
	at      int64
	applied topic.Applied
}

// apply settles the events that have been applied, and then moves on. It takes what
// nobody here waits for out of the outcomes' order and returns it.
func (m *inflight) apply(outcomes []tailOutcome, position uint64) (foreign []tailOutcome) {
	m.mu.Lock()
	defer m.mu.Unlock()
	foreign = outcomes[:0]
	for _, o := range outcomes {
		w, ok := m.waiting[o.ref.n]
		if !ok || w.ref != o.ref {
			foreign = append(foreign, o)
			continue
		}
		if !w.resolved {
			w.got = topic.Appended{Seq: o.seq, At: o.at, Receivers: o.applied.Receivers}
		}
		m.resolve(w, o.applied.Err)
	}
	m.move(position)
	return foreign
}

// advance moves on without an event.
func (m *inflight) advance(position uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.move(position)
}

func (m *inflight) move(position uint64) {
	m.applied = max(m.applied, position)
	m.resolveUpTo(m.applied, errPassed)
}

// resolveUpTo settles those that are stored up to a position. It looks at no others.
func (m *inflight) resolveUpTo(position uint64, err error) {
	for m.acked.Len() > 0 && m.acked.First().acked <= position {
		m.resolve(m.acked.First(), err)
	}
}

// rewind goes back. What was stored up to there and has not come is not going to.
// What was stored behind it may be lost, or be new: it comes or is passed.
func (m *inflight) rewind(position uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.applied = position
	m.resolveUpTo(position, errRewound)
}

// at is the position up to which all has been applied.
func (m *inflight) at() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.applied
}

// count notes what another node has told of an event.
func (m *inflight) count(node string, n uint64, receivers int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.silent, node)
	w, ok := m.waiting[n]
	if !ok {
		return
	}
	w.others += receivers
	if i := slices.Index(w.left, node); i >= 0 {
		if w.left = slices.Delete(w.left, i, i+1); len(w.left) == 0 {
			w.notifyOwner()
		}
	}
}

// muted notes which nodes have not told in time. They are not waited for the next
// time.
func (m *inflight) markSilent(w *inflightEvent) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, node := range w.left {
		m.silent[node] = struct{}{}
	}
}

// total is what is answered of an event that was applied.
func (m *inflight) total(w *inflightEvent) topic.Appended {
	m.mu.Lock()
	defer m.mu.Unlock()
	got := w.got
	got.Receivers += w.others
	return got
}

// forget drops what is known of nodes that are not alive any more.
func (m *inflight) dropDead(alive []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.silent, func(node string, _ struct{}) bool { return !slices.Contains(alive, node) })
}

// news is what has become known of an event.
type update struct {
	event    *inflightEvent
	answer   *pubAck // nil: none since the last look
	resolved bool
	err      error // when resolved
	counted  bool  // no other node has anything to tell
}

// look gives what has become known of an owner's events since the last look.
func (m *inflight) updates(a *appendBatch, dst []update) []update {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, w := range a.changed {
		dst = append(dst, update{w, w.answer, w.resolved, w.err, len(w.left) == 0})
		w.changed, w.answer = false, nil
	}
	clear(a.changed)
	a.changed = a.changed[:0]
	return dst
}

// Before implements [heap.Item]: by position.
func (w *inflightEvent) Before(other *inflightEvent) bool { return w.acked < other.acked }
