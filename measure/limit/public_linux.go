//go:build !386

package main

import (
	"context"
	"sync"
	"syscall"
)

// public accepts clients, reads their requests, sends their callbacks, and notices when
// they leave. One goroutine does all of it except for callbacks. Idle streams cost it
// nothing.
type public struct {
	loop     *loop
	listener int
	streams  *registry
	caller   *caller
	tasks    chan task
	conns    []conn // by descriptor
	scratch  []byte
}

// conn is one connection of the public listener.
type conn struct {
	used   bool    // the descriptor is open
	stream *stream // nil until the request has been read
	in     []byte  // the first part of an incomplete request
}

// task is a callback to send.
type task struct {
	action string
	stream *stream
	target string // path and query of the request
}

const (
	// maxCallbacks bounds the concurrent callbacks. Each has its own connection.
	maxCallbacks = 32
	// maxTasks bounds the waiting callbacks. Beyond it, clients wait.
	maxTasks = 1024
	// readSize is the size of one read, in bytes.
	readSize = 64 << 10
)

var (
	answerBadRequest = []byte("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
	answerBadGateway = []byte("HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
)

func newPublic(listener int, streams *registry, c *caller) (*public, error) {
	l, err := newLoop()
	if err != nil {
		return nil, err
	}
	p := &public{
		loop: l, listener: listener, streams: streams, caller: c,
		tasks:   make(chan task, maxTasks),
		scratch: make([]byte, readSize),
	}
	if err := l.add(listener, syscall.EPOLLIN); err != nil {
		l.close()
		return nil, err
	}
	return p, nil
}

// run serves until the loop is stopped. The end of ctx aborts callbacks.
func (p *public) run(ctx context.Context) error {
	var wg sync.WaitGroup
	for range maxCallbacks {
		wg.Go(func() {
			for t := range p.tasks {
				p.do(ctx, t)
			}
		})
	}
	err := p.loop.run(p.handle)
	close(p.tasks)
	wg.Wait()
	return err
}

// close closes all connections. run must have returned.
func (p *public) close() {
	for fd := range p.conns {
		if p.conns[fd].used {
			p.closeConn(fd)
		}
	}
	p.loop.close()
}

// do sends a callback, and opens or rejects the stream of a connect.
func (p *public) do(ctx context.Context, t task) {
	err := p.caller.call(ctx, callback{
		Action: t.action, Token: t.stream.token.String(),
		Request: callbackRequest{URL: t.target, Headers: map[string]string{}},
	})
	switch {
	case t.action == actionDisconnect: // a lost one shows in the backend's count
	case err != nil:
		t.stream.reject()
	case !t.stream.open(p.streams):
		t.action = actionDisconnect
		p.do(ctx, t)
	}
}

const watched = syscall.EPOLLIN | syscall.EPOLLRDHUP

// handle is called when a socket is ready.
func (p *public) handle(fd int, events uint32) error {
	if fd == p.listener {
		return acceptAll(fd, p.add)
	}
	c := &p.conns[fd]
	const ended = syscall.EPOLLRDHUP | syscall.EPOLLHUP | syscall.EPOLLERR
	if c.stream != nil && events&ended != 0 {
		p.clientLeft(fd)
		return nil
	}
	n, errno := receive(fd, p.scratch)
	switch {
	case errno == syscall.EAGAIN, errno == syscall.EINTR:
	case n == 0:
		p.clientLeft(fd)
	case c.stream == nil:
		p.read(fd, p.scratch[:n])
	}
	// Input on an open stream is dropped. Reading it keeps the kernel's buffer empty.
	return nil
}

func (p *public) add(fd int) error {
	if fd >= len(p.conns) {
		p.conns = append(p.conns, make([]conn, fd+1)...)
	}
	if err := p.loop.add(fd, watched); err != nil {
		return err
	}
	p.conns[fd].used = true
	return nil
}

// read processes a piece of a request.
func (p *public) read(fd int, piece []byte) {
	c := &p.conns[fd]
	if c.in != nil {
		c.in = append(c.in, piece...)
		piece = c.in
	}
	r, size, err := parseRequest(piece)
	switch {
	case err != nil, size > 0 && (string(r.method) != "GET" || r.length > 0):
		_, _ = send(fd, answerBadRequest)
		p.closeConn(fd)
	case size == 0:
		c.in = append([]byte(nil), piece...)
	default:
		c.in = nil
		c.stream = &stream{token: newToken(), fd: int32(fd)}
		p.tasks <- task{actionConnect, c.stream, string(r.target)}
	}
}

// clientLeft closes the connection and queues the disconnect. Before the end of the
// connect callback, do queues it.
func (p *public) clientLeft(fd int) {
	s := p.conns[fd].stream
	if p.closeConn(fd) == open {
		p.streams.remove(s)
		p.tasks <- task{action: actionDisconnect, stream: s}
	}
}

// closeConn closes a connection and returns the state that its stream had.
func (p *public) closeConn(fd int) (was streamState) {
	c := p.conns[fd]
	p.conns[fd] = conn{} // before the kernel reuses the number
	if c.stream != nil {
		return c.stream.close()
	}
	closeSocket(fd)
	return asking
}
