package limit_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"

	"tidegate/internal/limit"
	"tidegate/internal/peer"
)

func TestX14FilesAreDividedAtEveryLimit(t *testing.T) {
	t.Parallel()
	for n := range uint64(limit.LeastFiles) {
		if _, err := limit.DivideFiles(n); err == nil {
			t.Fatalf("a limit of %d is taken", n)
		}
	}
	last := 0
	for _, n := range []uint64{128, 160, 256, 600, 1024, 4096, 65536, 1_100_000, 1 << 62} {
		f, err := limit.DivideFiles(n)
		if err != nil {
			t.Fatal(err)
		}
		if f.Public <= last {
			t.Errorf("at %d files there are %d connections, at fewer there were %d", n, f.Public, last)
		}
		last = f.Public
		if sum := f.Public + f.Waiting + f.Internal + f.Callbacks + f.Kept; uint64(sum) > n {
			t.Errorf("at %d files %d are divided", n, sum)
		}
		if f.Waiting < 8 || f.Internal < 12 || f.Callbacks < 12 || f.Kept < 40 {
			t.Errorf("at %d files: %+v keeps too little back", n, f)
		}
	}
	if last < 9_000_000 {
		t.Errorf("without a limit there are %d connections", last)
	}
}

func TestX14AFullListenerClosesTheOldestThatAskedNothing(t *testing.T) {
	t.Parallel()
	r := serve(t, listen(t, nil), limit.Options{}, limit.PoolOptions{Seats: 4, Waiting: 2}, hello, limit.HandlerOptions{})
	asking := r.dial()
	asking.ask("/")
	var mute []*client
	for range 3 {
		mute = append(mute, r.dial())
	}
	begun := mute[2]
	_, _ = io.WriteString(begun, "GET / HTTP/1.1\r\nHost:") // a request that is not there yet asks nothing
	r.eventually("all are counted", func() bool { return r.pool.Conns() == 4 })
	for i := range 3 {
		if res, body := r.dial().ask("/"); res.StatusCode != http.StatusOK || body != "hello" {
			t.Fatalf("an honest client gets %d %s", res.StatusCode, body)
		}
		mute[i].closed()
	}
	if n := r.count("tidegate_connections_closed_total", "listener=public", "reason=unasked"); n != 3 {
		t.Errorf("%v closed connections are counted, want 3", n)
	}
	// All have asked: those that wait for another request go, the oldest first.
	if res, _ := r.dial().ask("/"); res.StatusCode != http.StatusOK {
		t.Errorf("an honest client gets %d", res.StatusCode)
	}
	asking.closed()
}

func TestX14AFullListenerClosesUnaskedHTTP2(t *testing.T) {
	t.Parallel()
	r := serve(t, listen(t, nil), limit.Options{}, limit.PoolOptions{Seats: 1, Waiting: 1}, hello, limit.HandlerOptions{})
	mute := r.dial()
	_, _ = io.WriteString(mute, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
	if _, err := mute.in.Peek(9); err != nil { // its settings: HTTP/2 is spoken
		t.Fatal(err)
	}
	transport := h2(new(net.Dialer).DialContext)
	defer transport.CloseIdleConnections()
	res, err := (&http.Client{Transport: transport}).Get("http://" + r.pool.Addr().String())
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("an honest client gets %v, %v", res, err)
	}
	_ = res.Body.Close()
	_, _ = io.Copy(io.Discard, mute.in) // what it was sent before
	mute.closed()
}

func TestX14BusyConnectionsAreNotClosed(t *testing.T) {
	t.Parallel()
	hold, entered := make(chan struct{}), make(chan struct{})
	r := serve(t, listen(t, nil), limit.Options{}, limit.PoolOptions{Seats: 1, Waiting: 2}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hold" {
			close(entered)
			<-hold
		}
	}), limit.HandlerOptions{})
	busy := r.dial()
	_, _ = io.WriteString(busy, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n")
	<-entered
	for _, c := range []struct {
		path string
		want int
	}{{"/", http.StatusServiceUnavailable}, {"/healthz", http.StatusOK}} {
		if res, body := r.dial().ask(c.path); res.StatusCode != c.want || c.want != 200 && res.Header.Get("Retry-After") == "" {
			t.Errorf("%s on a full listener is answered %d %s, want %d", c.path, res.StatusCode, body, c.want)
		}
	}
	close(hold)
	if res, _ := busy.answer(); res.StatusCode != http.StatusOK {
		t.Errorf("the one that was busy gets %d", res.StatusCode)
	}
}

func TestX14OneAddressHasItsShare(t *testing.T) {
	t.Parallel()
	var host atomic.Int64
	host.Store(1)
	from := func() net.Addr {
		return &net.TCPAddr{IP: net.ParseIP("2001:db8::1:0:" + strconv.Itoa(int(host.Load()))), Port: 1}
	}
	r := serve(t, listen(t, from), limit.Options{PerAddress: 2, Peers: peer.New(peer.Options{})},
		limit.PoolOptions{Seats: 10, Waiting: 4, Addresses: true}, hello, limit.HandlerOptions{})
	first := r.dial()
	first.ask("/")
	host.Store(2) // of the same /64
	second := r.dial()
	second.ask("/")
	third := r.dial()
	res, body := third.ask("/")
	if res.StatusCode != http.StatusTooManyRequests || res.Header.Get("Retry-After") == "" {
		t.Errorf("the third connection is answered %d %s, want 429 with Retry-After", res.StatusCode, body)
	}
	third.closed()
	_ = first.Close()
	r.eventually("the first is gone", func() bool { return r.pool.Conns() == 1 })
	if res, _ := r.dial().ask("/"); res.StatusCode != http.StatusOK {
		t.Errorf("with one gone the next gets %d", res.StatusCode)
	}
	if n := r.count("tidegate_limit_refused_total", "code=TOO_MANY_FROM_ADDRESS"); n != 1 {
		t.Errorf("%v refusals are counted, want 1", n)
	}
}

func TestX14ThisMachineIsNotLimitedButWhatItForwardsIs(t *testing.T) {
	t.Parallel()
	hold, entered := make(chan struct{}), make(chan struct{}, 3)
	r := serve(t, listen(t, nil), limit.Options{PerAddress: 1, Peers: peer.New(peer.Options{})},
		limit.PoolOptions{Seats: 10, Waiting: 4, Addresses: true}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/hold" {
				entered <- struct{}{}
				<-hold
			}
		}), limit.HandlerOptions{})
	for range 2 {
		_, _ = io.WriteString(r.dial(), "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n")
		<-entered
	}
	_, _ = io.WriteString(r.dial(), "GET /hold HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.1\r\n\r\n")
	<-entered
	if res, _ := r.dial().ask("/", "X-Forwarded-For: 203.0.113.1"); res.StatusCode != http.StatusTooManyRequests {
		t.Errorf("a second request that is forwarded from one address gets %d, want 429", res.StatusCode)
	}
	if res, _ := r.dial().ask("/", "X-Forwarded-For: 203.0.113.2"); res.StatusCode != http.StatusOK {
		t.Errorf("one of another address gets %d, want 200", res.StatusCode)
	}
	close(hold)
}

func TestConnectRateIsByAddress(t *testing.T) {
	t.Parallel()
	r := serve(t, listen(t, nil), limit.Options{ConnectRate: 0.001, Peers: peer.New(peer.Options{})},
		limit.PoolOptions{Seats: 10, Waiting: 4, Addresses: true}, hello, limit.HandlerOptions{})
	c := r.dial()
	for range 3 { // one connect
		if res, _ := c.ask("/", "X-Forwarded-For: 203.0.113.1"); res.StatusCode != http.StatusOK {
			t.Fatalf("the first connect gets %d", res.StatusCode)
		}
	}
	if res, body := r.dial().ask("/", "X-Forwarded-For: 203.0.113.1"); res.StatusCode != http.StatusTooManyRequests {
		t.Errorf("the second connect gets %d %s, want 429", res.StatusCode, body)
	}
	for range 3 {
		if res, _ := r.dial().ask("/"); res.StatusCode != http.StatusOK {
			t.Errorf("this machine gets %d, want 200", res.StatusCode)
		}
	}
}

// TestX14HijackedConnectionsAreCounted is about streams that are parked: they
// leave net/http, and keep their connection.
func TestX14HijackedConnectionsAreCounted(t *testing.T) {
	t.Parallel()
	from := func() net.Addr { return &net.TCPAddr{IP: net.IPv4(203, 0, 113, 1), Port: 1} }
	var limits atomic.Pointer[limit.Limits]
	holds := make(chan *limit.Hold, 10)
	refused := make(chan error, 10)
	r := serve(t, listen(t, from), limit.Options{PerAddress: 2, Peers: peer.New(peer.Options{})},
		limit.PoolOptions{Seats: 3, Waiting: 2, Addresses: true}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h := new(limit.Hold)
			if err := limits.Load().OpenStream(r, h); err != nil {
				refused <- err
				return
			}
			c, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_ = c.Close() // of the two descriptors that the stream has
			holds <- h
		}), limit.HandlerOptions{Streams: func(*http.Request) bool { return true }})
	limits.Store(r.limits)
	get := "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	var held []*limit.Hold
	for range 2 {
		_, _ = io.WriteString(r.dial(), get)
		held = append(held, <-holds)
	}
	if n := r.pool.Conns(); n != 2 {
		t.Errorf("two streams are %d connections", n)
	}
	third := r.dial()
	_, _ = io.WriteString(third, get)
	if err := <-refused; err != error(limit.ErrAddress) {
		t.Errorf("a third stream of the address: %v, want %v", err, limit.ErrAddress)
	}
	_ = third.Close()
	for range 2 {
		r.limits.Release(held[0])
	}
	r.eventually("the stream's connection is given back", func() bool { return r.pool.Conns() == 1 })
	_, _ = io.WriteString(r.dial(), get)
	held = append(held, <-holds)
	for _, h := range held {
		r.limits.Release(h)
	}
	r.eventually("all is given back", func() bool {
		return r.pool.Conns() == 0 && r.count("tidegate_limit_addresses") == 0
	})
}

func TestUnusedConnectionsDoNotHoldUpAStop(t *testing.T) {
	t.Parallel()
	r := serve(t, listen(t, nil), limit.Options{}, limit.PoolOptions{Seats: 4, Waiting: 2}, hello, limit.HandlerOptions{})
	r.server.RegisterOnShutdown(r.pool.CloseUnused)
	c := r.dial()
	r.eventually("it is counted", func() bool { return r.pool.Conns() == 1 })
	if err := r.server.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	c.closed()
}
