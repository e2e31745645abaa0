package client

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"time"
)

// Bounds of the connections that a client opens by itself.
const (
	dialTimeout = 5 * time.Second
	idleTimeout = 90 * time.Second
	idleConns   = 64 // that are kept for further calls
)

// newTransport makes the pool of connections of one client. All of them go to
// socket, the path of a Unix socket, unless that is "".
func newTransport(socket string, config *tls.Config) *http.Transport {
	dialer := &net.Dialer{Timeout: dialTimeout}
	t := &http.Transport{
		DialContext:         dialer.DialContext,
		TLSClientConfig:     config.Clone(), // nil stays nil
		TLSHandshakeTimeout: dialTimeout,
		MaxIdleConnsPerHost: idleConns,
		IdleConnTimeout:     idleTimeout,
		DisableCompression:  true,
	}
	if socket == "" {
		t.Proxy = http.ProxyFromEnvironment
		return t
	}
	t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, "unix", socket)
	}
	return t
}
