// Package socket opens the listeners of a server: on TCP, on a Unix socket, or on a socket that the
// process inherits, as from systemd.
package socket

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
)

// Prefixes of addresses that are not host:port.
const (
	unixPrefix    = "unix:"
	fdPrefix      = "fd:"
	systemdPrefix = "systemd:"
)

// maxPath is the longest path of a Unix socket, in bytes: a limit of the kernel.
const maxPath = 107

// Check returns what is wrong with the text of a Unix or inherited socket. other reports whether the
// text is one; Check does not look at host:port.
func Check(address string) (other bool, err error) {
	if path, ok := strings.CutPrefix(address, unixPrefix); ok {
		return false, CheckPath(path)
	}
	if name, ok := inheritedName(address); ok {
		_, err := find(name)
		return false, err
	}
	return true, nil
}

// CheckPath returns what is wrong with the path of a Unix socket.
func CheckPath(path string) error {
	switch {
	case path == "" || path == "@":
		return errors.New("has no path; give one such as unix:/run/tidegate/public.sock")
	case len(path) > maxPath:
		return fmt.Errorf("has a path of %d bytes; the kernel takes %d", len(path), maxPath)
	case strings.ContainsAny(path, ":?#\x00"):
		return errors.New("has a path with : ? or # in it, which URLs cannot name; give another")
	}
	return nil
}

// Local reports whether only this machine can reach an address. It is false for host names other
// than localhost: they can resolve to any address.
func Local(address string) bool {
	if strings.HasPrefix(address, unixPrefix) {
		return true
	}
	if name, ok := inheritedName(address); ok {
		s, err := find(name)
		return err == nil && s.local()
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// Same reports whether two addresses are the same Unix or inherited socket.
func Same(a, b string) bool {
	pathA, unixA := strings.CutPrefix(a, unixPrefix)
	pathB, unixB := strings.CutPrefix(b, unixPrefix)
	if unixA || unixB {
		return unixA && unixB && filepath.Clean(pathA) == filepath.Clean(pathB)
	}
	nameA, inheritedA := inheritedName(a)
	nameB, inheritedB := inheritedName(b)
	if !inheritedA || !inheritedB {
		return false
	}
	sockA, errA := find(nameA)
	sockB, errB := find(nameB)
	return errA == nil && errB == nil && sockA.fd == sockB.fd
}

// Listen opens a listener. mode is the permissions of the file of a Unix socket.
func Listen(address string, mode fs.FileMode) (net.Listener, error) {
	if path, ok := strings.CutPrefix(address, unixPrefix); ok {
		return listenUnix(path, mode)
	}
	if name, ok := inheritedName(address); ok {
		return inherit(name)
	}
	return net.Listen("tcp", address)
}

// Text returns the address of a Unix socket as unix:PATH, and "" for a TCP address.
func Text(a net.Addr) string {
	if a.Network() == "unix" {
		return unixPrefix + a.String()
	}
	return ""
}
