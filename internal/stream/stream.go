// Package stream is the write side of open SSE responses.
//
// Whoever has something for a stream pushes a [Frame], which never blocks and
// writes nothing; it only notes in a [Batch] that the stream is ready. When the
// batch is flushed, outside all locks, the streams write what waits for them.
//
// How a stream writes depends on its connection. Where it can be, it is parked:
// its descriptor is in the engine's own epoll set, writes are direct and do not
// block, and while it is idle it has neither goroutine nor buffer nor timer. A
// connection in TLS is kept, and has a goroutine only while something is
// written. All others, such as streams of HTTP/2, have the goroutine of their
// request.
package stream

import (
	"errors"
	"sync"
	"time"

	"tidegate/internal/wire"
)

// What pushes return.
var (
	// ErrEnded says that the stream has ended or is about to.
	ErrEnded = errors.New("stream: has ended")
	// ErrFull says that MaxPending bytes wait, in a stream that is not served
	// yet or whose client keeps reading. Nothing was taken, the stream goes on.
	ErrFull = errors.New("stream: buffer is full")
	// ErrSlow says that the stream had MaxPending bytes waiting for a client
	// that does not read, and has been ended for it.
	ErrSlow = errors.New("stream: client is too slow")
)

const (
	// stuckAfter is how long a socket may refuse before its client counts as
	// not reading.
	stuckAfter = 50 * time.Millisecond
	// burstFactor times MaxPending is the most that waits for a client that
	// reads, while a burst of live events is being written.
	burstFactor = 4
)

// Owner is who a stream belongs to.
type Owner interface {
	// Ended is called once for a stream that was served, after its last write.
	// It may be called from any goroutine that pushes or flushes, but under no
	// lock of theirs, and must not wait.
	Ended(why wire.Ending)
}

// state is a set of facts about a stream. One more makes each stream larger, see
// TestAStreamIsSmall.
type state uint8

const (
	served   state = 1 << iota // its response has begun
	ready                      // it is in a batch, or its goroutine has been woken
	writing                    // somebody writes: only they may touch the socket, or close it
	blocked                    // the socket takes no more: it will be heard of
	cut                        // to end at once: what waits is dropped
	closed                     // it has ended, the socket is gone
	eventful                   // an event was queued, ever
	ended                      // the end of the response has been written, or is being written
)

// Stream is one stream's queue and state. Init makes one; it must not be copied
// then. All methods may be called concurrently; Serve once.
type Stream struct {
	engine *Engine // set once
	owner  Owner   // set once
	conn   *link   // set once, by Serve, before served; nil for a parked stream

	mu      sync.Mutex
	queue   queue  // guarded by mu, like all below
	pending int64  // bytes waiting, those being written too
	direct  int32  // Direct frames waiting, those being written too
	fd      int32  // of a parked stream
	slot    slot   // where the engine finds it
	stuck   tick   // since when the socket refuses; 0: it does not
	last    tick   // when something was written
	expires expiry // when it is to end for its age; 0: never
	heard   uint16
	ending  ending
	state   state
}

// Init makes s a stream of the engine.
func (s *Stream) Init(e *Engine, owner Owner) {
	s.engine, s.owner, s.fd = e, owner, -1
}

// Push queues a live frame. It returns ErrEnded; or, where the frame does not
// fit, ErrFull, or ErrSlow after it has ended the stream.
func (s *Stream) Push(b *Batch, f *Frame) error { return s.push(b, Item{f, Live}) }

// PushDirect is Push for a frame that was sent to the stream's token.
func (s *Stream) PushDirect(b *Batch, f *Frame) error { return s.push(b, Item{f, Direct}) }

func (s *Stream) push(b *Batch, i Item) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending != 0 {
		return ErrEnded
	}
	cost := i.cost()
	if s.pending > 0 && s.pending+cost > s.engine.opts.MaxPending {
		if err := s.overflow(b, i.Kind, s.pending+cost); err != nil {
			return err
		}
	}
	s.pending += cost
	if i.Kind == Direct {
		s.direct++
	}
	s.enqueue(i)
	s.readyLocked(b)
	return nil
}

// PushAll queues items that do not count against MaxPending: Replay and
// Control. It returns ErrEnded.
func (s *Stream) PushAll(b *Batch, items []Item) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending != 0 {
		return ErrEnded
	}
	for _, i := range items {
		s.enqueue(i)
	}
	s.readyLocked(b)
	return nil
}

// Merge queues items like PushAll, but each in front of those that wait and have
// a higher order. It is for a stream that is not served yet; items must be in
// order, and must not be used afterwards. It returns ErrEnded.
func (s *Stream) Merge(items []Item) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending != 0 {
		return ErrEnded
	}
	for _, i := range items {
		s.note(i)
	}
	s.queue.merge(items)
	return nil
}

func (s *Stream) enqueue(i Item) {
	s.note(i)
	s.queue.add(i)
}

func (s *Stream) note(i Item) {
	if i.Kind != Control {
		s.state |= eventful
	}
}

// readyLocked notes that somebody must write, unless somebody is about to. A
// stream that is written to sees by itself what has come, and one whose socket
// refuses is woken by the socket; but to be cut it need not wait for that.
func (s *Stream) readyLocked(b *Batch) {
	switch {
	case s.state&served == 0, s.state&(ready|closed) != 0:
	case s.state&cut == 0 && s.state&(writing|blocked) != 0:
	default:
		s.state |= ready
		b.add(s)
	}
}

// overflow decides what happens when more than MaxPending would wait. A client
// is slow when its socket refuses, not when its stream has not had its turn in
// a burst: as long as no write is stuck, direct frames are refused and live
// ones, which their topic holds anyway, may pile up a little higher.
func (s *Stream) overflow(b *Batch, kind Kind, pending int64) error {
	stuck := s.stuck != 0 && s.engine.since(s.stuck) > stuckAfter
	switch {
	case kind == Direct && !stuck:
		return ErrFull
	case s.state&served != 0 && !stuck && pending <= burstFactor*s.engine.opts.MaxPending:
		return nil
	}
	s.cutLocked(b, wire.Ending{Reason: wire.Failed, Detail: wire.DetailSlowConsumer})
	return ErrSlow
}

// End ends the stream after what is queued has been written, and farewell after
// it, unless that is nil. It reports whether it was this call that decided: the
// first reason stays.
func (s *Stream) End(b *Batch, why wire.Ending, farewell *Frame) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending != 0 {
		return false
	}
	s.ending = endingOf(why)
	if farewell != nil {
		s.queue.add(Item{farewell, Control})
	}
	s.readyLocked(b)
	return true
}

// Abort ends the stream at once: what is queued is dropped, and the client sees
// a cut instead of an end. The batch may be nil for a stream that is not served,
// or not any more.
func (s *Stream) Abort(b *Batch, why wire.Ending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cutLocked(b, why)
}

func (s *Stream) cutLocked(b *Batch, why wire.Ending) {
	if s.ending == 0 {
		s.ending = endingOf(why)
	}
	s.state |= cut
	s.readyLocked(b)
}

// Ending tells why the stream ends; ok is false while it does not.
func (s *Stream) Ending() (why wire.Ending, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ending.wire(), s.ending != 0
}

// HasEvents reports whether any event was ever queued.
func (s *Stream) HasEvents() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state&eventful != 0
}

// Pending is the number of bytes that wait, those being written included.
func (s *Stream) Pending() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pending
}

// Undelivered is the number of Direct frames that were taken and not written.
// It is final once the stream has ended.
func (s *Stream) Undelivered() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int(s.direct)
}
