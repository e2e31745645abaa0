// Package express answers one kind of request before net/http sees it.
//
// A backend sends its events as small POSTs over a few connections that stay open. For
// each, net/http allocates a request, starts a goroutine that watches the connection,
// and sets and stops timers. That costs more than processing the request. Here such a
// request is parsed and answered between two reads of the connection.
//
// Only plain requests are handled: the one target, HTTP/1.1, JSON with a length, not
// more bytes than fit the buffer. With the first request that is anything else, even
// slightly unusual, the connection belongs to net/http for good, with every byte that
// has arrived. So net/http remains the only full implementation of HTTP.
//
// It replaces the connections of one listener; without it, net/http gives the same
// answers. docs/explanation/streams.md has the figures.
package express

import (
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Options configure a listener. All fields are required.
type Options struct {
	Target  string // of the requests that are handled, such as "/internal/send"
	MaxBody int64  // of a request; longer ones are left to net/http
	// Serve answers a request. authorization is the header of that name. Serve must
	// not retain either slice. The answer must be small, and have a Content-Type. It
	// is called concurrently, once at a time for each connection.
	Serve func(w http.ResponseWriter, authorization, body []byte)
	// Host reports whether requests with this Host are handled; others are left to
	// net/http. It is called once for each connection and name.
	Host func(host string) bool

	IdleTimeout time.Duration // until the next request starts
	// HeaderTimeout is the timeout of net/http for the headers of a request. Here it
	// bounds a whole request, the first one of a connection, and writing an answer.
	HeaderTimeout time.Duration
}

const (
	// bufferBytes bounds a request, headers included.
	bufferBytes = 8 << 10
	// closeTimeout bounds writing an answer while the connection is being closed. The
	// write blocks only if the client has stopped reading long before.
	closeTimeout = 100 * time.Millisecond
	// blankBytes is how many bytes of empty lines net/http accepts after a POST.
	blankBytes = 4
)

// Listen returns l with the shortcut for its connections.
func Listen(l *net.TCPListener, opts Options) net.Listener {
	return &listener{TCPListener: l, opts: opts, line: "POST " + opts.Target + " HTTP/1.1\r\n"}
}

type listener struct {
	*net.TCPListener
	opts Options
	line string // request line of the requests that are handled
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	c, err := l.AcceptTCP()
	if err != nil {
		return nil, err
	}
	d, err := newDirect(c)
	if err != nil {
		return c, nil // net/http will meet the error
	}
	return &conn{direct: d, listener: l}, nil
}

// conn is one connection. Its first Read handles requests as long as they are plain, and
// returns the bytes of the first one that is not.
type conn struct {
	*direct
	listener *listener

	// Owned by the reader.
	passedOn  bool      // net/http reads from now on
	left      []byte    // bytes that net/http has not read yet
	host      string    // the last one that Options.Host accepted
	blanks    int       // bytes of empty lines that may precede the next request
	startedAt time.Time // when the request that is being read started; zero: none has
	idle      time.Time // when the idle deadline was set; zero: it must be set
	wrote     time.Time // when the write deadline was set

	mu      sync.Mutex // held while a request is answered
	closing atomic.Bool
	used    atomic.Bool
	last    atomic.Int64 // when the last answer was written, unix nanoseconds
}

// Used reports whether a request was answered here, or is being answered.
func (c *conn) Used() bool { return c.used.Load() }

// LastUsed is when the last one was answered, in unix nanoseconds; 0: never.
func (c *conn) LastUsed() int64 { return c.last.Load() }

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	if !c.passedOn {
		c.passedOn = true
		if c.left = c.serve(); len(c.left) > 0 {
			c.passOn()
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

// WriteTo implements io.WriterTo. The method of the TCP connection would miss what is
// left.
func (c *conn) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, struct{ io.Reader }{c})
}

// passOn sets the deadlines that net/http would have set by now.
func (c *conn) passOn() {
	if c.startedAt.IsZero() {
		c.startedAt = time.Now()
	}
	_ = c.SetReadDeadline(c.startedAt.Add(c.listener.opts.HeaderTimeout))
	_ = c.SetWriteDeadline(time.Time{})
}

// Close implements net.Conn. It waits until a request that is being served is answered.
func (c *conn) Close() error {
	c.closing.Store(true)
	_ = c.SetWriteDeadline(time.Now().Add(closeTimeout))
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.direct.Close()
}

// serve answers requests until one is left to net/http, and returns the bytes that were
// read of that. It also returns at the end of the connection: net/http then meets the
// same end.
func (c *conn) serve() (left []byte) {
	var buf [bufferBytes]byte // on the heap, until net/http takes over
	var a answer
	have := 0
	c.setReadDeadline(true)
	for {
		n, err := c.direct.Read(buf[have:])
		rest, s := c.take(&a, buf[:have+n])
		if s == unusual || len(rest) == len(buf) {
			return rest
		}
		have = copy(buf[:], rest)
		if err != nil {
			return buf[:have]
		}
		c.setReadDeadline(have > 0)
	}
}

// take answers the complete requests at the start of b, and returns the rest.
func (c *conn) take(a *answer, b []byte) (rest []byte, s state) {
	for {
		for c.blanks > 0 && len(b) > 0 && (b[0] == '\r' || b[0] == '\n') {
			b = b[1:]
			c.blanks--
		}
		r, s := parse(b, c.listener.line, c.listener.opts.MaxBody)
		if s != complete {
			return b, s
		}
		if !c.hostAllowed(r.host) {
			return b, unusual
		}
		if !c.answer(a, r) {
			return nil, unusual
		}
		b = b[r.size:]
		c.blanks, c.startedAt = blankBytes, time.Time{}
	}
}

// hostAllowed checks the host of a request. A client hardly ever changes it.
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

// setReadDeadline bounds the wait for the next bytes. A request gets its time once, however
// slowly it arrives. Setting a deadline costs more than reading the time, so the idle
// deadline is not renewed each time, and may come a little early.
func (c *conn) setReadDeadline(started bool) {
	if !c.startedAt.IsZero() {
		return
	}
	now, opts := time.Now(), &c.listener.opts
	switch {
	case started:
		c.startedAt, c.idle = now, time.Time{}
		_ = c.SetReadDeadline(now.Add(opts.HeaderTimeout))
	case now.Sub(c.idle) > opts.IdleTimeout/4:
		c.idle = now
		_ = c.SetReadDeadline(now.Add(opts.IdleTimeout))
	}
}

// answer answers a request. It reports false if the connection is closed.
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
	if c.closing.Load() { // checked after the above: one of the two sets the last deadline
		_ = c.SetWriteDeadline(time.Now().Add(closeTimeout))
	}
	if _, err := c.direct.Write(a.render()); err != nil {
		// A part of the answer may have been written: nothing may follow it. And
		// net/http must not read on: it would start in the middle of a request.
		_ = c.direct.Close()
		return false
	}
	return true
}
