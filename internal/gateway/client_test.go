package gateway_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"tidegate/internal/wire"
	"tidegate/sse"
)

// client is one connection to the public listener with one request on it.
type client struct {
	t    testing.TB
	conn net.Conn

	headed chan struct{} // closed when there is a head, or never will be
	ended  chan struct{} // closed when nothing comes any more

	mu      sync.Mutex
	head    *http.Response // guarded by mu, like all below
	body    []byte
	err     error         // io.EOF after a clean end
	changed chan struct{} // closed and replaced when something came
}

// connect sends a raw request and begins to read what comes.
func (r *rig) connect(request string) *client {
	r.t.Helper()
	c := r.mute(request)
	c.reading()
	return c
}

// mute is like connect, but nothing is read until reading is called.
func (r *rig) mute(request string) *client {
	r.t.Helper()
	conn, err := r.dial(context.Background(), "", "")
	if err != nil {
		r.t.Fatal(err)
	}
	c := &client{t: r.t, conn: conn, headed: make(chan struct{}), ended: make(chan struct{}), changed: make(chan struct{})}
	r.t.Cleanup(c.leave)
	if _, err := io.WriteString(conn, request); err != nil {
		r.t.Fatal(err)
	}
	return c
}

// open asks for a stream: a GET with further header lines, each "Name: value".
func (r *rig) open(target string, headers ...string) *client {
	r.t.Helper()
	return r.connect(getRequest(target, headers...))
}

// stalled opens a stream and reads no more than its head.
func (r *rig) stalled(target string) (token string) {
	r.t.Helper()
	c := r.mute(getRequest(target))
	cb := r.backend.next(wire.Connect)
	if _, err := http.ReadResponse(bufio.NewReader(c.conn), nil); err != nil {
		r.t.Fatal(err)
	}
	return cb.Token
}

func getRequest(target string, headers ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "GET %s HTTP/1.1\r\nHost: tidegate.test\r\n", target)
	for _, line := range headers {
		b.WriteString(line + "\r\n")
	}
	return b.String() + "\r\n"
}

// accepted opens a stream and waits until it is open. It gives its token too.
func (r *rig) accepted(target string, headers ...string) (*client, string) {
	r.t.Helper()
	c := r.open(target, headers...)
	cb := r.backend.next(wire.Connect)
	if head := c.response(); head.StatusCode != http.StatusOK {
		r.t.Fatalf("opening %s: %d, want 200", target, head.StatusCode)
	}
	return c, cb.Token
}

// reading begins to read; leave ends it.
func (c *client) reading() {
	var done sync.WaitGroup
	done.Go(c.read)
	c.t.Cleanup(func() {
		c.leave()
		done.Wait()
	})
}

func (c *client) read() {
	defer close(c.ended)
	head, err := http.ReadResponse(bufio.NewReader(c.conn), nil)
	c.update(func() { c.head, c.err = head, err })
	close(c.headed)
	for buf := make([]byte, 64<<10); err == nil; {
		var n int
		n, err = head.Body.Read(buf)
		c.update(func() { c.body, c.err = append(c.body, buf[:n]...), err })
	}
}

func (c *client) update(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
	close(c.changed)
	c.changed = make(chan struct{})
}

// leave closes the connection.
func (c *client) leave() { _ = c.conn.Close() }

// response waits for the head of the answer.
func (c *client) response() *http.Response {
	c.t.Helper()
	select {
	case <-c.headed:
	case <-time.After(patience):
		c.t.Fatal("no answer came")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.head == nil {
		c.t.Fatalf("the connection ended without an answer: %v", c.err)
	}
	return c.head
}

// text is the body as far as it has come.
func (c *client) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.body)
}

// until waits until the body contains part, and gives all of it.
func (c *client) until(part string) string {
	c.t.Helper()
	for deadline := time.After(patience); ; {
		c.mu.Lock()
		text, changed, err := string(c.body), c.changed, c.err
		c.mu.Unlock()
		if strings.Contains(text, part) {
			return text
		}
		if err != nil {
			c.t.Fatalf("the stream ended (%v) without %q: %q", err, part, text)
		}
		select {
		case <-changed:
		case <-deadline:
			c.t.Fatalf("no %q came: %q", part, text)
		}
	}
}

// end waits for the end of the body and reports whether it was a clean one.
func (c *client) end() (text string, clean bool) {
	c.t.Helper()
	select {
	case <-c.ended:
	case <-time.After(patience):
		c.t.Fatalf("the stream did not end: %q", c.text())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.body), errors.Is(c.err, io.EOF)
}

// wantEnd waits for a clean end and compares the body.
func (c *client) wantEnd(want string) {
	c.t.Helper()
	if got, clean := c.end(); got != want || !clean {
		c.t.Errorf("stream %q, clean end: %v, want %q and a clean end", got, clean, want)
	}
}

// reply is the whole answer, once it has ended.
func (c *client) reply() reply {
	c.t.Helper()
	head := c.response()
	text, _ := c.end()
	return reply{head.StatusCode, head.Header, text}
}

// events decodes the body as far as it has come.
func (c *client) events() []sse.Event {
	c.t.Helper()
	var events []sse.Event
	for ev, err := range sse.Decode(strings.NewReader(c.text())) {
		if err != nil {
			c.t.Fatalf("not a stream of events: %v: %q", err, c.text())
		}
		events = append(events, ev)
	}
	return events
}

// reset leaves with RST instead of FIN.
func (c *client) reset() {
	_ = c.conn.(*net.TCPConn).SetLinger(0)
	c.leave()
}

// finish closes the client's side only.
func (c *client) finish() { _ = c.conn.(*net.TCPConn).CloseWrite() }
