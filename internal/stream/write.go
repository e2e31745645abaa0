package stream

import (
	"errors"
	"io"
	"syscall"

	"tidegate/internal/wire"
)

// conn is a connection whose writes block. A stream that has none is parked.
type conn interface {
	// start has run called by a goroutine that may block. It is called with the
	// stream's lock held, so that none begins after CutAll has been there.
	start()
	// write writes all of p, as far as it can.
	write(p []byte) error
	// interrupt makes a write in progress fail, and all later ones.
	interrupt()
	// chunked says that the connection carries bare HTTP/1.1, and that chunks
	// have to be made here.
	chunked() bool
	// close gives the connection up. clean says that the client has everything.
	close(clean bool)
}

// link holds a conn. That makes it one word in the streams that have none.
type link struct{ conn }

// terminator ends a chunked response.
var terminator = []byte("0\r\n\r\n")

// flush writes what waits for the stream, or sees to it that it is written.
func (s *Stream) flush(p *pen) {
	s.mu.Lock()
	s.state &^= ready
	switch {
	case s.state&closed != 0:
	case s.state&writing != 0:
		if s.state&cut != 0 && s.conn != nil {
			s.mu.Unlock()
			s.conn.interrupt() // what is stuck in a write does not see that it is cut
			return
		}
	case s.state&(blocked|cut) == blocked:
	case s.conn != nil && (s.state&cut == 0 || !s.conn.chunked()):
		s.state |= writing
		s.conn.start()
	default: // to close a connection that is ours does not block
		s.state |= writing
		s.run(p)
		return
	}
	s.mu.Unlock()
}

// run writes until nothing waits, the socket refuses, or the stream has ended.
// It is called with the lock held and writing set, and returns without either,
// except that a stream that has ended stays so.
func (s *Stream) run(p *pen) {
	for {
		if s.state&cut != 0 {
			s.finish(false)
			return
		}
		b, last := s.next(p)
		if len(b.bytes) == 0 {
			if s.ending != 0 {
				s.finish(true)
				return
			}
			s.state &^= writing
			s.mu.Unlock()
			return
		}
		n, err := s.send(b.bytes)
		switch {
		case n == len(b.bytes):
			s.settle(b)
			p.note(b)
			if last {
				s.finish(true)
				return
			}
		case err != nil:
			s.broken(err)
		case s.state&cut != 0: // meanwhile: the socket need not be waited for
		case s.refused(b, n):
			return
		}
	}
}

// next takes what the next write is to have: the rest of the last one, or what
// waits, with the end of the response behind it if that is all. last says that
// nothing comes after it.
func (s *Stream) next(p *pen) (b batch, last bool) {
	chunked := s.conn == nil || s.conn.chunked()
	if l := s.queue.list; l != nil && len(l.rest) > 0 {
		b = l.sent
		b.bytes, l.rest = l.rest, nil
	} else {
		b = s.queue.next(p.buf[:0], chunked)
	}
	if !s.queue.empty() || s.ending == 0 || s.state&cut != 0 {
		return b, false
	}
	if !chunked {
		return b, len(b.bytes) > 0
	}
	if len(b.bytes) > largeFrame {
		return b, false // by itself, next time
	}
	if s.state&ended == 0 {
		s.state |= ended
		b.bytes = append(append(p.buf[:0], b.bytes...), terminator...)
	}
	return b, true
}

// send writes without the lock.
func (s *Stream) send(bytes []byte) (n int, err error) {
	if s.conn == nil {
		fd := s.fd
		s.mu.Unlock()
		n, err = s.engine.kernel.send(fd, bytes)
		s.mu.Lock()
		return n, err
	}
	for n < len(bytes) && err == nil {
		// A slice at a time, so that a large event to a slow but living client
		// is not taken for a stall.
		slice := bytes[n:min(len(bytes), n+sliceBytes)]
		s.stuck = s.engine.now()
		s.mu.Unlock()
		err = s.conn.write(slice)
		s.mu.Lock()
		s.stuck = 0
		n += len(slice)
	}
	if err != nil {
		n = 0
	}
	return n, err
}

// sliceBytes is how much of a blocking write the write timeout is for.
const sliceBytes = 64 << 10

// settle closes the accounts of a write.
func (s *Stream) settle(b batch) {
	s.pending -= b.cost
	s.direct -= int32(b.direct)
	s.last, s.stuck = s.engine.lately(), 0
	if s.state&blocked != 0 {
		s.state &^= blocked
		if err := s.engine.kernel.await(s.fd, s.slot.key(), false); err != nil {
			s.broken(err)
		}
	}
}

// refused keeps what the socket of a parked stream did not take and asks to be
// told when it takes more. It gives up writing, and the lock with it; it reports
// false if the kernel does not do what it was asked for.
func (s *Stream) refused(b batch, n int) bool {
	l := s.queue.spill()
	rest := b.bytes[n:]
	b.bytes = nil
	l.sent = b
	// The bytes may be a frame that is shared, or the pen's: of those a copy is
	// kept, as they are few.
	if len(rest) <= joinBytes {
		rest = append([]byte(nil), rest...)
	}
	l.rest = rest
	if n > 0 || s.stuck == 0 {
		s.stuck = s.engine.now()
	}
	if s.state&blocked == 0 {
		s.state |= blocked
		if err := s.engine.kernel.await(s.fd, s.slot.key(), true); err != nil {
			s.engine.opts.Log.Warn("cannot watch a socket", "cause", err)
			s.broken(err)
			return false
		}
	}
	s.state &^= writing
	s.mu.Unlock()
	return true
}

// broken notes why a write failed. A reason that was decided before stays: a
// client that leaves because it was told to end did not close first.
func (s *Stream) broken(err error) {
	why := wire.Ending{Reason: wire.Failed, Detail: wire.DetailWriteFailed}
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.ErrClosedPipe) {
		why = wire.Ending{Reason: wire.ClientClosed}
	}
	if s.ending == 0 {
		s.ending = endingOf(why)
	}
	s.state |= cut
}

// finish gives up the socket and tells the owner. It is called with the lock
// held by who writes, and returns without.
func (s *Stream) finish(clean bool) {
	s.state |= closed
	s.queue.clear()
	s.pending, s.stuck = 0, 0
	why, fd := s.ending.wire(), s.fd
	s.fd = -1
	s.mu.Unlock()
	s.engine.slots.remove(s.slot)
	if s.conn != nil {
		s.conn.close(clean)
	} else {
		s.engine.slots.parked.Add(-1)
		s.engine.kernel.close(fd)
	}
	s.owner.Ended(why)
}
