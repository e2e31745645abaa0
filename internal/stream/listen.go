package stream

import (
	"tidegate/internal/wire"
)

const (
	// earBytes is how much is read from a client at once, to be dropped.
	earBytes = 4 << 10
	// maxHeard is how much a client may send on a stream, where nothing is
	// expected from it.
	maxHeard = 32 << 10
)

// listen hears of the sockets of parked and kept streams until the kernel is
// stopped.
func (e *Engine) listen() {
	var reports []report
	ear := make([]byte, earBytes)
	p := pens.Get().(*pen)
	defer pens.Put(p)
	for {
		reports = e.kernel.wait(reports[:0])
		if len(reports) == 0 {
			return
		}
		for _, r := range reports {
			if s := e.slots.find(slotOf(r.key)); s != nil {
				s.hear(r, ear, p)
			}
		}
		e.report(p)
	}
}

// hear acts on a report. If somebody writes to the stream at that moment, the
// report is left: it will come again.
func (s *Stream) hear(r report, ear []byte, p *pen) {
	s.mu.Lock()
	if s.slot != slotOf(r.key) || s.state&closed != 0 {
		s.mu.Unlock()
		return
	}
	if s.conn != nil {
		s.mu.Unlock()
		s.conn.conn.(*kept).hear(r)
		return
	}
	if s.state&writing != 0 {
		s.mu.Unlock()
		return
	}
	s.state |= writing
	gone := r.gone
	if r.readable && !gone {
		fd := s.fd
		s.mu.Unlock()
		n, end := s.engine.kernel.receive(fd, ear)
		s.mu.Lock()
		gone = end || s.tooMuch(n)
	}
	if gone {
		s.leaves()
	}
	if s.state&(blocked|cut) == blocked && !r.writable {
		s.state &^= writing
		s.mu.Unlock()
		return
	}
	s.run(p)
}

// leaves notes that the client has gone.
func (s *Stream) leaves() {
	if s.ending == 0 {
		s.ending = endingOf(wire.Ending{Reason: wire.ClientClosed})
	}
	s.state |= cut
}

// tooMuch counts what a client sent and reports that it was too much.
func (s *Stream) tooMuch(n int) bool {
	if n > maxHeard-int(s.heard) {
		if s.ending == 0 {
			s.ending = endingOf(wire.Ending{Reason: wire.Failed, Detail: wire.DetailClientSends})
		}
		return true
	}
	s.heard += uint16(n)
	return false
}
