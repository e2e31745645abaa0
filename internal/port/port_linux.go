package port

import (
	"fmt"
	"net/netip"
	"os"
	"sync"
	"syscall"
)

// reserve binds a socket that never listens. The option that lets others bind to
// the same port as well comes after, so that two never draw the same.
func reserve(host string) (number int, release func(), err error) {
	ip, err := netip.ParseAddr(host)
	if err != nil || !ip.Is4() {
		return 0, nil, fmt.Errorf("reserve a port: %q is no IPv4 address", host)
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, nil, os.NewSyscallError("socket", err)
	}
	release = sync.OnceFunc(func() { _ = syscall.Close(fd) }) // it has nothing to lose
	if number, err = bind(fd, ip); err != nil {
		release()
		return 0, nil, err
	}
	return number, release, nil
}

func bind(fd int, ip netip.Addr) (int, error) {
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: ip.As4()}); err != nil {
		return 0, os.NewSyscallError("bind", err)
	}
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return 0, os.NewSyscallError("setsockopt", err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		return 0, os.NewSyscallError("getsockname", err)
	}
	return name.(*syscall.SockaddrInet4).Port, nil
}
