package admission

import (
	"container/list"
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"tidegate/internal/peer"
)

// ErrTimeout is returned for a client whose slot did not become free in time.
var ErrTimeout = errors.New("no slot became free in time")

// Slots are a semaphore that is fair between addresses. A slot that is released
// goes to the next address in turn, and there to the client that has waited
// longest. So a client waits for at most one client of each other address.
//
// All methods may be called concurrently.
type Slots struct {
	size int // set once

	mu     sync.Mutex
	free   int                   // guarded by mu, like all below; 0 while a client waits
	queues map[netip.Addr]*queue // none is empty
	order  list.List             // of *queue; the address that is next is first
}

// queue holds the waiting clients of one address.
type queue struct {
	address netip.Addr
	waiters list.List     // of *waiter; the one that has waited longest is first
	element *list.Element // in Slots.order
}

type waiter struct {
	granted chan struct{} // closed when it has a slot
	has     bool          // it has a slot; guarded by Slots.mu
}

// NewSlots returns a semaphore with n slots.
func NewSlots(n int) *Slots {
	return &Slots{size: n, free: n, queues: map[netip.Addr]*queue{}}
}

// Client is who asks for a slot. Its address is read only if it has to wait.
type Client interface{ RemoteAddr() string }

// keyOf is the address that a client waits at: its own, or its network for IPv6.
func keyOf(c Client) netip.Addr { return peer.Key(peer.AddrOf(c.RemoteAddr())) }

// Acquire waits for a slot. A free slot is taken even if ctx has ended. It returns
// [ErrTimeout] if deadline was first, or the cause of ctx's end. Without an error
// the caller must call Release.
func (s *Slots) Acquire(ctx context.Context, c Client, deadline <-chan time.Time) error {
	if s.tryAcquire() {
		return nil
	}
	address := keyOf(c)
	w := &waiter{granted: make(chan struct{})}
	place := s.enqueue(address, w)
	var err error
	select {
	case <-w.granted:
		return nil
	case <-deadline:
		err = ErrTimeout
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if !s.cancel(address, w, place) {
		return nil // it was granted at the same moment
	}
	return err
}

func (s *Slots) tryAcquire() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.free == 0 {
		return false
	}
	s.free--
	return true
}

// enqueue puts a waiter at the end of its address's queue, unless a slot has become
// free meanwhile.
func (s *Slots) enqueue(address netip.Addr, w *waiter) (place *list.Element) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.free > 0 {
		s.free--
		w.grant()
		return nil
	}
	q := s.queues[address]
	if q == nil {
		q = &queue{address: address}
		q.element = s.order.PushBack(q)
		s.queues[address] = q
	}
	return q.waiters.PushBack(w)
}

// grant gives a waiter its slot. The caller holds Slots.mu.
func (w *waiter) grant() {
	w.has = true
	close(w.granted)
}

// cancel takes a waiter out of its queue. It reports false if the waiter has a slot.
func (s *Slots) cancel(address netip.Addr, w *waiter, place *list.Element) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.has {
		return false
	}
	s.remove(s.queues[address], place)
	return true
}

// remove takes out a waiter, and its queue with the last one. The caller holds mu.
func (s *Slots) remove(q *queue, place *list.Element) *waiter {
	w := q.waiters.Remove(place).(*waiter)
	if q.waiters.Len() == 0 {
		s.order.Remove(q.element)
		delete(s.queues, q.address)
	}
	return w
}

// Release gives a slot back.
func (s *Slots) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.order.Front()
	if next == nil {
		s.free++
		return
	}
	q := next.Value.(*queue)
	s.order.MoveToBack(next)
	s.remove(q, q.waiters.Front()).grant()
}

// InUse is how many slots are taken.
func (s *Slots) InUse() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size - s.free
}
