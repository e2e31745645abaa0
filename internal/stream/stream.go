// Package stream is the write side of one open SSE response: a bounded queue of
// encoded frames and the one goroutine that writes them.
//
// Frames are encoded once and shared by all streams that they go to. Whoever
// has something for a stream calls Push, which never blocks; the handler's
// goroutine is in Serve and is the only one that touches the socket.
package stream

import (
	"context"
	"errors"
	"sync"
	"time"

	"sluice/internal/wire"
)

// Kind says where a frame comes from, which decides what it counts for.
type Kind uint8

// The kinds of frames.
const (
	Live    Kind = iota // an event of a topic: waits within MaxPending
	Replay              // read back from a topic's log: bounded by the log, does not count
	Direct              // sent to the token: waits within MaxPending, undelivered ones are reported
	Control             // no event in it: an id-only block or a retry field
)

const (
	// stuckAfter is how long one write may take before its client counts as
	// not reading.
	stuckAfter = 50 * time.Millisecond
	// burstFactor times maxPending is the most that waits for a client that
	// reads, while a burst of live events is being written.
	burstFactor = 4
)

// Frame is one block of a stream, or a part of one that the next frame goes on
// with. Bytes is shared with other streams and must not be changed after Push.
type Frame struct {
	Bytes []byte
	Kind  Kind
	Order uint64 // place among the frames of all topics, for Merge; 0: none
}

// frameCost is what a waiting frame counts beside its bytes, so that a flood of
// tiny events is bounded as well.
const frameCost = 32

func (f Frame) cost() int64 {
	if f.Kind == Live || f.Kind == Direct {
		return int64(len(f.Bytes)) + frameCost
	}
	return 0
}

// What Push returns.
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

// Stream is one stream's queue and state. Make it with New. All methods may be
// called concurrently; Serve once.
type Stream struct {
	maxPending int64 // set once
	wake       chan struct{}
	abort      context.CancelCauseFunc // set once; ends Serve at once, also inside a write
	ctx        context.Context         // the stream's lifetime

	mu       sync.Mutex
	queue    []Frame // guarded by mu, from head on
	head     int
	pending  int64 // bytes waiting, those being written too
	serving  bool
	writing  time.Time    // since when the write in progress is; zero while there is none
	events   int          // frames ever queued that hold an event
	direct   int          // Direct frames waiting
	ending   *wire.Ending // why it ends, once that is known
	farewell []byte       // what Serve writes last
	inline   [2]Frame     // the queue's first array: most streams never have more waiting
}

// New makes a stream whose life ends with ctx at the latest. At most maxPending
// bytes wait for it; one frame is always taken when none waits.
func New(ctx context.Context, maxPending int64) *Stream {
	s := &Stream{maxPending: maxPending, wake: make(chan struct{}, 1)}
	s.ctx, s.abort = context.WithCancelCause(ctx)
	s.queue = s.inline[:0]
	return s
}

// Push queues a frame. It returns ErrEnded; or, where the frame does not fit,
// ErrFull, or ErrSlow after it has ended the stream.
func (s *Stream) Push(f Frame) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending != nil {
		return ErrEnded
	}
	cost := f.cost()
	if cost > 0 && s.pending > 0 && s.pending+cost > s.maxPending {
		if err := s.overflow(f.Kind, s.pending+cost); err != nil {
			return err
		}
	}
	s.pending += cost
	if f.Kind == Direct {
		s.direct++
	}
	s.enqueue(f)
	return nil
}

// PushAll queues frames that do not count against maxPending: Replay and
// Control. It returns ErrEnded.
func (s *Stream) PushAll(frames []Frame) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending != nil {
		return ErrEnded
	}
	for _, f := range frames {
		s.enqueue(f)
	}
	return nil
}

// Merge queues frames like PushAll, but each in front of those that wait and have
// a higher Order. It is for a stream that is not served yet; frames must be in
// order. It returns ErrEnded.
func (s *Stream) Merge(frames []Frame) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending != nil {
		return ErrEnded
	}
	waiting := s.queue[s.head:]
	s.queue, s.head = make([]Frame, 0, len(waiting)+len(frames)), 0
	for _, w := range waiting {
		for len(frames) > 0 && frames[0].Order < w.Order {
			s.enqueue(frames[0])
			frames = frames[1:]
		}
		s.queue = append(s.queue, w)
	}
	for _, f := range frames {
		s.enqueue(f)
	}
	return nil
}

func (s *Stream) enqueue(f Frame) {
	if f.Kind != Control {
		s.events++
	}
	if s.head > 64 && s.head > len(s.queue)/2 {
		// Never empty, never done: move down, or the array would only grow.
		n := copy(s.queue, s.queue[s.head:])
		clear(s.queue[n:])
		s.queue, s.head = s.queue[:n], 0
	}
	s.queue = append(s.queue, f)
	s.signal()
}

// overflow decides what happens when more than maxPending would wait. A client
// is slow when its socket refuses, not when its goroutine has not had its turn
// in a burst: as long as no write is stuck, direct frames are refused and live
// ones, which their topic holds anyway, may pile up a little higher.
func (s *Stream) overflow(kind Kind, pending int64) error {
	stuck := s.serving && !s.writing.IsZero() && time.Since(s.writing) > stuckAfter
	switch {
	case kind == Direct && !stuck:
		return ErrFull
	case s.serving && !stuck && pending <= burstFactor*s.maxPending:
		return nil
	}
	s.endLocked(wire.Ending{Reason: wire.Failed, Detail: wire.DetailSlowConsumer})
	s.abort(ErrSlow)
	return ErrSlow
}

// End ends the stream after what is queued has been written, and farewell
// after it. It reports whether it was this call that decided: the first reason
// stays.
func (s *Stream) End(why wire.Ending, farewell []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending != nil {
		return false
	}
	s.endLocked(why)
	s.farewell = farewell
	return true
}

// Abort ends the stream at once: what is queued is dropped, and the client sees
// a cut instead of an end.
func (s *Stream) Abort(why wire.Ending) {
	s.mu.Lock()
	if s.ending == nil {
		s.endLocked(why)
	}
	s.mu.Unlock()
	s.abort(ErrEnded)
}

func (s *Stream) endLocked(why wire.Ending) {
	s.ending = &why
	s.signal()
}

func (s *Stream) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Ending tells why the stream ends; nil while it does not.
func (s *Stream) Ending() *wire.Ending {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ending
}

// HasEvents reports whether any event was ever queued.
func (s *Stream) HasEvents() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.events > 0
}

// Pending is the number of bytes that wait, frames being written included.
func (s *Stream) Pending() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pending
}

// Undelivered is the number of Direct frames that were taken and not written.
// It is final once Serve has returned.
func (s *Stream) Undelivered() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.direct
}
