package stream

import (
	"crypto/tls"
	"net"
	"net/http"
	"syscall"
	"time"
)

// parkable returns the connection of a request if its stream can be taken from net/http:
// HTTP/1.1, plain or in TLS, over TCP or a Unix socket. Otherwise it returns nil.
func (e *Engine) parkable(r *http.Request) net.Conn {
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

// socketOf returns the socket of a connection: its own, or the one inside if the
// connection has a method NetConn, as those have that encrypt or count. Any other
// wrapper has none: what it does would be bypassed.
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

// park takes the connection from net/http, whose goroutines and buffers for it end with
// the handler. It reports false if net/http does not hand it over.
func (s *Stream) park(rc *http.ResponseController, c net.Conn, first *Frame, age time.Duration) bool {
	// What is buffered can only be another request. The header "Connection: close" has
	// announced that it will not be answered.
	if _, _, err := rc.Hijack(); err != nil {
		return false
	}
	_, encrypted := c.(*tls.Conn)
	if plain, ok := socketOf(c); ok && !encrypted {
		if raw, err := plain.SyscallConn(); err == nil {
			if fd, err := duplicate(raw, s.engine.opts); err == nil {
				_ = c.Close() // of two descriptors: the connection stays open
				s.parkAt(fd, first, age)
				return true
			}
		}
	}
	s.keep(c, first, age)
	return true
}

// startPoller starts the poller unless it runs.
func (e *Engine) startPoller() { e.pollOnce.Do(func() { e.loops.Go(e.poll) }) }

// parkAt parks the stream with a descriptor that it owns.
func (s *Stream) parkAt(fd int32, first *Frame, age time.Duration) {
	s.engine.startPoller()
	s.begin(nil, first, age)
	s.fd = fd
	s.engine.slots.parked.Add(1)
	if s.state&cut != 0 {
		s.finish(false) // the engine may have stopped, and the kernel with it
		return
	}
	// From here on the poller reports a hang-up; only this goroutine writes.
	if err := s.engine.kernel.add(fd, s.slot.key(), false); err != nil {
		s.engine.opts.Log.Warn("cannot watch a socket", "cause", err)
		s.writeFailed(err)
	}
	sc := scratchPool.Get().(*scratch)
	s.run(sc)
	s.engine.report(sc)
	scratchPool.Put(sc)
}
