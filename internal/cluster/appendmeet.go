package cluster

import (
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"

	"tidegate/internal/topic"
)

// An Append and its event meet again where the tail applies it. This
// keeps who waits, and how far the tail has come.
type appendMeeting struct {
	mu      sync.Mutex
	next    uint64                   // guarded by mu, like all below: number of the next Append
	waiting map[uint64]*appendWaiter // by number
	applied uint64                   // all up to this position has been applied, or will never be
	mute    map[string]struct{}      // nodes that did not tell in time: not waited for until they do
}

// appendWaiter is one Append on its way.
type appendWaiter struct {
	ref     appendRef
	settled chan struct{} // closed when the tail has come to the event
	counted chan struct{} // closed when no other node has anything to tell

	// Guarded by the meeting's lock until settled is closed; left and others always.
	got    topic.Appended // own streams only
	err    error          // of the hub, or why the event did not come
	acked  uint64         // where the server said that it is, 0 before
	left   []string       // nodes that have not told yet
	others int            // streams of those that have
}

var (
	// errPassed: the event was stored, or may have been, but has not come.
	errPassed = errors.New("cluster: the event was gone before it came back from the log")
	// errTooMany: events are published faster than they are stored.
	errTooMany = errors.New("cluster: too many events are being stored")
	// errRewound: it was among what the log has lost.
	errRewound = errors.New("cluster: the log went backwards while the event was stored")
)

func (m *appendMeeting) init() {
	m.next = rand.Uint64N(1 << 48) // another process with this name has used other numbers
	m.waiting = make(map[uint64]*appendWaiter)
	m.mute = make(map[string]struct{})
}

// maxAppends bounds what piles up while the server does not answer.
const maxAppends = 10_000

// enter begins an Append of a node that expects to hear from others. It returns
// errTooMany.
func (m *appendMeeting) enter(node string, others []string) (*appendWaiter, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.waiting) >= maxAppends {
		return nil, errTooMany
	}
	m.next++
	w := &appendWaiter{
		ref:     appendRef{node: node, n: m.next},
		settled: make(chan struct{}),
		counted: make(chan struct{}),
	}
	for _, other := range others {
		if _, mute := m.mute[other]; !mute && other != node {
			w.left = append(w.left, other)
		}
	}
	if len(w.left) == 0 {
		close(w.counted)
	}
	m.waiting[w.ref.n] = w
	return w, nil
}

func (m *appendMeeting) leave(w *appendWaiter) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.waiting, w.ref.n)
}

// stored notes where the event is. If the tail is past it, it does not come.
func (m *appendMeeting) stored(w *appendWaiter, seq uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w.acked = seq
	if seq <= m.applied {
		w.settle(errPassed)
	}
}

func (w *appendWaiter) settle(err error) {
	if !w.isSettled() {
		w.err = err
		close(w.settled)
	}
}

func (w *appendWaiter) isSettled() bool {
	select {
	case <-w.settled:
		return true
	default:
		return false
	}
}

// tailOutcome is one event that was applied, for whom it concerns.
type tailOutcome struct {
	ref     appendRef
	seq     uint64
	at      int64
	applied topic.Applied
}

// apply settles the Appends whose events have been applied, and then moves on. It
// takes what nobody here waits for out of the outcomes' order and returns it.
func (m *appendMeeting) apply(outcomes []tailOutcome, position uint64) (foreign []tailOutcome) {
	m.mu.Lock()
	defer m.mu.Unlock()
	foreign = outcomes[:0]
	for _, o := range outcomes {
		w, ok := m.waiting[o.ref.n]
		if !ok || w.ref != o.ref {
			foreign = append(foreign, o)
			continue
		}
		w.got = topic.Appended{Seq: o.seq, At: o.at, Receivers: o.applied.Receivers}
		w.settle(o.applied.Err)
	}
	m.move(position)
	return foreign
}

// advance moves on without an event.
func (m *appendMeeting) advance(position uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.move(position)
}

func (m *appendMeeting) move(position uint64) {
	m.applied = max(m.applied, position)
	for _, w := range m.waiting {
		if w.acked > 0 && w.acked <= m.applied {
			w.settle(errPassed)
		}
	}
}

// rewind goes back. What was stored up to there and has not come is not going to.
// What was stored behind it may be lost, or be new: it comes or is passed.
func (m *appendMeeting) rewind(position uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.applied = position
	for _, w := range m.waiting {
		if w.acked > 0 && w.acked <= position {
			w.settle(errRewound)
		}
	}
}

// at is the position up to which all has been applied.
func (m *appendMeeting) at() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.applied
}

// count notes what another node has told of an event.
func (m *appendMeeting) count(node string, n uint64, receivers int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.mute, node)
	w, ok := m.waiting[n]
	if !ok {
		return
	}
	w.others += receivers
	if i := slices.Index(w.left, node); i >= 0 {
		if w.left = slices.Delete(w.left, i, i+1); len(w.left) == 0 {
			close(w.counted)
		}
	}
}

// muted notes which nodes have not told in time. They are not waited for the next
// time.
func (m *appendMeeting) muted(w *appendWaiter) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, node := range w.left {
		m.mute[node] = struct{}{}
	}
}

// total is what an Append answers.
func (m *appendMeeting) total(w *appendWaiter) topic.Appended {
	m.mu.Lock()
	defer m.mu.Unlock()
	got := w.got
	got.Receivers += w.others
	return got
}

// forget drops what is known of nodes that are not alive any more.
func (m *appendMeeting) forget(alive []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.mute, func(node string, _ struct{}) bool { return !slices.Contains(alive, node) })
}
