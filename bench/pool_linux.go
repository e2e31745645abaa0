package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"syscall"
	"time"
)

// pool holds the streams of one process: sockets that do not block, in one
// epoll set, served by one goroutine. An event costs it one epoll entry and one
// read, nearly all of it in the kernel: what reading takes, it takes from the
// cores that the gateway runs on as well. Not for concurrent use.
type pool struct {
	epoll   int
	network [2]byte // of the client addresses, so that two runs do not share ports

	clients []client // in the order of their ids, except in churn
	opening opening

	events  int64 // that have come
	last    int64 // when the newest was read
	latency histogram
	err     error // that ended it

	ready []syscall.EpollEvent
	buf   []byte
	marks []mark
}

// client is one stream.
type client struct {
	fd    int // -1 when closed
	id    int
	state clientState
	head  []byte // of the answer, until it is complete
	scan  scanner
	check checker
}

type clientState int8

const (
	connecting clientState = iota
	asking                 // the request is out
	streaming
	gone
)

const (
	readSize = 64 << 10
	maxHead  = 64 << 10
	// maxReady is how many ready sockets are taken at once.
	maxReady = 512
	// controlFD marks the entry of the control pipe in the epoll set.
	controlFD = -1
)

func newPool() (*pool, error) {
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	return &pool{
		epoll:   epoll,
		network: [2]byte{byte(1 + rand.IntN(254)), byte(rand.IntN(256))},
		ready:   make([]syscall.EpollEvent, maxReady),
		buf:     make([]byte, readSize),
	}, nil
}

// close gives everything back.
func (p *pool) close() {
	p.closeAll()
	_ = syscall.Close(p.epoll)
}

// watch adds the control pipe: poll tells when it can be read.
func (p *pool) watch(fd int) error {
	err := syscall.EpollCtl(p.epoll, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: controlFD})
	return os.NewSyscallError("epoll_ctl", err)
}

// poll serves streams until something has happened or patience ends; negative
// patience does not end. It tells whether the control pipe can be read.
func (p *pool) poll(patience time.Duration) (control bool, err error) {
	ms := -1
	if patience >= 0 {
		ms = int((patience + time.Millisecond - 1) / time.Millisecond)
	}
	n, err := syscall.EpollWait(p.epoll, p.ready, ms)
	if errors.Is(err, syscall.EINTR) {
		return false, nil
	}
	if err != nil {
		return false, os.NewSyscallError("epoll_wait", err)
	}
	for _, e := range p.ready[:n] {
		if e.Fd == controlFD {
			control = true
			continue
		}
		if c := &p.clients[e.Fd]; c.state == connecting {
			p.ask(int(e.Fd))
		} else if c.state != gone {
			p.read(int(e.Fd))
		}
	}
	return control, p.err
}

// read takes what has come for one stream. The set is level-triggered: what is
// left is reported again.
func (p *pool) read(i int) {
	c := &p.clients[i]
	n, err := syscall.Read(c.fd, p.buf)
	switch {
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EINTR):
		return
	case err != nil, n == 0:
		p.ended(i, err)
		return
	}
	if c.state == streaming {
		p.take(i, p.buf[:n])
		return
	}
	c.head = append(c.head, p.buf[:n]...)
	end, body := headEnd(c.head)
	if end < 0 {
		if len(c.head) > maxHead {
			p.fail(fmt.Errorf("stream %d: more than %d bytes of headers", c.id, maxHead))
		}
		return
	}
	c.scan.chunked, err = parseHead(c.head[:end])
	rest := c.head[body:]
	if err != nil {
		p.fail(fmt.Errorf("stream %d: %w: %.200q", c.id, err, rest))
		return
	}
	c.head = nil
	p.established(i)
	p.take(i, rest)
}

// take reads the events in a piece of a stream's body.
func (p *pool) take(i int, body []byte) {
	c := &p.clients[i]
	if c.state != streaming || len(body) == 0 {
		return
	}
	marks, err := c.scan.scan(p.marks[:0], body)
	p.marks = marks
	if err != nil {
		p.fail(fmt.Errorf("stream %d: %w", c.id, err))
	}
	if c.scan.state == atEnd {
		defer p.ended(i, nil)
	}
	if len(marks) == 0 {
		return
	}
	p.last = now()
	for _, m := range marks {
		if m.to != everyone && m.to != int64(c.id) {
			c.check.faults.Misled++
			continue
		}
		c.check.see(m.seq)
		p.events++
		p.latency.add(time.Duration(p.last - m.at))
	}
}

// ended is when a stream ends that we did not close.
func (p *pool) ended(i int, err error) {
	c := &p.clients[i]
	if c.state != streaming {
		p.fail(fmt.Errorf("stream %d: the connection was closed before the headers came (%v)", c.id, err))
	}
	c.check.faults.Cut++
	p.closeClient(c)
}

func (p *pool) closeClient(c *client) {
	if c.state != gone && c.fd >= 0 {
		_ = syscall.Close(c.fd) // takes it out of the epoll set
	}
	c.fd, c.state = -1, gone
}

// received tells how many events have come, and when the last was read.
func (p *pool) received() (events, last int64) { return p.events, p.last }

// forget begins the latencies anew.
func (p *pool) forget() { p.latency = histogram{} }

// closeAll closes all streams.
func (p *pool) closeAll() {
	for i := range p.clients {
		p.closeClient(&p.clients[i])
	}
}

// maxSamples is how many faulty streams a report shows.
const maxSamples = 5

// report tells what came, now that sent is what was sent to each stream.
func (p *pool) report(sent []int64) reply {
	r := reply{Events: p.events, Latency: p.latency}
	for i := range p.clients {
		c := &p.clients[i]
		want := int64(0)
		switch {
		case len(sent) == 1:
			want = sent[0]
		case i < len(sent):
			want = sent[i]
		}
		f := c.check.finish(want)
		f.Alien += c.scan.alien
		if f != (faults{}) && len(r.Samples) < maxSamples {
			r.Samples = append(r.Samples, fmt.Sprintf("stream %d, %d events sent: %v", c.id, want, f))
		}
		r.Faults.add(f)
	}
	return r
}
