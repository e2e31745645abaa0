//go:build !386

package main

import (
	"sync"
	"syscall"
)

// stream is one client. Several may write to it; only the loop of the public
// listener closes it.
type stream struct {
	token token // set once
	part  int32 // set by the registry
	gone  bool  // guarded by the registry

	// mu is held while the socket is written to. A write does not wait, and so
	// nobody can write to a number that was closed and given to another socket.
	mu    sync.Mutex
	state streamState // guarded by mu, as all below
	fd    int32
}

type streamState int8

const (
	asking streamState = iota // the backend has not answered yet
	open
	closed
)

// head is the answer to a client.
var head = []byte("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n")

// open lets the client in. It is false if they have left meanwhile. From its
// registration on the stream can be found, and what is sent to it then waits until
// the head is out.
func (s *stream) open(r *registry) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == closed {
		return false
	}
	s.state = open
	r.add(s)
	s.write(head)
	return true
}

// send writes a frame if the stream is open.
func (s *stream) send(frame []byte) {
	s.mu.Lock()
	if s.state == open {
		s.write(frame)
	}
	s.mu.Unlock()
}

// write needs mu. A client that left is not our concern: the loop is told. One
// that does not read is cut off, because half of a frame cannot be taken back,
// and to keep the rest for later is what this program leaves out.
func (s *stream) write(p []byte) {
	if n, errno := send(int(s.fd), p); n < len(p) && (errno == 0 || errno == syscall.EAGAIN) {
		cut(int(s.fd))
	}
}

// refuse turns the client away.
func (s *stream) refuse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == asking {
		s.write(answerBadGateway)
		cut(int(s.fd))
	}
}

// close closes the socket and tells what the stream was before.
func (s *stream) close() (was streamState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was, s.state = s.state, closed
	if was != closed {
		closeSocket(int(s.fd))
	}
	return was
}
