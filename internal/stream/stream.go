// Package stream is the write side of open SSE responses.
//
// A sender pushes a [Frame], which never blocks and writes nothing; it only notes in a
// [Batch] that the stream is ready. When the batch is flushed, outside all locks, the
// streams write what waits for them.
//
// How a stream writes depends on its connection:
//
//   - Plain HTTP/1.1 on Linux is parked: its descriptor is in the engine's own epoll set,
//     and writes do not block. While it is idle it has no goroutine, buffer or timer.
//   - HTTP/1.1 in TLS is kept: it has a goroutine only while something is written or
//     read.
//   - All others, such as HTTP/2, use the goroutine of their request.
package stream

import (
	"errors"
	"sync"
	"time"

	"tidegate/internal/wire"
)

// What pushes return.
var (
	// ErrEnded reports that the stream has ended, or is about to.
	ErrEnded = errors.New("stream: has ended")
	// ErrFull reports that MaxPending bytes wait, in a stream that is not served yet
	// or whose client keeps reading. The frame was not queued; the stream goes on.
	ErrFull = errors.New("stream: buffer is full")
	// ErrSlow reports that MaxPending bytes waited for a client that does not read,
	// and that the stream was ended for it.
	ErrSlow = errors.New("stream: client is too slow")
)

const (
	// stuckAfter is how long a socket may be full before its client counts as not
	// reading.
	stuckAfter = 50 * time.Millisecond
	// burstFactor times MaxPending bounds what waits for a client that reads, while a
	// burst of live events is being written.
	burstFactor = 4
)

// Owner is notified of the end of a stream.
type Owner interface {
	// Ended is called once for a stream that was served, after its last write. It may
	// be called from any goroutine that flushes, but under no lock, and must not block.
	Ended(why wire.Ending)
}

// state is a set of flags. One more makes each stream larger, see
// TestAStreamIsSmall.
type state uint8

const (
	served   state = 1 << iota // its response has startedAt
	ready                      // it is in a batch, or its goroutine was woken
	writing                    // a goroutine writes: only that one may touch the socket, or close it
	blocked                    // the socket is full: epoll reports when it is writable
	cut                        // to be ended at once: what waits is dropped
	closed                     // it has ended, and the socket is closed
	eventful                   // an event was queued at some time
	ended                      // the end of the response has been written, or is being written
)

// Stream is the queue and the state of one response. Call Init before use; it must not
// be copied after that. All methods may be called concurrently; Serve once.
type Stream struct {
	engine *Engine // set once
	owner  Owner   // set once
	conn   *link   // set once, by Serve, before served; nil for a parked stream

	mu       sync.Mutex
	queue    queue  // guarded by mu, like all below
	pending  int64  // bytes waiting, those being written too
	direct   int32  // Direct frames waiting, those being written too
	fd       int32  // of a parked stream
	slot     slot   // its number in the engine
	stuck    tick   // when the socket became full; 0: it is not
	last     tick   // when something was written last
	expires  expiry // when it is to end for its age; 0: never
	received uint16
	ending   ending
	state    state
}

// Init makes s a stream of the engine. It queues what is pushed until Serve is called.
func (s *Stream) Init(e *Engine, owner Owner) {
	s.engine, s.owner, s.fd = e, owner, -1
}

// Push queues a live frame. It never blocks. It returns ErrEnded; or, if the frame does
// not fit, ErrFull, or ErrSlow after it has ended the stream.
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

// Merge queues items like PushAll, but each before those that wait and have a higher
// order. It is for a stream that is not served yet. items must be in order; Merge takes
// the slice over. It returns ErrEnded.
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

// readyLocked adds the stream to the batch, unless it will be written to anyway: the
// goroutine that writes sees what is queued meanwhile, and epoll reports when a full
// socket is writable. A stream that is to be cut does not wait for its socket.
func (s *Stream) readyLocked(b *Batch) {
	switch {
	case s.state&served == 0, s.state&(ready|closed) != 0:
	case s.state&cut == 0 && s.state&(writing|blocked) != 0:
	default:
		s.state |= ready
		b.add(s)
	}
}

// overflow decides what happens when more than MaxPending would wait. A client is slow
// when its socket is full, not when its stream waits for a worker in a burst. As long
// as no write is stuck, direct frames are refused; live frames, which their topic holds
// anyway, may wait up to burstFactor times as much.
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

// End ends the stream after what is queued was written, and then farewell, unless that
// is nil. It reports whether this call decided the reason: the first one stays.
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

// Abort ends the stream at once: what is queued is dropped, and the client sees a broken
// connection instead of an end. The batch may be nil for a stream that is not served.
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

// Ending is why the stream ends; ok is false while it does not end.
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

// Pending is the number of bytes that wait, including those being written.
func (s *Stream) Pending() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pending
}

// Undelivered is the number of Direct frames that were queued and not written. It is
// final once the stream has ended.
func (s *Stream) Undelivered() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int(s.direct)
}
