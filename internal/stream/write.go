package stream

import (
	"errors"
	"io"
	"syscall"

	"tidegate/internal/wire"
)

// conn is a connection whose writes block. A parked stream has none.
type conn interface {
	// start calls run in a goroutine that may block. It is called with the stream's
	// lock held, so that none starts after CutAll.
	start()
	// write writes all of p, or fails.
	write(p []byte) error
	// interrupt makes a write in progress fail, and all later ones.
	interrupt()
	// chunked reports that the connection carries raw HTTP/1.1, whose chunks are
	// framed here.
	chunked() bool
	// close closes the connection. clean reports that everything was written.
	close(clean bool)
}

// link holds a conn: one word instead of two in each stream that has none.
type link struct{ conn }

// terminator ends a chunked response.
var terminator = []byte("0\r\n\r\n")

// flush writes what waits for the stream, or starts a goroutine that does.
func (s *Stream) flush(sc *scratch) {
	s.mu.Lock()
	s.state &^= ready
	switch {
	case s.state&closed != 0:
	case s.state&writing != 0:
		if s.state&cut != 0 && s.conn != nil {
			s.mu.Unlock()
			s.conn.interrupt() // a blocked write does not see the flag
			return
		}
	case s.state&(blocked|cut) == blocked:
	case s.conn != nil && (s.state&cut == 0 || !s.conn.chunked()):
		s.state |= writing
		s.conn.start()
	default: // closing a connection of our own does not block
		s.state |= writing
		s.run(sc)
		return
	}
	s.mu.Unlock()
}

// run writes until nothing waits, the socket is full, or the stream has ended. It is
// called with the lock held and writing set, and releases both; writing stays set if
// the stream has ended.
func (s *Stream) run(sc *scratch) {
	for {
		if s.state&cut != 0 {
			s.finish(false)
			return
		}
		b, last := s.next(sc)
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
			s.written(b)
			sc.note(b)
			if last {
				s.finish(true)
				return
			}
		case err != nil:
			s.writeFailed(err)
		case s.state&cut != 0: // meanwhile: there is no need to wait for the socket
		case s.keepRest(b, n):
			return
		}
	}
}

// next takes the bytes of the next write: the rest of the last one, or what waits, with
// the end of the response after it if that is all. last reports that it is the final
// write.
func (s *Stream) next(sc *scratch) (b batch, last bool) {
	chunked := s.conn == nil || s.conn.chunked()
	if l := s.queue.list; l != nil && len(l.rest) > 0 {
		b = l.sent
		b.bytes, l.rest = l.rest, nil
	} else {
		b = s.queue.next(sc.buf[:0], chunked)
	}
	if !s.queue.empty() || s.ending == 0 || s.state&cut != 0 {
		return b, false
	}
	if !chunked {
		return b, len(b.bytes) > 0
	}
	if len(b.bytes) > largeFrame {
		return b, false // the end follows in a write of its own
	}
	if s.state&ended == 0 {
		s.state |= ended
		b.bytes = append(append(sc.buf[:0], b.bytes...), terminator...)
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
		// In slices, so that a large event to a slow client that still reads does
		// not count as a stall.
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

// sliceBytes is how many bytes of a blocking write must pass within the write timeout.
const sliceBytes = 64 << 10

// written counts a write that is complete.
func (s *Stream) written(b batch) {
	s.pending -= b.cost
	s.direct -= int32(b.direct)
	s.last, s.stuck = s.engine.coarseNow(), 0
	if s.state&blocked != 0 {
		s.state &^= blocked
		if err := s.engine.kernel.await(s.fd, s.slot.key(), false); err != nil {
			s.writeFailed(err)
		}
	}
}

// keepRest keeps what the socket of a parked stream did not take, and asks epoll to
// report when it is writable. It releases writing and the lock, and reports true; or
// false if the kernel refuses.
func (s *Stream) keepRest(b batch, n int) bool {
	l := s.queue.spill()
	rest := b.bytes[n:]
	b.bytes = nil
	l.sent = b
	// The bytes may belong to a shared frame, or to the scratch buffer: those are few,
	// and are copied.
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
			s.writeFailed(err)
			return false
		}
	}
	s.state &^= writing
	s.mu.Unlock()
	return true
}

// writeFailed ends the stream with the reason of a failed write. A reason that was
// decided before stays: the client may have left because the stream was ending.
func (s *Stream) writeFailed(err error) {
	why := wire.Ending{Reason: wire.Failed, Detail: wire.DetailWriteFailed}
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.ErrClosedPipe) {
		why = wire.Ending{Reason: wire.ClientClosed}
	}
	if s.ending == 0 {
		s.ending = endingOf(why)
	}
	s.state |= cut
}

// finish closes the socket and notifies the owner. The writer calls it with the lock
// held; it releases the lock.
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
