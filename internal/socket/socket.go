// Package socket opens the listeners of a server: on TCP, on a Unix socket, or on
// one that was inherited from whoever started the process, such as systemd.
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

// Prefixes of addresses that are no host:port.
const (
	unixPrefix    = "unix:"
	fdPrefix      = "fd:"
	systemdPrefix = "systemd:"
)

// maxPath is what the kernel takes as the path of a Unix socket.
const maxPath = 107

// Check reports what is wrong with the text of an address. other is true for
// host:port, which it does not look at.
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

// CheckPath reports what is wrong with the path of a Unix socket.
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

// Local reports whether only this machine can reach an address. A host name other
// than localhost may resolve to anything.
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

// Same reports whether two addresses are one Unix or inherited socket.
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

// Listen opens a listener. mode is that of the file of a Unix socket.
func Listen(address string, mode fs.FileMode) (net.Listener, error) {
	if path, ok := strings.CutPrefix(address, unixPrefix); ok {
		return listenUnix(path, mode)
	}
	if name, ok := inheritedName(address); ok {
		return inherit(name)
	}
	return net.Listen("tcp", address)
}

// Text is an address as people and `tidegate listen` write it: unix:PATH, or "" for
// one of TCP.
func Text(a net.Addr) string {
	if a.Network() == "unix" {
		return unixPrefix + a.String()
	}
	return ""
}
