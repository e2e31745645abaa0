//go:build !386

package main

import (
	"context"
	"sync"
	"syscall"
)

// public accepts clients, reads their requests, has them announced, and notices
// when they leave. Apart from callbacks all of it is done by one goroutine:
// streams that are open cost it nothing.
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
	used   bool
	stream *stream // nil until the request has been read
	in     []byte  // of the request, if it comes in pieces
}

// task is a callback to do.
type task struct {
	action string
	stream *stream
	target string // of the request
}

const (
	// announcers is how many callbacks are under way at once, each over a
	// connection of its own.
	announcers = 32
	// maxTasks is how many wait. If there are more, so do the clients.
	maxTasks = 1024
	// readSize is what is read at once.
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

// run serves until the loop is stopped. The end of ctx breaks off callbacks.
func (p *public) run(ctx context.Context) error {
	var wg sync.WaitGroup
	for range announcers {
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

// close closes all that is open, when run has returned.
func (p *public) close() {
	for fd := range p.conns {
		if p.conns[fd].used {
			p.closeConn(fd)
		}
	}
	p.loop.close()
}

// do does a callback, and what follows from it.
func (p *public) do(ctx context.Context, t task) {
	err := p.caller.tell(ctx, callback{
		Action: t.action, Token: t.stream.token.String(),
		Request: callbackRequest{URL: t.target, Headers: map[string]string{}},
	})
	switch {
	case t.action == actionDisconnect: // whoever counts them will miss one that was lost
	case err != nil:
		t.stream.refuse()
	case !t.stream.open(p.streams):
		t.action = actionDisconnect
		p.do(ctx, t)
	}
}

const watched = syscall.EPOLLIN | syscall.EPOLLRDHUP

// handle is called when a socket is ready.
func (p *public) handle(fd int, events uint32) error {
	if fd == p.listener {
		return acceptAll(fd, p.take)
	}
	c := &p.conns[fd]
	const ended = syscall.EPOLLRDHUP | syscall.EPOLLHUP | syscall.EPOLLERR
	if c.stream != nil && events&ended != 0 {
		p.leave(fd)
		return nil
	}
	n, errno := receive(fd, p.scratch)
	switch {
	case errno == syscall.EAGAIN, errno == syscall.EINTR:
	case n == 0:
		p.leave(fd)
	case c.stream == nil:
		p.read(fd, p.scratch[:n])
	}
	// What comes on a stream is read, so that it does not fill the kernel's
	// memory, and dropped.
	return nil
}

func (p *public) take(fd int) error {
	if fd >= len(p.conns) {
		p.conns = append(p.conns, make([]conn, fd+1)...)
	}
	if err := p.loop.add(fd, watched); err != nil {
		return err
	}
	p.conns[fd].used = true
	return nil
}

// read takes a piece of a request.
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

// leave is when a client has left. One who is not in yet is reported after the
// connect callback.
func (p *public) leave(fd int) {
	s := p.conns[fd].stream
	if p.closeConn(fd) == open {
		p.streams.remove(s)
		p.tasks <- task{action: actionDisconnect, stream: s}
	}
}

// closeConn closes a connection and tells what its stream was.
func (p *public) closeConn(fd int) (was streamState) {
	c := p.conns[fd]
	p.conns[fd] = conn{} // before the number can be given to another
	if c.stream != nil {
		return c.stream.close()
	}
	closeSocket(fd)
	return asking
}
