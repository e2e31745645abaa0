package callback

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"tidegate/internal/gateway/admission"
	"tidegate/internal/wire"
)

// connect is one connect callback that a client waits for. Its two ends meet here:
// the answer, and a client that no longer waits.
type connect struct {
	caller  *Caller // set once, like the next two
	message *Message
	before  uint64 // how many callbacks had been answered when the client came

	// early reports that the callback was posted in the first half of the timeout: a
	// late answer is the backend's doing then.
	early    atomic.Bool
	finished chan struct{} // closed when answer is there

	mu        sync.Mutex
	answer    Answer       // guarded by mu until finished is closed
	done      bool         // guarded by mu, like abandoned
	abandoned *wire.Ending // why the client no longer waits; nil: it does
}

// Connect asks the backend whether a client may stay. ctx is the client's lifetime.
//
// It returns the answer, or after the timeout one that is Abandoned. waited is false
// if the client has left. In both of these cases the callback goes on for 30 s at
// most, and late receives its answer, with the reason for which nobody waits. late is
// called from another goroutine, once, maybe before Connect returns. If the backend
// accepts, or may have, a disconnect must follow.
func (c *Caller) Connect(ctx context.Context, m *Message, late func(Answer, wire.Ending)) (a Answer, waited bool) {
	n := &connect{caller: c, message: m, before: c.answered.Load(), finished: make(chan struct{})}
	c.pending.Go(func() { n.run(ctx, late) })
	timeout := time.NewTimer(c.opts.Timeout)
	defer timeout.Stop()
	a = Answer{Err: errNoAnswer, Abandoned: true}
	select {
	case <-n.finished:
		return n.cause(n.answer), true
	case <-timeout.C:
		if n.abandon(wire.Ending{Reason: wire.Failed, Detail: wire.DetailCallbackTimeout}) {
			return n.cause(a), true
		}
	case <-ctx.Done():
		if n.abandon(DuringCallback) {
			return a, false
		}
	}
	<-n.finished
	return n.cause(n.answer), true
}

// DuringCallback is the end of a client that leaves before its callback is answered.
var DuringCallback = wire.Ending{Reason: wire.ClientClosed, Detail: wire.DetailDuringCallback}

// run posts the callback and hands its answer to the client, or to late.
func (n *connect) run(ctx context.Context, late func(Answer, wire.Ending)) {
	a, discard := n.post(ctx)
	defer discard()
	defer close(n.finished)
	n.mu.Lock()
	n.answer, n.done = a, true
	abandoned := n.abandoned
	n.mu.Unlock()
	if abandoned != nil {
		late(a, *abandoned)
	}
}

// abandon notes that the client no longer waits. It reports false if the answer is
// there already.
func (n *connect) abandon(why wire.Ending) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.done {
		n.abandoned = &why
	}
	return !n.done
}

// cause replaces a timeout by errOverloaded if other clients were before this one and
// the backend did answer meanwhile.
func (n *connect) cause(a Answer) Answer {
	if a.TimedOut() && !n.early.Load() && n.caller.answered.Load() != n.before {
		a.Err = errOverloaded
	}
	return a
}

// post waits for a slot, in turn with other addresses, for as long as the client
// would. With the slot it goes on without the client, to learn what the backend
// decides. It gives the slot back when nobody would wait any more: a backend that
// hangs must not hold up others. discard is as in [Caller.call].
func (n *connect) post(ctx context.Context) (a Answer, discard func()) {
	c := n.caller
	wait := time.NewTimer(c.opts.Timeout)
	defer wait.Stop()
	begin := time.Now()
	switch err := c.slots.Acquire(ctx, &n.message.Request, wait.C); {
	case errors.Is(err, admission.ErrTimeout):
		return Answer{Err: errNoSlot}, func() {}
	case err != nil:
		return Answer{Err: err}, func() {}
	}
	waited := time.Since(begin)
	if waited >= c.opts.Timeout-c.opts.Timeout/20 { // the client would leave before the answer
		c.slots.Release()
		return Answer{Err: errNoSlot}, func() {}
	}
	n.early.Store(waited < c.opts.Timeout/2)
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), c.opts.Timeout+maxLateTime-waited, errNoAnswer)
	release := c.releaseAfter(c.opts.Timeout-waited, cancel)
	a, discardBody := c.call(ctx, n.message)
	release()
	return a, func() {
		discardBody()
		cancel()
	}
}

// releaseAfter gives a slot back after d, or when the caller calls release: once, when
// the callback has ended. A callback that goes on after d needs one of the places of
// late; without one it is cancelled.
func (c *Caller) releaseAfter(d time.Duration, cancel func()) (release func()) {
	isLate := make(chan bool, 1) // receives whether it has a place of late
	timer := time.AfterFunc(d, func() {
		c.slots.Release()
		select {
		case c.late <- struct{}{}:
			isLate <- true
		default:
			cancel()
			isLate <- false
		}
	})
	return func() {
		if timer.Stop() {
			c.slots.Release()
		} else if <-isLate {
			<-c.late
		}
	}
}
