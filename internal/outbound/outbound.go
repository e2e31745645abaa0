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
	Most   int           // connections at once, beyond which requests wait; 0 is no bound
	MaxAge time.Duration // of connections that are used again, default 1m
	// Socket is the path of a Unix socket to which all requests go, whatever
	// their URL says; "" for TCP.
	Socket string
	Proxy  func(*http.Request) (*url.URL, error) // default: none
	CA     *certs.Pool                           // who signs the certificates of the other side; default: the system's
	Cert   *certs.Pair                           // shown to the other side; default: none
}

const (
	dialTimeout = 5 * time.Second
	idleTimeout = 90 * time.Second
)

// Transport does requests over a pool of connections, none of which is used for
// longer than MaxAge: a name that resolves to another address is followed, and so
// is a renewed certificate. Its methods may be called concurrently.
type Transport struct {
	opts Options // set once

	mu   sync.Mutex
	pool *http.Transport // guarded by mu, like all below
	born time.Time
	ca   *x509.CertPool // of pool
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

// current is the pool to use now. The one before it ends with the requests that
// it is doing: http.Transport has no bound on the age of a connection.
func (t *Transport) current() *http.Transport {
	ca, cert := t.papers()
	now := time.Now()
	t.mu.Lock()
	old, pool := t.pool, t.pool
	if pool == nil || now.Sub(t.born) >= t.opts.MaxAge || ca != t.ca || cert != t.cert {
		pool = t.newPool(ca, cert)
		t.pool, t.born, t.ca, t.cert = pool, now, ca, cert
	}
	t.mu.Unlock()
	if old != nil && old != pool {
		old.CloseIdleConnections() // and those in use once they are idle
	}
	return pool
}

// papers are the certificates of this moment; nil for none of our own.
func (t *Transport) papers() (ca *x509.CertPool, cert *tls.Certificate) {
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

// Fresh is a transport like rt that opens a connection for each request. One
// that has no connections is its own.
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

// fresh is a Transport without connections that are kept.
type fresh struct{ t *Transport }

// RoundTrip implements [http.RoundTripper].
func (f fresh) RoundTrip(r *http.Request) (*http.Response, error) {
	single := f.t.newPool(f.t.papers())
	single.DisableKeepAlives = true
	return single.RoundTrip(r)
}
