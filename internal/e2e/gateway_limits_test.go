package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// ask sends raw bytes and gives the connection.
func ask(t *testing.T, base, raw string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(2 * patience))
	if _, err := io.WriteString(conn, raw); err != nil {
		t.Logf("send: %v", err) // the other side may have had enough
	}
	return conn
}

func statusOf(t *testing.T, conn net.Conn) int {
	t.Helper()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode
}

// TestX16HeadersAreBounded on both listeners: 16 KiB, or what --max-header says.
func TestX16HeadersAreBounded(t *testing.T) {
	t.Parallel()
	request := func(path string, size int) string {
		return "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nX-Long: " + strings.Repeat("x", size) + "\r\n\r\n"
	}
	for _, c := range []struct {
		args        []string
		fits, large int
	}{
		{nil, 15 << 10, 17 << 10},
		{[]string{"--max-header", "64KiB"}, 60 << 10, 66 << 10},
	} {
		h := newHooks(t, nil)
		p := h.gateway(c.args...)
		if got := statusOf(t, ask(t, p.public, request("/x", c.fits))); got != http.StatusOK {
			t.Errorf("%v: %d bytes of headers: %d, want 200", c.args, c.fits, got)
		}
		cb := h.next("connect")
		if n := len(cb.Request.Headers["x-long"]); n != c.fits {
			t.Errorf("%v: the callback has %d bytes of a header of %d", c.args, n, c.fits)
		}
		for base, path := range map[string]string{p.public: "/x", p.internal: "/internal/streams"} {
			if got := statusOf(t, ask(t, base, request(path, c.large))); got != http.StatusRequestHeaderFieldsTooLarge {
				t.Errorf("%v: %d bytes of headers: %d, want 431", c.args, c.large, got)
			}
		}
	}
}

// TestHeadersMustComeInTime: ten seconds, from the first byte or without one.
func TestHeadersMustComeInTime(t *testing.T) {
	t.Parallel()
	p := newHooks(t, nil).gateway()
	conns := map[string]net.Conn{
		"half a head": ask(t, p.public, "GET /x HTTP/1.1\r\nHost: x\r\nX-More: "),
		"nothing":     ask(t, p.public, ""),
		"internal":    ask(t, p.internal, "POST /internal/send HTTP/1.1\r\nHost:"),
	}
	begin := time.Now()
	for name, conn := range conns {
		_, err := io.Copy(io.Discard, conn)
		if took := time.Since(begin); took < 8*time.Second || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: hung up on after %s (%v), want 10s", name, took, err)
		}
	}
}

// TestMostConnections of the program, with its refusal.
func TestMostConnections(t *testing.T) {
	t.Parallel()
	h := newHooks(t, nil)
	p := h.gateway("--max-connections", "3")
	first, token := h.accepted(p, "/1")
	h.accepted(p, "/2")
	h.accepted(p, "/3")
	c := dial(t, p.public, "/4")
	if err := c.answer(); err != nil || c.head.StatusCode != http.StatusServiceUnavailable || c.head.Header.Get("Retry-After") == "" {
		t.Errorf("the fourth of three got %+v, %v, want 503 with Retry-After", c.head, err)
	}
	first.leave()
	h.wantDisconnect(token, "client_closed", "")
	h.accepted(p, "/5")
}

// TestDropInForTheReplacedGateway: its variables, and its internal route on the
// public listener if that is asked for.
func TestDropInForTheReplacedGateway(t *testing.T) {
	t.Parallel()
	h := newHooks(t, nil)
	p := startWith(t, []string{"CALLBACK_URL=" + h.url, "HEARTBEAT_INTERVAL_SECONDS=1"}, "gateway", "--internal-listen", "shared")
	p.hide(h.tokens)
	c, token := h.accepted(p, "/sse")
	a := &api{t: t, base: p.public, client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	a.mustSend(toToken(token, "x"))
	if got := c.event(); got.Data != "x" {
		t.Errorf("event %+v", got)
	}
	begin, beats := time.Now(), bufio.NewReader(c.head.Body)
	for range 3 {
		for _, want := range []string{": heartbeat\n", "\n"} {
			if line, err := beats.ReadString('\n'); err != nil || line != want {
				t.Fatalf("%q, %v, want a heartbeat", line, err)
			}
		}
	}
	if took := time.Since(begin); took > 3*10*time.Second { // without the variable it beats every 15 s
		t.Errorf("three heartbeats took %s, want one a second", took)
	}
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/metrics": 200, "/internal/streams": 200, "/internal/none": 404} {
		if status, answer := a.call(http.MethodGet, path, "", ""); status != want {
			t.Errorf("GET %s: %d %.100s, want %d", path, status, answer, want)
		}
	}
	p.stop()
}

// TestWaysToLeave: the backend receives each within a second, from one open
// connection as from many.
func TestWaysToLeave(t *testing.T) {
	t.Parallel()
	h := newHooks(t, nil)
	p := h.gateway()
	for name, leave := range map[string]func(*client){"FIN": (*client).leave, "RST": (*client).reset, "half-close": (*client).finish} {
		for i := range 20 {
			c, token := h.accepted(p, fmt.Sprintf("/%s/%d", name, i))
			begin := time.Now()
			leave(c)
			if took := h.wantDisconnect(token, "client_closed", "").at.Sub(begin); took > time.Second {
				t.Errorf("%s: reported after %s, want within a second", name, took)
			}
		}
	}
	p.stop()
}
