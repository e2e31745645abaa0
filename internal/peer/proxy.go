package peer

import (
	"net"
	"net/netip"
	"time"

	"github.com/pires/go-proxyproto"
)

// proxyTime is what a proxy has to send its PROXY header.
const proxyTime = 5 * time.Second

// Proxied is a connection whose remote address is what the PROXY protocol says,
// versions 1 and 2, if a proxy that --trusted-proxy names sends it. Of others
// the header is not understood, and so refused as no request.
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
