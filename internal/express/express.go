// Package express answers one kind of request before net/http sees it.
//
// A backend sends its events as small POSTs over a few connections that stay
// open. For each, net/http allocates a request, starts a goroutine that watches
// the connection, and arms and disarms timers: that costs more than all that is
// done with the request. Here such a request is read, answered and forgotten
// between two reads of the connection.
//
// Only what is plain is taken: the one target, HTTP/1.1, JSON with a length, no
// more bytes than fit the buffer. With the first request that is anything else,
// and be it just unusual, the connection is net/http's for good, with every byte
// that has come. So there is one place that knows HTTP, and this is a shortcut
// past it.
package express

import (
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Options configure a listener. All of them are needed.
type Options struct {
	Target  string // of the requests that are taken, such as "/internal/send"
	MaxBody int64  // longer ones are left to net/http
	// Serve answers a request. authorization is the header of that name. Nothing
	// of the request may be kept. The answer must be small, and have a
	// Content-Type. Connections call it concurrently.
	Serve func(w http.ResponseWriter, authorization, body []byte)
	// Host says whether requests with this Host may be taken; the others are
	// left to net/http. It is asked once for each connection and name.
	Host func(host string) bool

	IdleTimeout time.Duration // for the next request to begin
	// HeaderTimeout is what net/http gives a request's headers. It holds for a
	// whole request here, for a new connection's first, and for an answer to go.
	HeaderTimeout time.Duration
}

const (
	// bufferBytes is how much a request may be, headers included.
	bufferBytes = 8 << 10
	// closeTimeout is what an answer gets to go when its connection is closed. It
	// need not wait at all, unless the client has long stopped reading.
	closeTimeout = 100 * time.Millisecond
	// blankBytes is how much of empty lines net/http forgives after a POST.
	blankBytes = 4
)

// Listen gives l's connections the shortcut.
func Listen(l *net.TCPListener, opts Options) net.Listener {
	return &listener{TCPListener: l, opts: opts, line: "POST " + opts.Target + " HTTP/1.1\r\n"}
}

type listener struct {
	*net.TCPListener
	opts Options
	line string // that a request has to begin with
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	c, err := l.AcceptTCP()
	if err != nil {
		return nil, err
	}
	d, err := newDirect(c)
	if err != nil {
		return c, nil // net/http will find out what is wrong
	}
	return &conn{direct: d, listener: l}, nil
}

// conn is one connection. Its first Read takes requests for as long as they are
// plain, and returns the bytes of the first that is not.
type conn struct {
	*direct
	listener *listener

	// Owned by who reads.
	over   bool      // net/http has taken over
	left   []byte    // what it is still to be given
	host   string    // that may be taken, once one was seen
	blanks int       // how much of empty lines may come before the next request
	begun  time.Time // when the request that is coming began; zero: none has
	idle   time.Time // when the deadline for one was set; zero: to be set anew
	wrote  time.Time // the same for writing

	mu      sync.Mutex // held while a request is answered
	closing atomic.Bool
	used    atomic.Bool
	last    atomic.Int64 // when the last answer was made, unix nanoseconds
}

// Used reports whether a request has been answered here, or is being.
func (c *conn) Used() bool { return c.used.Load() }

// LastUsed is when the last one was answered, in unix nanoseconds; 0: not yet.
func (c *conn) LastUsed() int64 { return c.last.Load() }

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	if !c.over {
		c.over = true
		if c.left = c.serve(); len(c.left) > 0 {
			c.handOver()
		}
	}
	if len(c.left) > 0 {
		n := copy(p, c.left)
		if c.left = c.left[n:]; len(c.left) == 0 {
			c.left = nil
		}
		return n, nil
	}
	return c.direct.Read(p)
}

// WriteTo implements io.WriterTo. The TCP connection's would miss what is left.
func (c *conn) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, struct{ io.Reader }{c})
}

// handOver leaves the deadlines as net/http would have them by now.
func (c *conn) handOver() {
	if c.begun.IsZero() {
		c.begun = time.Now()
	}
	_ = c.SetReadDeadline(c.begun.Add(c.listener.opts.HeaderTimeout))
	_ = c.SetWriteDeadline(time.Time{})
}

// Close implements net.Conn. A request that is being answered is answered first.
func (c *conn) Close() error {
	c.closing.Store(true)
	_ = c.SetWriteDeadline(time.Now().Add(closeTimeout))
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.direct.Close()
}

// serve answers requests until one comes that it leaves to net/http, and gives
// what has been read of that. It also ends with the connection: net/http then
// meets the same end.
func (c *conn) serve() (left []byte) {
	var buf [bufferBytes]byte // on the heap, for as long as the connection is here
	var a answer
	have := 0
	c.patience(true)
	for {
		n, err := c.direct.Read(buf[have:])
		rest, s := c.take(&a, buf[:have+n])
		if s == foreign || len(rest) == len(buf) {
			return rest
		}
		have = copy(buf[:], rest)
		if err != nil {
			return buf[:have]
		}
		c.patience(have > 0)
	}
}

// take answers the requests that b begins with, and gives what is left of it.
func (c *conn) take(a *answer, b []byte) (rest []byte, s state) {
	for {
		for c.blanks > 0 && len(b) > 0 && (b[0] == '\r' || b[0] == '\n') {
			b = b[1:]
			c.blanks--
		}
		r, s := parse(b, c.listener.line, c.listener.opts.MaxBody)
		if s != whole {
			return b, s
		}
		if !c.hostAllowed(r.host) {
			return b, foreign
		}
		if !c.answer(a, r) {
			return nil, foreign
		}
		b = b[r.size:]
		c.blanks, c.begun = blankBytes, time.Time{}
	}
}

// hostAllowed looks at the host of a request. A client hardly ever changes it.
func (c *conn) hostAllowed(host []byte) bool {
	if c.host != "" && string(host) == c.host {
		return true
	}
	name := string(host)
	if !c.listener.opts.Host(name) {
		return false
	}
	c.host = name
	return true
}

// patience says how long the next bytes may take. A request gets its time once,
// whatever it trickles. Deadlines are timers, and setting one costs more than
// looking at the time: that of a quiet connection may come a little early.
func (c *conn) patience(begun bool) {
	if !c.begun.IsZero() {
		return
	}
	now, opts := time.Now(), &c.listener.opts
	switch {
	case begun:
		c.begun, c.idle = now, time.Time{}
		_ = c.SetReadDeadline(now.Add(opts.HeaderTimeout))
	case now.Sub(c.idle) > opts.IdleTimeout/4:
		c.idle = now
		_ = c.SetReadDeadline(now.Add(opts.IdleTimeout))
	}
}

// answer serves a request. It reports false if the connection is closed.
func (c *conn) answer(a *answer, r request) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing.Load() {
		return false
	}
	if !c.used.Load() {
		c.used.Store(true)
	}
	opts := &c.listener.opts
	a.reset()
	opts.Serve(a, r.authorization, r.body)
	now := time.Now()
	c.last.Store(now.UnixNano())
	if now.Sub(c.wrote) > opts.HeaderTimeout/2 {
		c.wrote = now
		_ = c.SetWriteDeadline(now.Add(opts.HeaderTimeout))
	}
	if c.closing.Load() { // after the above: one of the two sets the last deadline
		_ = c.SetWriteDeadline(time.Now().Add(closeTimeout))
	}
	if _, err := c.direct.Write(a.render()); err != nil {
		// Half an answer may have gone: nothing may follow it. Nor may net/http
		// go on reading, for it would begin in the middle of a request.
		_ = c.direct.Close()
		return false
	}
	return true
}
