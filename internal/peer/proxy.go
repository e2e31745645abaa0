package peer

import (
	"net"
	"net/netip"
	"time"

	"github.com/pires/go-proxyproto"
)

// proxyTime bounds the wait for the PROXY header of a proxy.
const proxyTime = 5 * time.Second

// Proxied returns a connection whose remote address is the one of the PROXY protocol,
// versions 1 and 2, if a proxy that --trusted-proxy names sends one. From other peers
// the header is not a valid request, and is refused as such.
func (u *Rules) Proxied(c net.Conn) net.Conn {
	var a netip.Addr // invalid: a Unix socket
	if tcp, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		a = plain(tcp.AddrPort().Addr())
	}
	if !u.lists(a) {
		return c
	}
	return proxyproto.NewConn(c, proxyproto.WithPolicy(proxyproto.USE), proxyproto.SetReadHeaderTimeout(proxyTime))
}
