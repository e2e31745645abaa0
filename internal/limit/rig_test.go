package limit_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tidegate/internal/limit"
)

const patience = time.Minute

// rig is a server behind a pool.
type rig struct {
	t      *testing.T
	limits *limit.Limits
	pool   *limit.Pool
	server *http.Server
}

// serve starts a server whose connections and requests are bounded.
func serve(t *testing.T, l net.Listener, opts limit.Options, pool limit.PoolOptions, h http.Handler, ho limit.HandlerOptions) *rig {
	t.Helper()
	limits := limit.New(opts)
	pool.Name = "public"
	r := &rig{t: t, limits: limits, pool: limits.Listen(l, pool)}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	r.server = &http.Server{
		Handler: r.pool.Handler(h, ho), ConnState: r.pool.Track, ConnContext: r.pool.ConnContext,
		Protocols: protocols, ReadHeaderTimeout: 10 * time.Second,
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := r.server.Serve(r.pool); !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serve: %v", err)
		}
	})
	t.Cleanup(func() {
		_ = r.server.Close()
		serving.Wait()
	})
	return r
}

// listen is a listener on loopback. Connections seem to come from the addresses
// that from gives; nil leaves them as they are.
func listen(t *testing.T, from func() net.Addr) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if from == nil {
		return l
	}
	return &farListener{l, from}
}

type farListener struct {
	net.Listener
	from func() net.Addr
}

func (l *farListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &farConn{c, l.from()}, nil
}

type farConn struct {
	net.Conn
	from net.Addr
}

func (c *farConn) RemoteAddr() net.Addr { return c.from }

// client is a connection to the rig.
type client struct {
	t *testing.T
	net.Conn
	in *bufio.Reader
}

func (r *rig) dial() *client {
	r.t.Helper()
	c, err := net.Dial("tcp", r.pool.Addr().String())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return &client{r.t, c, bufio.NewReader(c)}
}

// ask sends a GET and gives the answer, whose body has been read.
func (c *client) ask(path string, headers ...string) (*http.Response, string) {
	c.t.Helper()
	lines := strings.Join(append([]string{"GET " + path + " HTTP/1.1", "Host: a"}, headers...), "\r\n")
	if _, err := io.WriteString(c, lines+"\r\n\r\n"); err != nil {
		c.t.Fatal(err)
	}
	return c.answer()
}

func (c *client) answer() (*http.Response, string) {
	c.t.Helper()
	res, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return res, string(body)
}

// closed waits for the server to close the connection.
func (c *client) closed() {
	c.t.Helper()
	if _, err := c.in.ReadByte(); err == nil || isTimeout(err) {
		c.t.Errorf("the connection is open: %v", err)
	}
}

func isTimeout(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}

// eventually waits until holds is true.
func (r *rig) eventually(what string, holds func() bool) {
	r.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !holds(); <-tick.C {
		if time.Now().After(end) {
			r.t.Fatalf("waited in vain: %s", what)
		}
	}
}

// count reads a series, such as tidegate_connections{listener="public"}.
func (r *rig) count(name string, labels ...string) float64 {
	r.t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(r.limits)
	families, err := registry.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var have []string
			for _, l := range m.GetLabel() {
				have = append(have, l.GetName()+"="+l.GetValue())
			}
			if f.GetName() == name && strings.Join(have, " ") == strings.Join(labels, " ") {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	r.t.Fatalf("no series %s %v", name, labels)
	return 0
}

// h2 is a client of HTTP/2 without TLS; pipes is a client over a listener's dialer.
func h2(dial func(ctx context.Context, network, address string) (net.Conn, error)) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Transport{Protocols: protocols, DialContext: dial}
}

var hello = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "hello") })
