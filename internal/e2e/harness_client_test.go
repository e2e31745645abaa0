package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"tidegate/sse"
)

// cookieValue is in a cookie of every stream that tests open.
const cookieValue = "c00kie-of-a-test"

// client is one connection with one request for a stream on it. It belongs to
// one goroutine.
type client struct {
	t    testing.TB
	conn *net.TCPConn
	in   *bufio.Reader
	head *http.Response
	read *sse.Decoder
}

// dial connects and asks for a stream, and reads nothing.
func dial(t testing.TB, base, target string, headers ...string) *client {
	t.Helper()
	c, err := tryDial(base, target, headers...)
	if err != nil {
		t.Fatal(err)
	}
	c.t = t
	t.Cleanup(c.leave)
	return c
}

// tryDial is dial for those who expect it to fail.
func tryDial(base, target string, headers ...string) (*client, error) {
	u, err := url.Parse(base)
	if err != nil {
		return nil, err
	}
	conn, err := net.DialTimeout("tcp", u.Host, patience)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "GET %s HTTP/1.1\r\nHost: %s\r\nCookie: session=%s\r\n", target, u.Host, cookieValue)
	for _, line := range headers {
		b.WriteString(line + "\r\n")
	}
	b.WriteString("\r\n")
	c := &client{conn: conn.(*net.TCPConn), in: bufio.NewReader(conn)}
	if _, err := io.WriteString(conn, b.String()); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return c, nil
}

// open opens a stream that must be accepted.
func open(t testing.TB, base, target string, headers ...string) *client {
	t.Helper()
	c := dial(t, base, target, headers...)
	if err := c.answer(); err != nil {
		t.Fatalf("open %s: %v", target, err)
	}
	if c.head.StatusCode != http.StatusOK {
		t.Fatalf("open %s: %s", target, c.head.Status)
	}
	return c
}

// answer reads the head of the answer.
func (c *client) answer() error {
	_ = c.conn.SetReadDeadline(time.Now().Add(patience))
	head, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return err
	}
	c.head, c.read = head, sse.NewDecoder(head.Body, sse.DecoderOptions{})
	return nil
}

// event reads the next event.
func (c *client) event() sse.Event {
	c.t.Helper()
	_ = c.conn.SetReadDeadline(time.Now().Add(patience))
	for ev, err := range c.read.Events() {
		if err != nil {
			c.t.Fatalf("next event: %v", err)
		}
		return ev
	}
	c.t.Fatal("the stream has ended, want an event")
	return sse.Event{}
}

// rest reads to the end; err is nil if that was a clean one.
func (c *client) rest() (text string, err error) {
	_ = c.conn.SetReadDeadline(time.Now().Add(2 * patience))
	body, err := io.ReadAll(c.head.Body)
	return string(body), err
}

// leave closes the connection with FIN, reset with RST; finish closes the
// client's side only.
func (c *client) leave()  { _ = c.conn.Close() }
func (c *client) finish() { _ = c.conn.CloseWrite() }
func (c *client) reset() {
	_ = c.conn.SetLinger(0)
	_ = c.conn.Close()
}

// accepted opens a stream and gives its token too.
func (h *hooks) accepted(p *program, target string, headers ...string) (*client, string) {
	h.t.Helper()
	c := open(h.t, p.public, target, headers...)
	return c, h.next("connect").Token
}
