//go:build !386

package main

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// loop serves sockets from one goroutine. Its epoll set is itself watched by
// the poller of Go, so that nothing blocks a thread that the scheduler would have
// to take back from it first.
type loop struct {
	epoll int
	file  *os.File // the epoll set, which it owns
	raw   syscall.RawConn
	ready []syscall.EpollEvent
}

// maxReady is how many ready sockets are taken at once.
const maxReady = 512

func newLoop() (*loop, error) {
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	// This is what makes NewFile give it to the poller.
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

// add watches a socket, level-triggered. It may be called from other goroutines.
func (l *loop) add(fd int, events uint32) error {
	return epollControl(l.epoll, syscall.EPOLL_CTL_ADD, fd, events)
}

// change changes what a socket is watched for.
func (l *loop) change(fd int, events uint32) error {
	return epollControl(l.epoll, syscall.EPOLL_CTL_MOD, fd, events)
}

// run calls handle for every socket that is ready, until stop is called or
// handle fails. A socket may be closed by its own handle only: so no event can
// be for one that has taken over the number of another.
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

// stop makes run return. It may be called from other goroutines.
func (l *loop) stop() { _ = l.file.SetReadDeadline(time.Unix(1, 0)) }

// close gives the epoll set back, when run has returned and nobody adds to it.
func (l *loop) close() { _ = l.file.Close() }
