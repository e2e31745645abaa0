package gateway_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"tidegate/internal/gateway"
	"tidegate/internal/wire"
)

// TestGW16CallbackConnectionsAreReusedOrClosed: whatever the answers' bodies are.
func TestGW16CallbackConnectionsAreReusedOrClosed(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 2, 60_000, 200_000} {
		var open connCount
		r := setup(t, sockets, func(o *gateway.Options) {
			transport := o.Transport.(*http.Transport)
			dial := transport.DialContext
			transport.DialContext = open.counting(dial)
		})
		r.backend.handle(func(w http.ResponseWriter, _ callback) { _, _ = io.WriteString(w, strings.Repeat("x", size)) })
		for range 40 {
			c, _ := r.accepted("/x")
			c.leave()
			r.backend.next(wire.Disconnect)
		}
		if now, ever := open.counts(); now > 8 || size < 64_000 && ever > 20 {
			t.Errorf("answers of %d bytes: %d connections are open, %d were made for 80 callbacks", size, now, ever)
		}
	}
}

// connCount counts the connections of a dialer.
type connCount struct {
	mu        sync.Mutex
	now, ever int
}

func (n *connCount) counting(dial dialer) dialer {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		n.now++
		n.ever++
		return &countedConn{Conn: conn, gone: sync.OnceFunc(func() {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.now--
		})}, nil
	}
}

func (n *connCount) counts() (now, ever int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.now, n.ever
}

type countedConn struct {
	net.Conn
	gone func()
}

func (c *countedConn) Close() error {
	c.gone()
	return c.Conn.Close()
}

// TestDeadConnectionIsNoRequest: a kept connection that turns out to be dead, with
// no other to be had, has not reached the backend.
func TestDeadConnectionIsNoRequest(t *testing.T) {
	t.Parallel()
	var conn mortalConn
	r := setup(t, sockets, func(o *gateway.Options) {
		transport := o.Transport.(*http.Transport)
		dial := transport.DialContext
		transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			if conn.dead.Load() {
				return nil, syscall.ECONNREFUSED
			}
			c, err := dial(ctx, network, address)
			if conn.Conn == nil {
				conn.Conn = c
				c = &conn
			}
			return c, err
		}
	})
	r.accepted("/x")
	conn.dead.Store(true)
	if got := r.open("/x").reply(); got.Status != 503 {
		t.Errorf("client got %d %s, want 503", got.Status, got.Body)
	}
	if n := r.count("tidegate_disconnects_queued"); n != "0" {
		t.Errorf("%s disconnects wait, want none: no connect arrived", n)
	}
	conn.dead.Store(false)
}

// mortalConn refuses writes when it is dead, and its reader does not notice.
type mortalConn struct {
	net.Conn
	dead atomic.Bool
}

func (c *mortalConn) Write(p []byte) (int, error) {
	if c.dead.Load() {
		return 0, syscall.EPIPE
	}
	return c.Conn.Write(p)
}
