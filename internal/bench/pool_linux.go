package bench

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
)

// epollPool is the pool for HTTP/1.1: sockets that do not block, in one
// epoll set, served by one goroutine. An event costs it one epoll entry and one
// read, nearly all of it in the kernel: what reading takes, it takes from the
// cores that the gateway runs on as well.
type epollPool struct {
	epoll   int
	control int     // file descriptor
	network [2]byte // of the client addresses, so that two runs do not share ports

	clients []client // in the order of their ids, except in churn
	opening opening

	tally
	err error // that ended it

	ready []syscall.EpollEvent
	buf   []byte
	input [4096]byte // from control
	marks []mark
}

// client is one stream.
type client struct {
	fd    int // -1 when closed
	state clientState
	head  []byte // of the answer, until it is complete
	inbox
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

func newEpollPool() (pool, error) {
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	return &epollPool{
		epoll:   epoll,
		network: randomNetwork(),
		ready:   make([]syscall.EpollEvent, maxReady),
		buf:     make([]byte, readSize),
	}, nil
}

// close gives everything back.
func (p *epollPool) close() {
	p.closeAll()
	_ = syscall.Close(p.epoll)
}

func (p *epollPool) watch(control io.Reader) error {
	file, ok := control.(*os.File)
	if !ok {
		return errors.New("commands must come from a file")
	}
	p.control = int(file.Fd())
	err := syscall.EpollCtl(p.epoll, syscall.EPOLL_CTL_ADD, p.control, &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: controlFD})
	return os.NewSyscallError("epoll_ctl", err)
}

func (p *epollPool) poll(patience time.Duration) (input []byte, err error) {
	ms := -1
	if patience >= 0 {
		ms = int((patience + time.Millisecond - 1) / time.Millisecond)
	}
	n, err := syscall.EpollWait(p.epoll, p.ready, ms)
	if errors.Is(err, syscall.EINTR) {
		return nil, nil
	}
	if err != nil {
		return nil, os.NewSyscallError("epoll_wait", err)
	}
	control := false
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
	if p.err == nil && control {
		return p.readControl()
	}
	return nil, p.err
}

func (p *epollPool) readControl() ([]byte, error) {
	n, err := syscall.Read(p.control, p.input[:])
	switch {
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EINTR):
		return nil, nil
	case err != nil:
		return nil, os.NewSyscallError("read", err)
	case n == 0:
		return nil, io.EOF
	}
	return p.input[:n], nil
}

// read takes what has come for one stream. The set is level-triggered: what is
// left is reported again.
func (p *epollPool) read(i int) {
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
func (p *epollPool) take(i int, body []byte) {
	c := &p.clients[i]
	if c.state != streaming || len(body) == 0 {
		return
	}
	var err error
	if p.marks, err = c.take(&p.tally, p.marks, body); err != nil {
		p.fail(fmt.Errorf("stream %d: %w", c.id, err))
	}
	if c.scan.state == atEnd {
		p.ended(i, nil)
	}
}

// ended is when a stream ends that we did not close.
func (p *epollPool) ended(i int, err error) {
	c := &p.clients[i]
	if c.state != streaming {
		p.fail(fmt.Errorf("stream %d: the connection was closed before the headers came (%v)", c.id, err))
	}
	c.check.faults.Cut++
	p.closeClient(c)
}

func (p *epollPool) closeClient(c *client) {
	if c.state != gone && c.fd >= 0 {
		_ = syscall.Close(c.fd) // takes it out of the epoll set
	}
	c.fd, c.state = -1, gone
}

// stall takes streams out of the epoll set, so they are no longer read. A small
// buffer fills soon, like that of a client on a bad line.
func (p *epollPool) stall(every int) error {
	const smallBuffer = 4 << 10
	for i := every - 1; i < len(p.clients); i += every {
		c := &p.clients[i]
		if c.state != streaming {
			continue
		}
		c.stalled = true
		if err := syscall.SetsockoptInt(c.fd, syscall.SOL_SOCKET, syscall.SO_RCVBUF, smallBuffer); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
		p.arm(i, syscall.EPOLL_CTL_DEL, 0)
	}
	return p.err
}

// closeAll closes all streams.
func (p *epollPool) closeAll() {
	for i := range p.clients {
		p.closeClient(&p.clients[i])
	}
}

func (p *epollPool) report(sent []int64) reply {
	return p.sum(sent, func(yield func(*inbox) bool) {
		for i := range p.clients {
			if !yield(&p.clients[i].inbox) {
				return
			}
		}
	})
}
