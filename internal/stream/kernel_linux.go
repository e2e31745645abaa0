package stream

import (
	"fmt"
	"os"
	"syscall"
	"time"
	"unsafe"
)

// epoll is the kernel of Linux: an epoll set of our own. The runtime's poller waits for
// the set itself, so that waiting blocks no thread.
//
// Calls that cannot block bypass the scheduler (RawSyscall). Otherwise, on busy CPUs, it
// takes the CPU away from each of them and starts dozens of threads.
type epoll struct {
	fd     int
	file   *os.File // fd, for the runtime's poller
	ready  syscall.RawConn
	events []syscall.EpollEvent // owned by who calls wait
}

// epollSet is how many events are taken at once.
const epollSet = 256

func newKernel() (kernel, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	if err := syscall.SetNonblock(fd, true); err != nil {
		return nil, fmt.Errorf("make epoll wait without blocking: %w", err)
	}
	k := &epoll{fd: fd, file: os.NewFile(uintptr(fd), "epoll"), events: make([]syscall.EpollEvent, epollSet)}
	if k.ready, err = k.file.SyscallConn(); err != nil {
		_ = k.file.Close()
		return nil, fmt.Errorf("poll epoll: %w", err)
	}
	return k, nil
}

func (k *epoll) send(fd int32, p []byte) (int, error) {
	for {
		// MSG_DONTWAIT: the socket itself may be in blocking mode. MSG_NOSIGNAL: no
		// SIGPIPE from a peer that is gone.
		n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)),
			syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case syscall.EINTR:
		case syscall.EAGAIN:
			return 0, nil
		default:
			return 0, errno
		}
	}
}

func (k *epoll) receive(fd int32, p []byte) (n int, gone bool) {
	for {
		r, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)),
			syscall.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			return int(r), r == 0
		case syscall.EINTR:
		case syscall.EAGAIN:
			return 0, false
		default:
			return 0, true
		}
	}
}

// mostDrained bounds the bytes that close reads.
const mostDrained = 64 << 10

const (
	// watched is what is always reported. What has arrived before is reported at once,
	// so nothing is missed between accepting a connection and parking it.
	watched = syscall.EPOLLIN | syscall.EPOLLRDHUP
	once    = 1 << 30 // EPOLLONESHOT
)

func (k *epoll) add(fd int32, key uint64, single bool) error {
	return k.control(syscall.EPOLL_CTL_ADD, fd, key, watch(single))
}

func (k *epoll) await(fd int32, key uint64, writable bool) error {
	events := uint32(watched)
	if writable {
		events |= syscall.EPOLLOUT
	}
	return k.control(syscall.EPOLL_CTL_MOD, fd, key, events)
}

func (k *epoll) rearm(fd int32, key uint64, single bool) error {
	return k.control(syscall.EPOLL_CTL_MOD, fd, key, watch(single))
}

func watch(single bool) uint32 {
	if single {
		return watched | once
	}
	return watched
}

func (k *epoll) control(op int, fd int32, key uint64, events uint32) error {
	event := syscall.EpollEvent{Events: events, Fd: int32(uint32(key)), Pad: int32(uint32(key >> 32))}
	_, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_CTL, uintptr(k.fd), uintptr(op), uintptr(fd), uintptr(unsafe.Pointer(&event)), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// close closes a socket, which also removes it from the set. It reads what has arrived:
// unread bytes make the kernel send a reset, which can overtake the end of the
// response. What it reads is bounded: a client that goes on sending causes the reset
// itself.
func (k *epoll) close(fd int32) {
	var scrap [512]byte
	for range mostDrained / len(scrap) {
		if n, _ := k.receive(fd, scrap[:]); n < len(scrap) {
			break
		}
	}
	_, _, _ = syscall.RawSyscall(syscall.SYS_CLOSE, uintptr(fd), 0, 0)
}

func (k *epoll) wait(dst []socketEvent) []socketEvent {
	n := 0
	err := k.ready.Read(func(fd uintptr) bool {
		for {
			r, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, fd, uintptr(unsafe.Pointer(&k.events[0])), epollSet, 0, 0, 0)
			if errno != syscall.EINTR {
				n = int(r)
				return errno != 0 || n > 0
			}
		}
	})
	if err != nil || n < 0 {
		return dst
	}
	for _, e := range k.events[:n] {
		dst = append(dst, socketEvent{
			key:      uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32,
			readable: e.Events&syscall.EPOLLIN != 0,
			writable: e.Events&syscall.EPOLLOUT != 0,
			gone:     e.Events&(syscall.EPOLLRDHUP|syscall.EPOLLHUP|syscall.EPOLLERR) != 0,
		})
	}
	return dst
}

func (k *epoll) stop() { _ = k.file.SetReadDeadline(time.Unix(1, 0)) }
func (k *epoll) free() { _ = k.file.Close() }

// tcpUserTimeout is TCP_USER_TIMEOUT of tcp(7), in milliseconds.
const tcpUserTimeout = 18

// duplicate returns a descriptor of our own for a connection. So the one of the net
// package can be closed, which frees all that Go keeps for it.
func duplicate(c syscall.RawConn, o Options) (fd int32, err error) {
	fd = -1
	controlErr := c.Control(func(p uintptr) {
		r, _, errno := syscall.RawSyscall(syscall.SYS_FCNTL, p, syscall.F_DUPFD_CLOEXEC, 0)
		if errno != 0 {
			err = fmt.Errorf("duplicate a descriptor: %w", errno)
			return
		}
		fd = int32(r)
	})
	if controlErr != nil {
		return -1, controlErr
	}
	if err != nil {
		return -1, err
	}
	// By default the kernel buffers megabytes for a client that does not read, before
	// anybody can notice.
	_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF, o.SendBuffer)
	// By default it tries for a quarter of an hour to reach a client that has vanished.
	_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(o.WriteTimeout.Milliseconds()))
	return fd, nil
}
