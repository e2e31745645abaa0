//go:build !386

package main

import (
	"sync"
	"syscall"
)

// stream is one client. Several goroutines write to it. Only the loop of the public
// listener closes it.
type stream struct {
	token token // set once
	part  int32 // set by the registry
	gone  bool  // guarded by the registry

	// mu is held during a write, which never blocks. So no write goes to a descriptor
	// that was closed and reused by another socket.
	mu    sync.Mutex
	state streamState // guarded by mu, like the fields below
	fd    int32
}

type streamState int8

const (
	asking streamState = iota // the backend has not answered the connect yet
	open
	closed
)

// head is the head of the answer to a client.
var head = []byte("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n")

// open accepts the client and reports whether it is still connected. Others can find the
// stream once it is registered; their sends wait on mu until the head is written.
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

// write writes p. The caller holds mu. If the client has left, epoll reports it to the
// loop. If the socket accepts only a part, write closes the connection: half a frame
// cannot be taken back, and this program has no queue for the rest.
func (s *stream) write(p []byte) {
	if n, errno := send(int(s.fd), p); n < len(p) && (errno == 0 || errno == syscall.EAGAIN) {
		cut(int(s.fd))
	}
}

// reject answers 502 and closes the connection.
func (s *stream) reject() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == asking {
		s.write(answerBadGateway)
		cut(int(s.fd))
	}
}

// close closes the socket and returns the state before.
func (s *stream) close() (was streamState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was, s.state = s.state, closed
	if was != closed {
		closeSocket(int(s.fd))
	}
	return was
}
