package gateway_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/internal/gateway"
)

// TestAPanicLeavesNobodyInside: a request for a stream that panics, wherever it
// is, is not waited for when the gateway stops.
func TestAPanicLeavesNobodyInside(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		url   string // of the callback
		state int    // of its answer
		body  io.Reader
	}{
		{"a body that panics", callbackURL, 200, panicking{}},
		{"a body that breaks off", callbackURL, 200, io.MultiReader(strings.NewReader("x"), failing{})},
		{"an answer without a backend", "", 200, http.NoBody},
		{"an answer of the backend", callbackURL, 403, http.NoBody},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := setup(t, pipes, func(o *gateway.Options) { o.CallbackURL = tt.url })
			r.backend.connects(tt.state)
			request := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/x", tt.body)
			if !panics(func() { r.gateway.Streams(panickingWriter{httptest.NewRecorder()}, request) }) {
				t.Errorf("%s: no panic, so this tests nothing", tt.name)
			}
			begin := time.Now()
			r.halt()
			if took := time.Since(begin); took > time.Second {
				t.Errorf("%s: the stop took %v", tt.name, took)
			}
		})
	}
}

func panics(do func()) (so bool) {
	defer func() { so = recover() != nil }()
	do()
	return false
}

type panicking struct{}

func (panicking) Read([]byte) (int, error) { panic("read") }

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// panickingWriter is a response that cannot be answered with.
type panickingWriter struct{ *httptest.ResponseRecorder }

func (panickingWriter) WriteHeader(int) { panic("write") }
