package outbound_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tidegate/internal/certs"
	"tidegate/internal/outbound"
	"tidegate/internal/selfsigned"
)

// counting counts the connections that a server accepts.
func counting(s *httptest.Server) *atomic.Int64 {
	var conns atomic.Int64
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			conns.Add(1)
		}
	}
	return &conns
}

// ask posts and gives the status; 0 if no answer came.
func ask(t *testing.T, rt http.RoundTripper, url string) (status int, err error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	res, err := rt.RoundTrip(r)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, nil
}

func mustAsk(t *testing.T, rt http.RoundTripper, url string) {
	t.Helper()
	if status, err := ask(t, rt, url); status != http.StatusOK {
		t.Fatalf("status %d, %v, want 200", status, err)
	}
}

var ok = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})

func TestX25ABusyConnectionIsNotUsedForEver(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(ok)
	conns := counting(server)
	server.Start()
	defer server.Close()
	rt := outbound.New(outbound.Options{MaxAge: 200 * time.Millisecond})
	defer rt.CloseIdleConnections()
	asked := 0
	for end := time.Now().Add(30 * time.Second); conns.Load() < 4; asked++ { // never idle
		if time.Now().After(end) {
			t.Fatalf("%d connections for %d requests over half a minute, want a new one every 200 ms", conns.Load(), asked)
		}
		mustAsk(t, rt, server.URL)
	}
	if asked < 8 {
		t.Errorf("4 connections for %d requests: they are not used again", asked)
	}
}

func TestConnectionsAreUsedAgain(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(ok)
	conns := counting(server)
	server.Start()
	defer server.Close()
	rt := outbound.New(outbound.Options{})
	defer rt.CloseIdleConnections()
	for range 10 {
		mustAsk(t, rt, server.URL)
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections for 10 requests, want 1", n)
	}
	for range 3 {
		mustAsk(t, outbound.Fresh(rt), server.URL)
	}
	if n := conns.Load(); n != 4 {
		t.Errorf("%d connections, want one more for each of 3 fresh ones", n)
	}
}

func TestX26RequestsGoToAUnixSocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "app.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "localhost" || r.URL.Path != "/callback" {
			w.WriteHeader(http.StatusNotFound)
		}
	})}}
	server.Start()
	defer server.Close()
	rt := outbound.New(outbound.Options{Socket: path})
	defer rt.CloseIdleConnections()
	mustAsk(t, rt, "http://localhost/callback")
	mustAsk(t, outbound.Fresh(rt), "http://localhost/callback")
}

// secure is a server that asks for the certificate in files, and shows it.
func secure(t *testing.T, files selfsigned.Files) *httptest.Server {
	t.Helper()
	pair, err := certs.LoadPair("server", files.Cert, files.Key)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := certs.LoadPool("server", files.Cert)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(ok)
	server.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		_, _ = pair.Reload(), pool.Reload()
		return &tls.Config{Certificates: []tls.Certificate{*pair.Current()}, ClientCAs: pool.Current(), ClientAuth: tls.RequireAndVerifyClientCert}, nil
	}}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

func TestX26OwnAuthorityAndClientCertificate(t *testing.T) {
	t.Parallel()
	files, err := selfsigned.Write(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	server := secure(t, files)
	pool, err := certs.LoadPool("--callback-ca", files.Cert)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := certs.LoadPair("--callback-cert", files.Cert, files.Key)
	if err != nil {
		t.Fatal(err)
	}
	for name, opts := range map[string]outbound.Options{
		"no authority": {Cert: pair}, "no certificate": {CA: pool}, "neither": {},
	} {
		if status, err := ask(t, outbound.New(opts), server.URL); err == nil {
			t.Errorf("%s: status %d, want an error", name, status)
		}
	}
	rt := outbound.New(outbound.Options{CA: pool, Cert: pair})
	defer rt.CloseIdleConnections()
	mustAsk(t, rt, server.URL)

	// Both sides get new ones.
	next, err := selfsigned.Write(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{next.Cert: files.Cert, next.Key: files.Key} {
		text, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(to, text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if status, err := ask(t, outbound.Fresh(rt), server.URL); err == nil {
		t.Errorf("status %d with the old ones, want an error", status)
	}
	if err := pool.Reload(); err != nil {
		t.Fatal(err)
	}
	if err := pair.Reload(); err != nil {
		t.Fatal(err)
	}
	mustAsk(t, rt, server.URL)
}

func TestX24AttemptKnowsHowFarARequestCame(t *testing.T) {
	t.Parallel()
	var closes atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if closes.Load() {
			panic(http.ErrAbortHandler)
		}
	}))
	defer server.Close()
	rt := outbound.New(outbound.Options{})
	defer rt.CloseIdleConnections()
	try := func(rt http.RoundTripper) (sent, stale bool) {
		var a outbound.Attempt
		r, err := http.NewRequestWithContext(a.Trace(context.Background()), http.MethodPost, server.URL, strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		if res, err := rt.RoundTrip(r); err == nil {
			_ = res.Body.Close()
		}
		return a.Sent(), a.Stale()
	}
	if sent, stale := try(rt); !sent || stale {
		t.Errorf("answered: sent %v, stale %v", sent, stale)
	}
	closes.Store(true)
	if sent, stale := try(rt); !sent || !stale {
		t.Errorf("closed when used again: sent %v, stale %v, want both", sent, stale)
	}
	if sent, stale := try(rt); !sent || stale {
		t.Errorf("closed when new: sent %v, stale %v, want only sent", sent, stale)
	}
	server.Close()
	if sent, stale := try(rt); sent || stale {
		t.Errorf("not there: sent %v, stale %v, want neither", sent, stale)
	}
}
