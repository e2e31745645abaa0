//go:build !386

package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
)

// backlog bounds the connections that wait to be accepted. The kernel's bound is
// net.core.somaxconn.
const backlog = 4096

// listen opens a non-blocking listening socket. address is its address, with the chosen
// port if wanted has port 0.
func listen(wanted string) (fd int, address string, err error) {
	where, err := net.ResolveTCPAddr("tcp4", wanted)
	if err != nil {
		return -1, "", err
	}
	ip := net.IPv4zero.To4()
	if where.IP != nil {
		ip = where.IP.To4()
	}
	fd, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, "", os.NewSyscallError("socket", err)
	}
	port, err := bindAndListen(fd, &syscall.SockaddrInet4{Port: where.Port, Addr: [4]byte(ip)})
	if err != nil {
		closeSocket(fd)
		return -1, "", fmt.Errorf("listen on %s: %w", wanted, err)
	}
	return fd, net.JoinHostPort(ip.String(), strconv.Itoa(port)), nil
}

func bindAndListen(fd int, where *syscall.SockaddrInet4) (port int, err error) {
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return 0, os.NewSyscallError("setsockopt", err)
	}
	// Connections inherit this from their listener. Without it, an event would wait for
	// the acknowledgement of the one before.
	if err := syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1); err != nil {
		return 0, os.NewSyscallError("setsockopt", err)
	}
	if err := syscall.Bind(fd, where); err != nil {
		return 0, os.NewSyscallError("bind", err)
	}
	if err := syscall.Listen(fd, backlog); err != nil {
		return 0, os.NewSyscallError("listen", err)
	}
	bound, err := syscall.Getsockname(fd)
	if err != nil {
		return 0, os.NewSyscallError("getsockname", err)
	}
	return bound.(*syscall.SockaddrInet4).Port, nil
}

// acceptAll accepts all waiting connections and passes them to add. It skips connections
// that their clients have aborted. Any other error ends the program: figures of a server
// that rejects clients mean nothing.
func acceptAll(listener int, add func(fd int) error) error {
	for {
		fd, errno := accept(listener)
		switch errno {
		case 0:
			if err := add(fd); err != nil {
				closeSocket(fd)
				return err
			}
		case syscall.EAGAIN:
			return nil
		case syscall.ECONNABORTED, syscall.EINTR:
		case syscall.EMFILE, syscall.ENFILE:
			return errors.New("accept: no descriptors are left; raise ulimit -n, or open fewer streams")
		default:
			return os.NewSyscallError("accept4", errno)
		}
	}
}
