package socket

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// firstFD is the first descriptor that systemd passes, see sd_listen_fds(3).
const firstFD = 3

// inherited is a listening socket that the process inherited.
type inherited struct {
	name string
	fd   int
}

// inheritedName returns the name or number in fd:NAME or systemd:NAME.
func inheritedName(address string) (name string, ok bool) {
	if name, ok = strings.CutPrefix(address, fdPrefix); ok {
		return name, true
	}
	return strings.CutPrefix(address, systemdPrefix)
}

// find finds a socket by its name, or by the number of its descriptor.
func find(name string) (inherited, error) {
	if fd, err := strconv.Atoi(name); err == nil {
		if fd < firstFD {
			return inherited{}, fmt.Errorf("is no inherited socket: they begin with descriptor %d", firstFD)
		}
		s := inherited{name, fd}
		return s, s.check()
	}
	all := passed()
	var found []inherited
	var names []string
	for _, s := range all {
		names = append(names, s.name)
		if s.name == name || name == "" {
			found = append(found, s)
		}
	}
	switch {
	case len(all) == 0:
		return inherited{}, errors.New("is no inherited socket: none was passed to this process (LISTEN_FDS and LISTEN_PID of systemd)")
	case len(found) == 0:
		return inherited{}, fmt.Errorf("is no inherited socket: there are %s", strings.Join(names, ", "))
	case len(found) > 1:
		return inherited{}, errors.New("means several inherited sockets; give each a name of its own (FileDescriptorName=), or the number of its descriptor")
	}
	return found[0], found[0].check()
}

// passed returns the sockets that systemd passed to this process.
func passed() (all []inherited) {
	if os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return nil
	}
	n, err := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if err != nil || n < 1 || n > 1024 {
		return nil
	}
	names := strings.Split(os.Getenv("LISTEN_FDNAMES"), ":")
	for i := range n {
		s := inherited{"unknown", firstFD + i}
		if len(names) == n {
			s.name = names[i]
		}
		all = append(all, s)
	}
	return all
}

// check reports a descriptor that is no listening socket.
func (s inherited) check() error {
	listens, err := syscall.GetsockoptInt(s.fd, syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN)
	if err != nil || listens == 0 {
		return fmt.Errorf("is descriptor %d, which is no listening socket", s.fd)
	}
	return nil
}

// local reports whether only this machine can reach the socket.
func (s inherited) local() bool {
	address, err := syscall.Getsockname(s.fd)
	if err != nil {
		return false
	}
	switch a := address.(type) {
	case *syscall.SockaddrUnix:
		return true
	case *syscall.SockaddrInet4:
		return netip.AddrFrom4(a.Addr).IsLoopback()
	case *syscall.SockaddrInet6:
		return netip.AddrFrom16(a.Addr).Unmap().IsLoopback()
	}
	return false
}

// inherit listens on an inherited socket. systemd keeps it open too, so clients can connect while
// this process is replaced.
func inherit(name string) (net.Listener, error) {
	s, err := find(name)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(s.fd), "inherited socket "+name)
	defer file.Close() // the listener has one of its own
	return net.FileListener(file)
}
