package limit_test

import (
	"net"
	"net/http"
	"sync/atomic"
	"testing"

	"tidegate/internal/limit"
)

// servedListener's connections say that they have answered requests which
// net/http has not seen, the later the younger they are.
type servedListener struct {
	net.Listener
	accepted atomic.Int64
}

type servedConn struct {
	net.Conn
	last int64
}

func (c *servedConn) Used() bool      { return true }
func (c *servedConn) LastUsed() int64 { return c.last }

func (l *servedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &servedConn{c, l.accepted.Add(1)}, nil
}

// TestX14ConnectionsThatAreKeptForSendsMakeRoom: each worker of a backend keeps
// one, and there may be more workers than seats.
func TestX14ConnectionsThatAreKeptForSendsMakeRoom(t *testing.T) {
	t.Parallel()
	l := listen(t, nil)
	r := serve(t, &servedListener{Listener: l}, limit.Options{}, limit.PoolOptions{Seats: 3}, hello, limit.HandlerOptions{})
	var kept []*client
	for range 3 {
		kept = append(kept, r.dial())
	}
	r.eventually("all are counted", func() bool { return r.pool.Conns() == 3 })
	for _, oldest := range kept {
		r.dial() // and is kept
		oldest.closed()
	}
	if res, body := r.dial().ask("/"); res.StatusCode != http.StatusOK || body != "hello" {
		t.Errorf("a new worker gets %d %s", res.StatusCode, body)
	}
}
