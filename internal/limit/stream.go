package limit

import (
	"net"
	"net/http"
	"sync/atomic"

	"tidegate/internal/peer"
	"tidegate/internal/wire"
)

// Hold is what a stream counts for until its end. It takes 12 bytes, and must
// not be copied. The zero value counts for nothing.
type Hold struct {
	high, low uint32 // halves of the hash of the address; 0: not limited
	state     atomic.Uint32
}

func (h *Hold) address() uint64 { return uint64(h.high)<<32 | uint64(h.low) }

// What a hold holds.
const (
	holdsStream  = 1 << iota // a stream of its address
	holdsConn                // a connection of a pool
	holdsAddress             // which counts for the same address
	released                 // nothing, for good
	poolShift    = 8
)

// take adds to what is held, unless Release was called.
func (h *Hold) take(bits uint32) bool {
	for {
		old := h.state.Load()
		if old&released != 0 {
			return false
		}
		if h.state.CompareAndSwap(old, old|bits) {
			return true
		}
	}
}

// OpenStream counts a stream for its client's address in h. It returns [ErrAddress],
// [ErrRate] or [ErrFull] if no more streams may be opened; nil otherwise.
func (l *Limits) OpenStream(r *http.Request, h *Hold) *wire.Error {
	if l == nil {
		return nil
	}
	c := connOfRequest(r)
	if c != nil {
		c.markAsked()
		if err := c.refusal(); err != nil {
			return l.refuse(err, l.opts.Peers.Client(r).Addr)
		}
	}
	client := l.opts.Peers.Client(r)
	address := l.hash(client.Key())
	if !l.rates.allow(address) {
		return l.refuse(ErrRate, client.Addr)
	}
	if address != 0 && l.opts.PerAddress > 0 {
		if !l.addresses.add(address, 0, 1, l.opts.PerAddress) {
			return l.refuse(ErrAddress, client.Addr)
		}
		h.high, h.low = uint32(address>>32), uint32(address)
		h.take(holdsStream)
	}
	if c != nil && r.ProtoMajor == 1 {
		c.pool.mu.Lock()
		c.hold = h
		c.pool.mu.Unlock()
	}
	return nil
}

// Release uncounts what h holds. Only the first call has an effect.
func (l *Limits) Release(h *Hold) {
	if l == nil {
		return
	}
	held := h.state.Swap(released)
	if held&holdsConn != 0 {
		p := l.pools[held>>poolShift]
		p.mu.Lock()
		p.seated--
		p.mu.Unlock()
	}
	conns, streams := 0, 0
	if held&holdsAddress != 0 {
		conns = 1
	}
	if held&holdsStream != 0 {
		streams = 1
	}
	if conns+streams > 0 {
		l.addresses.remove(h.address(), conns, streams)
	}
}

// addressOf is the hash of the address that counts a new connection; 0 for clients on this
// machine, and for proxies, which stand for many clients.
func (l *Limits) addressOf(c net.Conn) uint64 {
	tcp, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return 0
	}
	a := peer.Key(tcp.AddrPort().Addr())
	if a.IsLoopback() || l.opts.Peers.TrustedAddr(tcp.AddrPort().Addr()) {
		return 0
	}
	return l.hash(a)
}
