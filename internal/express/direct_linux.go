//go:build !386

package express

import (
	"io"
	"net"
	"sync"
	"syscall"
	"unsafe"
)

// direct is a TCP connection whose reads and writes bypass the scheduler. The runtime
// treats each system call of the net package as one that may block. It wakes its monitor
// thread, which then polls for a millisecond, and on busy CPUs it hands the CPU to
// another thread. Sockets of Go never block, so that is wasted. Waiting is still done by
// the runtime's poller, and deadlines work as usual.
type direct struct {
	*net.TCPConn
	raw    syscall.RawConn
	reads  transfer
	writes transfer
}

func newDirect(c *net.TCPConn) (*direct, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	d := &direct{TCPConn: c, raw: raw}
	d.reads.do = d.reads.receive
	d.writes.do = d.writes.send
	return d, nil
}

// transfer is one direction: a read or write in progress.
type transfer struct {
	mu  sync.Mutex
	do  func(fd uintptr) bool // set once: a closure for each call would be garbage
	p   []byte                // guarded by mu, like all below
	n   int
	err error
}

// Read implements net.Conn.
func (c *direct) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	t := &c.reads
	t.mu.Lock()
	defer t.mu.Unlock()
	t.p, t.n, t.err = p, 0, nil
	err := c.raw.Read(t.do)
	t.p = nil
	switch {
	case err != nil:
		return 0, err
	case t.err == nil && t.n == 0:
		return 0, io.EOF
	}
	return t.n, t.err
}

// Write implements net.Conn.
func (c *direct) Write(p []byte) (int, error) {
	t := &c.writes
	t.mu.Lock()
	defer t.mu.Unlock()
	t.p, t.n, t.err = p, 0, nil
	var err error
	for t.n < len(p) && t.err == nil && err == nil {
		err = c.raw.Write(t.do)
	}
	t.p = nil
	if err == nil {
		err = t.err
	}
	return t.n, err
}

func (t *transfer) receive(fd uintptr) bool {
	n, errno := call(syscall.SYS_RECVFROM, fd, t.p, syscall.MSG_DONTWAIT)
	return t.done(n, errno, "read")
}

func (t *transfer) send(fd uintptr) bool {
	n, errno := call(syscall.SYS_SENDTO, fd, t.p[t.n:], syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL)
	return t.done(n, errno, "write")
}

// done stores the result of a call, and reports false if it has to wait for the socket.
func (t *transfer) done(n int, errno syscall.Errno, what string) bool {
	switch errno {
	case 0:
		t.n += n
	case syscall.EAGAIN:
		return false
	default:
		t.err = &net.OpError{Op: what, Net: "tcp", Err: errno}
	}
	return true
}

func call(trap, fd uintptr, p []byte, flags uintptr) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall6(trap, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), flags, 0, 0)
		if errno != syscall.EINTR {
			return int(n), errno
		}
	}
}
