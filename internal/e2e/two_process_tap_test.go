package e2e

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// tap stands between the two processes, where it can hold back requests and
// lose answers.
type tap struct {
	holds func(body string) bool // whether a request is held back until release; may be nil
	loses func(path string) bool // whether the answer to a request is lost; may be nil

	held     atomic.Int32
	released chan struct{}
	release  func() // lets all through that are held, and all that follow
}

func newTap() *tap {
	p := &tap{released: make(chan struct{})}
	p.release = sync.OnceFunc(func() { close(p.released) })
	return p
}

// holdDisconnects makes a tap that holds back disconnect callbacks.
func holdDisconnects() *tap {
	p := newTap()
	p.holds = func(body string) bool { return strings.HasPrefix(body, `{"action":"disconnect"`) }
	return p
}

// between returns what to put before a target.
func (p *tap) between(t *testing.T) func(target string) string {
	return func(target string) string {
		t.Helper()
		u, err := url.Parse(target)
		if err != nil {
			t.Fatal(err)
		}
		transport := &http.Transport{MaxIdleConnsPerHost: 64}
		proxy := &httputil.ReverseProxy{
			Transport: transport,
			Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(u) },
			ErrorHandler: func(http.ResponseWriter, *http.Request, error) {
				panic(http.ErrAbortHandler) // the connection breaks, as it would without a tap
			},
		}
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.pass(w, r, proxy) }))
		t.Cleanup(func() {
			p.release()
			transport.CloseIdleConnections()
			server.Close()
		})
		return server.URL
	}
}

func (p *tap) pass(w http.ResponseWriter, r *http.Request, next http.Handler) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if p.holds != nil && p.holds(string(body)) {
		p.held.Add(1)
		select {
		case <-p.released:
		case <-r.Context().Done():
			panic(http.ErrAbortHandler)
		}
	}
	if p.loses != nil && p.loses(r.URL.Path) {
		next.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	}
	next.ServeHTTP(w, r)
}
