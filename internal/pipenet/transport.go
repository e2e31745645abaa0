// Package pipenet carries HTTP inside one process, without sockets. [Transport] passes
// requests to a handler: gateway and backend use it when they share a process. [Listen]
// is a network of pipes, for tests in a synctest bubble.
package pipenet

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"runtime/debug"
	"strconv"
	"sync"
)

// Transport is an http.RoundTripper that calls a handler directly, so that clients and
// handlers take the same path in one process and in two. It is meant for short
// exchanges: it returns the answer when the handler has returned. It is safe for
// concurrent use once Handler is set.
type Transport struct {
	// Handler answers every request, whatever its host.
	Handler http.Handler
	// Panicked is called with the value of a handler's panic; nil drops it. The caller
	// receives 500, where over a network the connection would break.
	Panicked func(value any, stack []byte)
}

// RoundTrip implements http.RoundTripper. If the request's context ends first,
// it returns the cause at once and the handler, whose context ends too, is left
// to return by itself.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Context().Err() != nil {
		closeBody(r)
		return nil, context.Cause(r.Context())
	}
	if trace := httptrace.ContextClientTrace(r.Context()); trace != nil && trace.WroteRequest != nil {
		trace.WroteRequest(httptrace.WroteRequestInfo{}) // the handler has the whole request at once
	}
	in := serverRequest(r)
	out := &recorder{header: make(http.Header)}
	done := make(chan struct{})
	go func() { // ends with the handler, which has the request's context
		defer close(done)
		defer closeBody(r)
		defer t.recover(out)
		t.Handler.ServeHTTP(out, in)
		out.finish()
	}()
	select {
	case <-done:
		return out.response(r), nil
	case <-r.Context().Done():
		return nil, context.Cause(r.Context())
	}
}

// closeBody closes what a RoundTripper has to close, also on errors.
func closeBody(r *http.Request) {
	if r.Body != nil {
		_ = r.Body.Close()
	}
}

func (t *Transport) recover(out *recorder) {
	value := recover()
	if value == nil {
		return
	}
	if t.Panicked != nil && value != http.ErrAbortHandler {
		t.Panicked(value, debug.Stack())
	}
	out.fail()
}

// serverRequest is r as a server would see it.
func serverRequest(r *http.Request) *http.Request {
	in := r.Clone(r.Context())
	in.Method = cmp.Or(r.Method, http.MethodGet)
	in.Host = cmp.Or(r.Host, r.URL.Host)
	in.RequestURI = r.URL.RequestURI()
	in.RemoteAddr = "in-process"
	in.URL = &url.URL{Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
	switch {
	case in.Body == nil:
		in.Body = http.NoBody
	case in.Body != http.NoBody && in.ContentLength == 0:
		in.ContentLength = -1 // on the client side, 0 with a body means an unknown length
	}
	return in
}

// recorder is the ResponseWriter. Only the handler's goroutine writes to it; it
// is read when that has ended.
type recorder struct {
	mu     sync.Mutex
	header http.Header
	sent   http.Header // as it was at WriteHeader
	status int
	body   bytes.Buffer
}

func (o *recorder) Header() http.Header { return o.header }

func (o *recorder) WriteHeader(status int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.writeHeader(status)
}

func (o *recorder) writeHeader(status int) {
	if o.status == 0 && status >= 200 { // 1xx is no final answer
		o.status, o.sent = status, o.header.Clone()
	}
}

func (o *recorder) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.writeHeader(http.StatusOK)
	return o.body.Write(p)
}

func (o *recorder) finish() { o.WriteHeader(http.StatusOK) }

func (o *recorder) fail() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.status, o.sent = http.StatusInternalServerError, make(http.Header)
	o.body.Reset()
}

func (o *recorder) response(r *http.Request) *http.Response {
	o.mu.Lock()
	defer o.mu.Unlock()
	if r.Method == http.MethodHead || o.status == http.StatusNoContent || o.status == http.StatusNotModified {
		o.body.Reset()
	}
	return &http.Response{
		StatusCode: o.status, Status: strconv.Itoa(o.status) + " " + http.StatusText(o.status),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: o.sent, Body: io.NopCloser(&o.body), ContentLength: int64(o.body.Len()), Request: r,
	}
}
