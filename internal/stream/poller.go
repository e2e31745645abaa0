package stream

import (
	"tidegate/internal/wire"
)

const (
	// readBytes is how much is read from a client at once. It is dropped.
	readBytes = 4 << 10
	// maxReceived is how much a client may send on a stream, although nothing is
	// expected from it.
	maxReceived = 32 << 10
)

// poll passes the events of all sockets to their streams, until the kernel is stopped.
func (e *Engine) poll() {
	var events []socketEvent
	buf := make([]byte, readBytes)
	sc := scratchPool.Get().(*scratch)
	defer scratchPool.Put(sc)
	for {
		events = e.kernel.wait(events[:0])
		if len(events) == 0 {
			return
		}
		for _, ev := range events {
			if s := e.slots.find(slotOf(ev.key)); s != nil {
				s.onEvent(ev, buf, sc)
			}
		}
		e.report(sc)
	}
}

// onEvent acts on an event. While a goroutine writes to the stream, the event is
// ignored: epoll is level-triggered and reports it again.
func (s *Stream) onEvent(ev socketEvent, buf []byte, sc *scratch) {
	s.mu.Lock()
	if s.slot != slotOf(ev.key) || s.state&closed != 0 {
		s.mu.Unlock()
		return
	}
	if s.conn != nil {
		s.mu.Unlock()
		s.conn.conn.(*kept).onEvent(ev)
		return
	}
	if s.state&writing != 0 {
		s.mu.Unlock()
		return
	}
	s.state |= writing
	gone := ev.gone
	if ev.readable && !gone {
		fd := s.fd
		s.mu.Unlock()
		n, end := s.engine.kernel.receive(fd, buf)
		s.mu.Lock()
		gone = end || s.countReceived(n)
	}
	if gone {
		s.clientLeft()
	}
	if s.state&(blocked|cut) == blocked && !ev.writable {
		s.state &^= writing
		s.mu.Unlock()
		return
	}
	s.run(sc)
}

// clientLeft ends the stream of a client that has closed its connection.
func (s *Stream) clientLeft() {
	if s.ending == 0 {
		s.ending = endingOf(wire.Ending{Reason: wire.ClientClosed})
	}
	s.state |= cut
}

// countReceived counts n bytes that the client sent, and reports whether they are too
// many.
func (s *Stream) countReceived(n int) bool {
	if n > maxReceived-int(s.received) {
		if s.ending == 0 {
			s.ending = endingOf(wire.Ending{Reason: wire.Failed, Detail: wire.DetailClientSends})
		}
		return true
	}
	s.received += uint16(n)
	return false
}
