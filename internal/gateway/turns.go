package gateway

import (
	"container/list"
	"context"
	"net/netip"
	"sync"
	"time"

	"tidegate/internal/peer"
)

// turns are a number of places that clients wait for. A place that is given back
// goes to the next address in turn, and there to who came first: of those who wait
// at another address, a client waits for one at most.
type turns struct {
	places int // set once

	mu    sync.Mutex
	free  int                  // guarded by mu, like all below; 0 while somebody waits
	lines map[netip.Addr]*line // none is empty
	order list.List            // of *line: whose turn is next is first
}

// line are those who wait at one address.
type line struct {
	address netip.Addr
	waiters list.List     // of *waiter, who came first is first
	place   *list.Element // in turns.order
}

// waiter waits for a place.
type waiter struct {
	turn chan struct{} // closed when it has one
	had  bool          // it has; guarded by turns.mu
}

func newTurns(places int) *turns {
	return &turns{places: places, free: places, lines: map[netip.Addr]*line{}}
}

// source is the address that a client waits at: its own, or of IPv6 its network.
func source(remote string) netip.Addr { return peer.Key(peer.AddrOf(remote)) }

// take waits for a place, which must be given back. It returns errLate if late was
// first, or the cause of ctx's end.
func (t *turns) take(ctx context.Context, who waiting, late <-chan time.Time) error {
	if t.try() {
		return nil
	}
	address := source(who.RemoteAddr())
	w := &waiter{turn: make(chan struct{})}
	place := t.join(address, w)
	var err error
	select {
	case <-w.turn:
		return nil
	case <-late:
		err = errLate
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if !t.leave(address, w, place) {
		return nil // it came at the same moment
	}
	return err
}

// waiting is who waits: asked only where there is a wait.
type waiting interface{ RemoteAddr() string }

func (t *turns) try() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.free == 0 {
		return false
	}
	t.free--
	return true
}

// join puts a waiter at the end of its line, unless a place has become free.
func (t *turns) join(address netip.Addr, w *waiter) (place *list.Element) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.free > 0 {
		t.free--
		w.grant()
		return nil
	}
	l := t.lines[address]
	if l == nil {
		l = &line{address: address}
		l.place = t.order.PushBack(l)
		t.lines[address] = l
	}
	return l.waiters.PushBack(w)
}

// grant gives a waiter its place. The caller holds turns.mu.
func (w *waiter) grant() {
	w.had = true
	close(w.turn)
}

// leave takes a waiter out of its line. It reports false if it has a place.
func (t *turns) leave(address netip.Addr, w *waiter, place *list.Element) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if w.had {
		return false
	}
	t.remove(t.lines[address], place)
	return true
}

// remove takes out a waiter, and its line with the last one. The caller holds mu.
func (t *turns) remove(l *line, place *list.Element) *waiter {
	w := l.waiters.Remove(place).(*waiter)
	if l.waiters.Len() == 0 {
		t.order.Remove(l.place)
		delete(t.lines, l.address)
	}
	return w
}

// give gives a place back.
func (t *turns) give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	next := t.order.Front()
	if next == nil {
		t.free++
		return
	}
	l := next.Value.(*line)
	t.order.MoveToBack(next)
	t.remove(l, l.waiters.Front()).grant()
}

// taken is how many places are taken.
func (t *turns) taken() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.places - t.free
}
