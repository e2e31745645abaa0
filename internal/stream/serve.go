package stream

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"sync"
	"syscall"
	"time"

	"sluice/internal/wire"
)

// Options are what all streams of a gateway share.
type Options struct {
	WriteTimeout time.Duration // a write that makes no headway for so long ends the stream
	Heartbeat    time.Duration // of silence before a comment is sent
	Observer     Observer      // may be nil
}

// Observer is told of what was written. It is called from many goroutines.
type Observer interface {
	Wrote(events, bytes int)
	Heartbeat()
}

// heartbeat is the comment that keeps idle connections alive through proxies.
var heartbeat = []byte(": heartbeat\n\n")

const (
	// joinBytes is how much one write joins out of small frames: ten waiting
	// events then cost little more than one.
	joinBytes = 32 << 10
	// sliceBytes is how much one write deadline covers, so that a large event
	// to a slow but living client is not taken for a stall.
	sliceBytes = 64 << 10
)

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, joinBytes); return &b }}

// Serve writes the stream to w until it ends, and returns why it did. Headers
// must be set; Serve sends them at once, and first after them. clean tells
// whether the client has everything: if not, the caller must cut the connection
// (panic(http.ErrAbortHandler)), so that the client can tell.
//
// While Serve waits it holds a goroutine and a timer, no buffer.
func (s *Stream) Serve(w http.ResponseWriter, first []byte, opts Options) (why wire.Ending, clean bool) {
	out := &writer{w: w, rc: http.NewResponseController(w), timeout: opts.WriteTimeout}
	defer out.release()
	// A write that is stuck does not see the context end; a deadline in the
	// past wakes it.
	stop := context.AfterFunc(s.ctx, out.interrupt)
	defer stop()

	s.mu.Lock()
	s.serving = true
	s.mu.Unlock()
	w.WriteHeader(http.StatusOK)
	if err := s.write(out, first); err != nil {
		return s.failed(out, err), false
	}
	beat := time.NewTimer(nextBeat(opts.Heartbeat))
	defer beat.Stop()
	for {
		wrote, done, err := s.drain(out, opts.Observer)
		switch {
		case err != nil:
			return s.failed(out, err), false
		case done:
			return *s.Ending(), true
		case wrote:
			beat.Reset(nextBeat(opts.Heartbeat))
		}
		select {
		case <-s.wake:
		case <-s.ctx.Done():
			return s.failed(out, context.Cause(s.ctx)), false
		case <-beat.C:
			if err := s.write(out, heartbeat); err != nil {
				return s.failed(out, err), false
			}
			if opts.Observer != nil {
				opts.Observer.Heartbeat()
			}
			beat.Reset(nextBeat(opts.Heartbeat))
		}
	}
}

// nextBeat spreads heartbeats, so that streams that were written to together do
// not beat together; never later than asked for.
func nextBeat(every time.Duration) time.Duration {
	return every - rand.N(every/4+1)
}

// write writes what is not in the queue.
func (s *Stream) write(out *writer, p []byte) error {
	s.setWriting(time.Now())
	defer s.setWriting(time.Time{})
	return out.write(p)
}

func (s *Stream) setWriting(since time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writing = since
}

// drain writes all that waits. done says that the stream has ended and that
// everything, the farewell too, is written.
func (s *Stream) drain(out *writer, observer Observer) (wrote, done bool, err error) {
	var written batch
	for {
		if s.ctx.Err() != nil {
			return wrote, false, context.Cause(s.ctx)
		}
		buf := buffers.Get().(*[]byte)
		b, over := s.next((*buf)[:0], written)
		if len(b.bytes) > 0 {
			err = out.write(b.bytes)
		}
		buffers.Put(buf)
		switch {
		case err != nil:
			return wrote, false, err
		case over:
			return wrote, true, nil
		case len(b.bytes) == 0:
			return wrote, false, nil
		}
		if observer != nil {
			observer.Wrote(b.events, len(b.bytes))
		}
		wrote, written = true, b
	}
}

// batch is what one write takes out of the queue.
type batch struct {
	bytes  []byte
	cost   int64
	direct int
	events int
}

// next settles the accounts of what was written last and takes what is to be
// written now: many small frames joined in buf, or one large one as it is.
// over says that there is nothing left and the stream ends.
func (s *Stream) next(buf []byte, last batch) (b batch, over bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending -= last.cost
	s.direct -= last.direct
	s.writing = time.Time{}
	b.bytes = buf
	defer func() {
		if len(b.bytes) > 0 {
			s.writing = time.Now()
		}
	}()
	for s.head < len(s.queue) {
		f := s.queue[s.head]
		if len(b.bytes) > 0 && len(b.bytes)+len(f.Bytes) > joinBytes {
			return b, false
		}
		s.queue[s.head] = Frame{}
		s.head++
		b.cost += f.cost()
		if f.Kind == Direct {
			b.direct++
		}
		if f.Kind != Control {
			b.events++
		}
		if len(b.bytes) == 0 && len(f.Bytes) > joinBytes/2 {
			b.bytes = f.Bytes
			return b, false
		}
		b.bytes = append(b.bytes, f.Bytes...)
	}
	clear(s.inline[:]) // a longer queue has moved away and left its first frames
	s.queue, s.head = s.inline[:0], 0
	if s.ending != nil && len(b.bytes) == 0 {
		b.bytes, s.farewell = s.farewell, nil
		over = len(b.bytes) == 0
	}
	return b, over
}

// failed settles why a stream broke off. A reason that was decided before
// stays: a client that leaves because it was told to end did not close first.
func (s *Stream) failed(out *writer, err error) wire.Ending {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending == nil {
		why := wire.Ending{Reason: wire.Failed, Detail: wire.DetailWriteFailed}
		switch {
		case out.stalled():
			why.Detail = wire.DetailSlowConsumer
		case s.ctx.Err() != nil, errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNRESET):
			why = wire.Ending{Reason: wire.ClientClosed}
		}
		s.ending = &why
	}
	s.head, s.queue = 0, nil
	return *s.ending
}
