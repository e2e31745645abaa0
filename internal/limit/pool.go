package limit

import (
	"context"
	"net"
	"net/http"
	"sync"
)

// Pool is a listener whose connections are counted and bounded. Beyond its seats
// it takes a few more, whose requests are answered with what there is too much
// of. Where there is no room for those either, connections are closed: the
// oldest that has asked nothing first.
type Pool struct {
	net.Listener
	limits  *Limits
	opts    PoolOptions
	index   uint32 // in limits.pools
	closing bool   // guarded by mu

	mu      sync.Mutex
	seated  int // guarded by mu, like all below
	waiting int
	fresh   list // seated, and have asked nothing, the oldest first
	idle    list // seated, and wait for another request
	served  list // seated, with requests that net/http has not seen; found by evict
	refused list // waiting, and have asked nothing
	counter poolCounter
}

// PoolOptions bound one listener.
type PoolOptions struct {
	Name    string // for metrics: "public" or "internal"
	Seats   int    // connections that are served
	Waiting int    // and that are told that there are too many
	// Addresses says that connections count for their addresses.
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
			go func() { _ = victim.raw.Close() }() // ends when what is being answered there is answered
		}
		if ok {
			return c, nil
		}
		_ = inner.Close()
	}
}

// admit finds a place for a connection. victim has to be closed in its stead.
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

// evict takes the oldest connection that has asked nothing out of its seat, or
// else the one that has been idle longest. It is called with mu held.
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

// lookAt is how many connections are looked at for one that is idle.
const lookAt = 32

// leastServed is the connection that has been idle longest among the next few
// whose requests net/http does not see; nil if there are none. A request that is
// being answered there is answered before the connection is closed. It is called
// with mu held.
func (p *Pool) leastServed() (least *Conn) {
	for range lookAt {
		c := p.served.first
		if c == nil {
			break
		}
		p.served.remove(c)
		p.served.push(c) // another time others are looked at
		if least == nil || c.lastUsed() < least.lastUsed() {
			least = c
		}
	}
	return least
}

// leave gives the place of a connection back. It is called with mu held.
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

// ConnContext lets requests find their connection: see [http.Server.ConnContext].
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
		c.begun = true
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

// handOver makes the stream that took a connection from net/http count it. It is
// called with mu held.
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

// CloseUnused closes the connections that have not carried a byte, and those
// that are still to come: a browser opens some in advance, and so do the pools of
// HTTP clients. [http.Server.Shutdown] would wait five seconds for each.
func (p *Pool) CloseUnused() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closing = true
	for _, l := range []*list{&p.fresh, &p.refused} {
		for c := l.first; c != nil; c = c.next {
			if !c.begun && !c.used() {
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
