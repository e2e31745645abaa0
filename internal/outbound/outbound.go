// Package outbound carries HTTP requests to other processes of a deployment: from
// a gateway to the backend, and from a backend to the gateway.
package outbound

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"tidegate/internal/certs"
)

// Options configure a Transport. The zero value of a field stands for its default.
type Options struct {
	Conns  int           // idle connections that are kept, default 64
	Most   int           // connections at once; further requests wait; 0 is no bound
	MaxAge time.Duration // age after which a connection is not reused, default 1m
	// Socket is the path of a Unix socket to which all requests go, regardless of the host in their
	// URL; "" for TCP.
	Socket string
	Proxy  func(*http.Request) (*url.URL, error) // default: none
	CA     *certs.Pool                           // authorities that check the other side's certificate; default: the system's
	Cert   *certs.Pair                           // shown to the other side; default: none
}

const (
	dialTimeout = 5 * time.Second
	idleTimeout = 90 * time.Second
)

// Transport sends requests over a pool of connections. It uses no connection for longer than MaxAge,
// so it follows a name to a new address and notices a renewed certificate. Its methods may be called
// concurrently.
type Transport struct {
	opts Options // set once

	mu   sync.Mutex
	pool *http.Transport // guarded by mu, like all below
	born time.Time
	ca   *x509.CertPool // that pool uses
	cert *tls.Certificate
}

// New makes a transport.
func New(opts Options) *Transport {
	opts.Conns = cmp.Or(opts.Conns, 64)
	opts.MaxAge = cmp.Or(opts.MaxAge, time.Minute)
	return &Transport{opts: opts}
}

// RoundTrip implements [http.RoundTripper].
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	return t.current().RoundTrip(r)
}

// CloseIdleConnections closes the connections that no request is using.
func (t *Transport) CloseIdleConnections() {
	t.mu.Lock()
	pool := t.pool
	t.mu.Unlock()
	if pool != nil {
		pool.CloseIdleConnections()
	}
}

// current returns the pool to use now. A former pool ends with its requests. http.Transport itself
// has no bound on the age of a connection.
func (t *Transport) current() *http.Transport {
	ca, cert := t.certificates()
	now := time.Now()
	t.mu.Lock()
	old, pool := t.pool, t.pool
	if pool == nil || now.Sub(t.born) >= t.opts.MaxAge || ca != t.ca || cert != t.cert {
		pool = t.newPool(ca, cert)
		t.pool, t.born, t.ca, t.cert = pool, now, ca, cert
	}
	t.mu.Unlock()
	if old != nil && old != pool {
		old.CloseIdleConnections() // connections in use close when they are idle
	}
	return pool
}

// certificates returns the authorities and our own certificate as they are now; nil for none.
func (t *Transport) certificates() (ca *x509.CertPool, cert *tls.Certificate) {
	if t.opts.CA != nil {
		ca = t.opts.CA.Current()
	}
	if t.opts.Cert != nil {
		cert = t.opts.Cert.Current()
	}
	return ca, cert
}

func (t *Transport) newPool(ca *x509.CertPool, cert *tls.Certificate) *http.Transport {
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: ca}
	if cert != nil {
		config.Certificates = []tls.Certificate{*cert}
	}
	return &http.Transport{
		Proxy:                 t.opts.Proxy,
		DialContext:           t.dial,
		TLSClientConfig:       config,
		MaxIdleConnsPerHost:   t.opts.Conns,
		MaxConnsPerHost:       t.opts.Most,
		IdleConnTimeout:       min(idleTimeout, t.opts.MaxAge),
		TLSHandshakeTimeout:   dialTimeout,
		DisableCompression:    true,
		ExpectContinueTimeout: time.Second,
	}
}

func (t *Transport) dial(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: dialTimeout}
	if t.opts.Socket != "" {
		return dialer.DialContext(ctx, "unix", t.opts.Socket)
	}
	return dialer.DialContext(ctx, network, address)
}

// Fresh returns a transport like rt that opens a connection for each request. It returns rt if rt has
// no connections.
func Fresh(rt http.RoundTripper) http.RoundTripper {
	switch rt := rt.(type) {
	case *Transport:
		return fresh{rt}
	case *http.Transport:
		single := rt.Clone()
		single.DisableKeepAlives = true
		return single
	}
	return rt
}

// fresh is a Transport that keeps no connections.
type fresh struct{ t *Transport }

// RoundTrip implements [http.RoundTripper].
func (f fresh) RoundTrip(r *http.Request) (*http.Response, error) {
	single := f.t.newPool(f.t.certificates())
	single.DisableKeepAlives = true
	return single.RoundTrip(r)
}
