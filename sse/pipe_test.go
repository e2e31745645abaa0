package sse_test

import (
	"context"
	"net"
	"net/http"
	"sync"
	"testing"
)

// pipeNet is a network of one server in memory, for tests in a synctest bubble. There a
// goroutine that waits for a socket would stop the clock.
type pipeNet struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// servePipe runs handler on a pipeNet until the test ends, and returns a client for it.
func servePipe(t *testing.T, handler http.Handler) *http.Client {
	t.Helper()
	return servePipeWith(t, &http.Server{Handler: handler}, nil)
}

// servePipeWith is servePipe for a server with settings, over the given protocols.
func servePipeWith(t *testing.T, srv *http.Server, protocols *http.Protocols) *http.Client {
	t.Helper()
	n := &pipeNet{conns: make(chan net.Conn), closed: make(chan struct{})}
	transport := &http.Transport{DialContext: n.dial, Protocols: protocols}
	var wg sync.WaitGroup
	wg.Go(func() { _ = srv.Serve(n) })
	t.Cleanup(func() {
		_ = srv.Close()
		transport.CloseIdleConnections()
		wg.Wait()
	})
	return &http.Client{Transport: transport}
}

func (n *pipeNet) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case n.conns <- server:
		return client, nil
	case <-n.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (n *pipeNet) Accept() (net.Conn, error) {
	select {
	case c := <-n.conns:
		return c, nil
	case <-n.closed:
		return nil, net.ErrClosed
	}
}

func (n *pipeNet) Close() error {
	n.once.Do(func() { close(n.closed) })
	return nil
}

func (n *pipeNet) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }
