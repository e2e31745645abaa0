package stream

import (
	"crypto/tls"
	"net"
	"net/http"
	"syscall"
	"time"
)

// parks gives the connection of a request if its stream can be taken from
// net/http: plain HTTP/1.1 or HTTP/1.1 in TLS, over TCP or a Unix socket.
func (e *Engine) parks(r *http.Request) net.Conn {
	if e.kernel == nil || e.stopped.Load() || r.ProtoMajor != 1 || r.ProtoMinor < 1 {
		return nil
	}
	c, _ := r.Context().Value(connKey{}).(net.Conn)
	if _, ok := socketOf(c); !ok {
		return nil
	}
	return c
}

// socketConn is a connection with a descriptor.
type socketConn interface {
	net.Conn
	syscall.Conn
	SetWriteBuffer(bytes int) error
}

// socketOf gives the socket below a connection that is one, or that encrypts or
// counts one and says so with NetConn. Another that has a socket inside has none:
// what it does besides would be lost.
func socketOf(c net.Conn) (socketConn, bool) {
	for {
		switch inner := c.(type) {
		case *net.TCPConn:
			return inner, true
		case *net.UnixConn:
			return inner, true
		case interface{ NetConn() net.Conn }:
			c = inner.NetConn()
		default:
			return nil, false
		}
	}
}

// park takes the connection from net/http, whose goroutines and buffers for it
// end with the handler. It reports false if net/http does not let go of it.
func (s *Stream) park(rc *http.ResponseController, c net.Conn, first *Frame, age time.Duration) bool {
	// What is buffered can only be a request behind this one, which the header
	// "Connection: close" has said will not be answered.
	if _, _, err := rc.Hijack(); err != nil {
		return false
	}
	_, encrypted := c.(*tls.Conn)
	if plain, ok := socketOf(c); ok && !encrypted {
		if raw, err := plain.SyscallConn(); err == nil {
			if fd, err := duplicate(raw, s.engine.opts); err == nil {
				_ = c.Close() // of the two descriptors; the connection stays
				s.parkAt(fd, first, age)
				return true
			}
		}
	}
	s.keep(c, first, age)
	return true
}

// hears sees to it that the engine hears of sockets.
func (e *Engine) hears() { e.ears.Do(func() { e.loops.Go(e.listen) }) }

// parkAt parks the stream at a descriptor that is its own.
func (s *Stream) parkAt(fd int32, first *Frame, age time.Duration) {
	s.engine.hears()
	s.begin(nil, first, age)
	s.fd = fd
	s.engine.slots.parked.Add(1)
	if s.state&cut != 0 {
		s.finish(false) // the engine may have stopped, and the kernel with it
		return
	}
	// From here on its hang-up is heard of, but the stream is ours for writing.
	if err := s.engine.kernel.add(fd, s.slot.key(), false); err != nil {
		s.engine.opts.Log.Warn("cannot watch a socket", "cause", err)
		s.broken(err)
	}
	p := pens.Get().(*pen)
	s.run(p)
	s.engine.report(p)
	pens.Put(p)
}
