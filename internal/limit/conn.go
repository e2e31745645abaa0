package limit

import (
	"net"
	"sync"
	"sync/atomic"

	"tidegate/internal/wire"
)

// Conn is a connection that is counted until it is closed, or until a stream takes over
// its count.
type Conn struct {
	net.Conn
	raw           net.Conn // set once: what was accepted
	pool          *Pool    // set once
	address       uint64   // hash of the address that counts it; 0: none. Owned by admit, then guarded by pool.mu
	why           uint32   // set once, by admit: why its requests are refused
	counted       bool     // set once, by admit: its address is known and limited
	asked         atomic.Bool
	writeDeadline atomic.Int64 // left by the previous answer, unix nanoseconds; 0: none

	// guarded by pool.mu
	place      place
	started    bool  // a byte of a request was read
	hold       *Hold // of the stream that it is opening
	list       *list // that it is in; nil: none
	prev, next *Conn

	closed sync.Once
}

type place uint8

const (
	gone place = iota
	seat
	waitingPlace
)

// Why the requests of a connection are refused.
const (
	admitted = iota
	tooManyOfAll
	tooManyOfAddress
)

// refusal is why the requests of a connection are refused; nil if they are served.
func (c *Conn) refusal() *wire.Error {
	switch c.why {
	case tooManyOfAll:
		return ErrFull
	case tooManyOfAddress:
		return ErrAddress
	}
	return nil
}

// connOf finds the counted connection in a connection of net/http, maybe below TLS.
func connOf(c net.Conn) *Conn {
	for c != nil {
		if counted, ok := c.(*Conn); ok {
			return counted
		}
		below, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}
		c = below.NetConn()
	}
	return nil
}

// NetConn is the connection as it was accepted.
func (c *Conn) NetConn() net.Conn { return c.raw }

// Close implements [net.Conn].
func (c *Conn) Close() error {
	c.closed.Do(func() {
		c.pool.mu.Lock()
		c.pool.leave(c)
		c.pool.mu.Unlock()
		c.dropAddress()
	})
	return c.Conn.Close()
}

// dropAddress takes the connection out of the count of its address.
func (c *Conn) dropAddress() {
	c.pool.mu.Lock()
	address := c.address
	c.address = 0
	c.pool.mu.Unlock()
	if address != 0 {
		c.pool.limits.addresses.remove(address, 1, 0)
	}
}

// used reports whether requests were answered without net/http, see internal/express.
func (c *Conn) used() bool {
	u, ok := c.raw.(interface{ Used() bool })
	return ok && u.Used()
}

// lastUsed is when the last of them was answered, in unix nanoseconds.
func (c *Conn) lastUsed() int64 {
	u, ok := c.raw.(interface{ LastUsed() int64 })
	if !ok {
		return 0
	}
	return u.LastUsed()
}

// markAsked notes that a request has arrived, and reports whether it is the first.
func (c *Conn) markAsked() (first bool) {
	if c.asked.Load() || c.asked.Swap(true) {
		return false
	}
	p := c.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.list != nil {
		c.list.remove(c)
	}
	return true
}

// list is a linked list of connections. The zero value is empty.
type list struct{ first, last *Conn }

func (l *list) push(c *Conn) {
	c.list, c.prev, c.next = l, l.last, nil
	if l.last == nil {
		l.first = c
	} else {
		l.last.next = c
	}
	l.last = c
}

func (l *list) remove(c *Conn) {
	if c.prev == nil {
		l.first = c.next
	} else {
		c.prev.next = c.next
	}
	if c.next == nil {
		l.last = c.prev
	} else {
		c.next.prev = c.prev
	}
	c.list, c.prev, c.next = nil, nil, nil
}

// pop removes the first; nil if there is none.
func (l *list) pop() *Conn {
	c := l.first
	if c != nil {
		l.remove(c)
	}
	return c
}
