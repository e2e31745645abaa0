//go:build !linux || 386

package express

import "net"

// direct is a TCP connection; what Linux can do better, others do as usual. Its
// 386 has no system calls of their own for that.
type direct struct{ *net.TCPConn }

func newDirect(c *net.TCPConn) (*direct, error) { return &direct{c}, nil }
