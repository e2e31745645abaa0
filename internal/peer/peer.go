// Package peer finds the client of a request: the address that connected, or behind
// trusted proxies the one that they forward.
//
// Limits, logs and callbacks use it. It does not identify users.
package peer

import (
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"sync"
)

// Options say which proxies to trust. The zero value trusts none.
type Options struct {
	// Trusted are the networks of proxies. The client's address that they forward is
	// used; so are host, scheme and identity, see [Rules.Trusted].
	Trusted []netip.Prefix
	// TrustUnix trusts every peer that connects through a Unix socket as well.
	TrustUnix bool
	Log       *slog.Logger // default: none
}

// Rules find the client of a request. They do not change and are safe for concurrent use.
// A nil *Rules trusts no proxy.
type Rules struct {
	opts Options

	mu     sync.Mutex
	warned map[netip.Addr]bool // guarded by mu; peers that forward and are not trusted
}

// New returns rules.
func New(opts Options) *Rules {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	return &Rules{opts: opts, warned: make(map[netip.Addr]bool)}
}

// Client is who sent a request.
type Client struct {
	// Addr is the client's address, without a zone; IPv4 also if it is IPv4 mapped to
	// IPv6. It is invalid for a peer on a Unix socket or in this process that forwards
	// no address.
	Addr netip.Addr
	// Forwarded reports that a proxy has forwarded the address.
	Forwarded bool
	// Local reports that the client is a process of this machine: the peer is on
	// loopback, a Unix socket or in this process, and forwards no address.
	Local bool
}

// Key is the address that limits count by: IPv6 by /64, because one customer
// has that many addresses. It is invalid for a client that is not limited.
func (c Client) Key() netip.Addr {
	switch {
	case c.Local:
		return netip.Addr{}
	case !c.Addr.IsValid():
		return netip.IPv6Unspecified() // a Unix socket that forwards no valid address: all such clients count as one
	}
	return Key(c.Addr)
}

// Key is the part of an address that limits count by: all of IPv4, /64 of IPv6.
func Key(a netip.Addr) netip.Addr {
	if a = plain(a); a.Is6() {
		network, _ := a.Prefix(64) // 64 fits
		return network.Addr()
	}
	return a
}

// plain is an address without a zone, and IPv4 if it is that in IPv6.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// Client is who sent a request: the rightmost hop that is not trusted.
func (u *Rules) Client(r *http.Request) Client {
	hop := AddrOf(r.RemoteAddr)
	local := isLocal(hop)
	if !forwards(r.Header) {
		return Client{Addr: hop, Local: local}
	}
	if !local && !u.lists(hop) {
		u.warn(hop)
		return Client{Addr: hop}
	}
	return u.forwarded(hop, r.Header)
}

// Trusted reports whether the peer of a request is a proxy that --trusted-proxy names. Only
// then may the forwarded host, scheme and identity be used.
func (u *Rules) Trusted(r *http.Request) bool {
	if r.RemoteAddr == inProcess {
		return false
	}
	return u.lists(AddrOf(r.RemoteAddr))
}

// TrustedAddr reports whether --trusted-proxy names an address. That of a Unix
// socket is invalid.
func (u *Rules) TrustedAddr(a netip.Addr) bool { return u.lists(plain(a)) }

// inProcess is the remote address of requests inside one process.
const inProcess = "in-process"

// AddrOf is the address of a peer; that of a Unix socket is invalid.
func AddrOf(remote string) netip.Addr {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		a, _ := netip.ParseAddr(remote) // invalid if it is no address
		return plain(a)
	}
	return plain(ap.Addr())
}

// isLocal reports whether a peer is a process of this machine.
func isLocal(a netip.Addr) bool { return !a.IsValid() || a.IsLoopback() }

func (u *Rules) lists(a netip.Addr) bool {
	if u == nil {
		return false
	}
	if !a.IsValid() {
		return u.opts.TrustUnix
	}
	return slices.ContainsFunc(u.opts.Trusted, func(p netip.Prefix) bool { return p.Contains(a) })
}

// maxWarned bounds the peers that are named in the log.
const maxWarned = 16

// warn logs once for each peer that the addresses it forwards are ignored.
func (u *Rules) warn(a netip.Addr) {
	if u == nil {
		return
	}
	a = Key(a)
	u.mu.Lock()
	first := !u.warned[a] && len(u.warned) < maxWarned
	if first {
		u.warned[a] = true
	}
	u.mu.Unlock()
	if first {
		u.opts.Log.Warn("a peer forwards client addresses and is not trusted: if it is your proxy, name it with --trusted-proxy", "peer", a)
	}
}
