//go:build !386

package main

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// loop serves sockets from one goroutine. The poller of the Go runtime watches its epoll
// set, so that no thread blocks in a system call.
type loop struct {
	epoll int
	file  *os.File // owns the epoll set
	raw   syscall.RawConn
	ready []syscall.EpollEvent
}

// maxReady bounds the ready sockets of one system call.
const maxReady = 512

func newLoop() (*loop, error) {
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	// NewFile adds only non-blocking descriptors to the poller.
	if err := syscall.SetNonblock(epoll, true); err != nil {
		closeSocket(epoll)
		return nil, os.NewSyscallError("fcntl", err)
	}
	file := os.NewFile(uintptr(epoll), "epoll")
	raw, err := file.SyscallConn()
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return &loop{epoll: epoll, file: file, raw: raw, ready: make([]syscall.EpollEvent, maxReady)}, nil
}

// add watches a socket, level-triggered. It is safe for concurrent use.
func (l *loop) add(fd int, events uint32) error {
	return epollControl(l.epoll, syscall.EPOLL_CTL_ADD, fd, events)
}

// change changes the events that a socket is watched for.
func (l *loop) change(fd int, events uint32) error {
	return epollControl(l.epoll, syscall.EPOLL_CTL_MOD, fd, events)
}

// run calls handle for every ready socket, until stop is called or handle fails. Only the
// handle of a socket may close it. So no event can belong to another socket that has
// reused its number.
func (l *loop) run(handle func(fd int, events uint32) error) error {
	var n int
	var errno syscall.Errno
	take := func(epoll uintptr) (done bool) {
		n, errno = epollTake(int(epoll), l.ready)
		return n > 0 || errno != 0
	}
	for {
		err := l.raw.Read(take)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case err != nil:
			return err
		case errno != 0 && errno != syscall.EINTR:
			return os.NewSyscallError("epoll_pwait", errno)
		}
		for _, e := range l.ready[:n] {
			if err := handle(int(e.Fd), e.Events); err != nil {
				return err
			}
		}
	}
}

// stop makes run return. It is safe for concurrent use.
func (l *loop) stop() { _ = l.file.SetReadDeadline(time.Unix(1, 0)) }

// close closes the epoll set. run must have returned, and nobody may call add.
func (l *loop) close() { _ = l.file.Close() }
