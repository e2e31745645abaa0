package limit

import (
	"context"
	"net"
	"net/http"
	"sync"
)

// Pool is a listener whose connections are counted and bounded. Beyond its seats it
// accepts a few more, whose requests are refused with the limit that was reached. If
// there is no room for those either, it closes connections: first the oldest that has
// sent no request.
type Pool struct {
	net.Listener
	limits  *Limits
	opts    PoolOptions
	index   uint32 // in limits.pools
	closing bool   // guarded by mu

	mu      sync.Mutex
	seated  int // guarded by mu, like all below
	waiting int
	fresh   list // seated, no request yet, the oldest first
	idle    list // seated, between two requests
	served  list // seated, with requests that bypass net/http; filled by evict
	refused list // waiting, no request yet
	counter poolCounter
}

// PoolOptions bound one listener.
type PoolOptions struct {
	Name    string // for metrics: "public" or "internal"
	Seats   int    // connections that are served
	Waiting int    // more of them, whose requests are refused
	// Addresses: connections count for their client addresses.
	Addresses bool
}

type poolCounter struct{ unasked, idle, dropped uint64 }

// Listen counts the connections of a listener.
func (l *Limits) Listen(inner net.Listener, opts PoolOptions) *Pool {
	p := &Pool{Listener: inner, limits: l, opts: opts, index: uint32(len(l.pools))}
	l.pools = append(l.pools, p)
	return p
}

// Accept implements [net.Listener].
func (p *Pool) Accept() (net.Conn, error) {
	for {
		inner, err := p.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := &Conn{Conn: inner, raw: inner, pool: p}
		if p.opts.Addresses {
			c.Conn = p.limits.opts.Peers.Proxied(inner)
		}
		victim, ok := p.admit(c)
		if victim != nil {
			go func() { _ = victim.raw.Close() }() // ends when the request in progress there is answered
		}
		if ok {
			return c, nil
		}
		_ = inner.Close()
	}
}

// admit finds a place for a connection. The caller must close victim in exchange.
func (p *Pool) admit(c *Conn) (victim *Conn, ok bool) {
	why := uint32(admitted)
	if most := p.limits.opts.PerAddress; p.opts.Addresses && most > 0 {
		c.address = p.limits.addressOf(c.raw)
		if c.counted = c.address != 0; c.counted && !p.limits.addresses.add(c.address, 1, 0, most) {
			c.address, why = 0, tooManyOfAddress
		}
	}
	p.mu.Lock()
	if why == admitted {
		if p.seated >= p.opts.Seats {
			victim = p.evict()
		}
		if p.seated < p.opts.Seats {
			p.seated++
			c.place = seat
			p.fresh.push(c)
			p.mu.Unlock()
			return victim, true
		}
		why = tooManyOfAll
	}
	if p.waiting >= p.opts.Waiting {
		if victim = p.refused.pop(); victim != nil {
			p.counter.unasked++
			p.leave(victim)
		}
	}
	ok = p.waiting < p.opts.Waiting
	if ok {
		p.waiting++
		c.place, c.why = waitingPlace, why
		p.refused.push(c)
	} else {
		p.counter.dropped++
	}
	p.mu.Unlock()
	if !ok || why == tooManyOfAll {
		c.dropAddress()
	}
	return victim, ok
}

// evict frees the seat of the oldest connection that has sent no request, or else of the
// one that has been idle longest. It is called with mu held.
func (p *Pool) evict() *Conn {
	for c := p.fresh.pop(); c != nil; c = p.fresh.pop() {
		if !c.used() {
			p.counter.unasked++
			p.leave(c)
			return c
		}
		p.served.push(c)
	}
	c := p.idle.pop()
	if c == nil {
		c = p.leastServed()
	}
	if c != nil {
		p.counter.idle++
		p.leave(c)
	}
	return c
}

// lookAt bounds the connections that are searched for an idle one.
const lookAt = 32

// leastServed is the connection that has been idle longest among the next few whose
// requests bypass net/http; nil if there are none. A request in progress there is
// answered before the connection is closed. It is called with mu held.
func (p *Pool) leastServed() (least *Conn) {
	for range lookAt {
		c := p.served.first
		if c == nil {
			break
		}
		p.served.remove(c)
		p.served.push(c) // the next search starts with others
		if least == nil || c.lastUsed() < least.lastUsed() {
			least = c
		}
	}
	return least
}

// leave frees the place of a connection. It is called with mu held.
func (p *Pool) leave(c *Conn) {
	if c.list != nil {
		c.list.remove(c)
	}
	switch c.place {
	case seat:
		p.seated--
	case waitingPlace:
		p.waiting--
	}
	c.place = gone
}

// ConnContext is the [http.Server.ConnContext] of a server on the pool.
func (p *Pool) ConnContext(ctx context.Context, c net.Conn) context.Context {
	if counted := connOf(c); counted != nil {
		return context.WithValue(ctx, connKey{}, counted)
	}
	return ctx
}

type connKey struct{}

func connOfRequest(r *http.Request) *Conn {
	c, _ := r.Context().Value(connKey{}).(*Conn)
	return c
}

// Track is the [http.Server.ConnState] of a server on the pool.
func (p *Pool) Track(nc net.Conn, state http.ConnState) {
	c := connOf(nc)
	if c == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch state {
	case http.StateNew:
		if p.closing {
			_ = c.raw.Close()
		}
	case http.StateActive:
		c.started = true
		if c.list == &p.idle {
			p.idle.remove(c)
		}
	case http.StateIdle:
		if c.place == seat && c.list == nil {
			p.idle.push(c)
		}
	case http.StateHijacked:
		p.handOver(c)
	}
}

// handOver moves the count of a connection to the stream that took it from net/http. It
// is called with mu held.
func (p *Pool) handOver(c *Conn) {
	if c.hold == nil || c.place != seat {
		return
	}
	bits := holdsConn | p.index<<poolShift
	if c.address != 0 {
		bits |= holdsAddress
	}
	if !c.hold.take(bits) {
		return
	}
	if c.list != nil {
		c.list.remove(c)
	}
	c.place, c.address, c.hold = gone, 0, nil
}

// CloseUnused closes the connections that have sent no byte, and all that connect later.
// Browsers and the pools of HTTP clients open some in advance, and
// [http.Server.Shutdown] would wait five seconds for each.
func (p *Pool) CloseUnused() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closing = true
	for _, l := range []*list{&p.fresh, &p.refused} {
		for c := l.first; c != nil; c = c.next {
			if !c.started && !c.used() {
				_ = c.raw.Close()
			}
		}
	}
}

// Conns is how many connections the pool has, streams included.
func (p *Pool) Conns() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seated + p.waiting
}
