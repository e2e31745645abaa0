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

// inflight is the events of this process that are on their way into the log. Each is resolved
// when the tail applies it, or has passed it. inflight also knows how far the tail is.
type inflight struct {
	mu      sync.Mutex
	next    uint64                    // guarded by mu, like all below: number of the next event
	waiting map[uint64]*inflightEvent // by number
	acked   heap.Heap[*inflightEvent] // acknowledged ones, which the tail has not come to
	applied uint64                    // everything up to this position is applied, or never will be
	silent  map[string]struct{}       // nodes whose counts came too late: not waited for until one comes
}

// inflightEvent is one event on its way.
type inflightEvent struct {
	heap.Place // in acked, guarded by the lock of inflight

	ref    appendRef // set once, like owner
	owner  *appendBatch
	number int // of the owner's entries

	// Guarded by the lock of inflight. The owner is woken when one of them changes.
	changed  bool // since the owner called updates
	answer   *pubAck
	resolved bool           // the tail has applied the event, or never will
	got      topic.Appended // own streams only; when resolved
	err      error          // of the hub, or why the event never came; when resolved
	acked    uint64         // its position as the server said, 0 before
	left     []string       // nodes whose counts have not come
	others   int            // receivers at the other nodes so far

	progress // owned by the owner
}

var (
	// errPassed: the event was stored, or may have been, but has not come.
	errPassed = errors.New("eventlog: the event was gone before it came back from the log")
	// errRewound: it was among the events that the log has lost.
	errRewound = errors.New("eventlog: the log went backwards while the event was stored")
)

func (m *inflight) init() {
	m.next = rand.Uint64N(1 << 48) // another process with this name has used other numbers
	m.waiting = make(map[uint64]*inflightEvent)
	m.silent = make(map[string]struct{})
}

// enter adds events of a node, which waits for the counts of others.
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

// answered notes the server's answer. If the tail is past the event's position already, the
// event never comes, and is resolved.
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

// notifyOwner wakes the owner. The caller holds the lock.
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

// tailOutcome is the outcome of an applied event, for the node that published it.
type tailOutcome struct {
	ref     appendRef
	seq     uint64
	at      int64
	applied topic.Applied
}

// apply resolves the events that have been applied, and moves on to position. It returns the
// outcomes of other nodes' events; it reuses the slice.
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

// advance moves on to position without an event.
func (m *inflight) advance(position uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.move(position)
}

func (m *inflight) move(position uint64) {
	m.applied = max(m.applied, position)
	m.resolveUpTo(m.applied, errPassed)
}

// resolveUpTo resolves the acknowledged events up to a position. It visits no others.
func (m *inflight) resolveUpTo(position uint64, err error) {
	for m.acked.Len() > 0 && m.acked.First().acked <= position {
		m.resolve(m.acked.First(), err)
	}
}

// rewind goes back to a position. Events that were stored up to there and have not come are
// lost. Those behind it may be lost or stored again: they come, or the tail passes them.
func (m *inflight) rewind(position uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.applied = position
	m.resolveUpTo(position, errRewound)
}

// at is the position up to which everything is applied.
func (m *inflight) at() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.applied
}

// count adds the receivers of an event at another node.
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

// markSilent notes which nodes' counts came too late. Events do not wait for them until the
// next one comes.
func (m *inflight) markSilent(w *inflightEvent) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, node := range w.left {
		m.silent[node] = struct{}{}
	}
}

// total is the result of an event that was applied, with all receivers so far.
func (m *inflight) total(w *inflightEvent) topic.Appended {
	m.mu.Lock()
	defer m.mu.Unlock()
	got := w.got
	got.Receivers += w.others
	return got
}

// dropDead drops nodes that are not alive any more from the silent ones.
func (m *inflight) dropDead(alive []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.silent, func(node string, _ struct{}) bool { return !slices.Contains(alive, node) })
}

// update is what has become known of an event.
type update struct {
	event    *inflightEvent
	answer   *pubAck // nil: none since the last call
	resolved bool
	err      error // when resolved
	counted  bool  // the counts of all other nodes are here
}

// updates appends what has become known of an owner's events since the last call.
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
