package backend

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tidegate/internal/wire"
)

// post sends a callback to target with a signature.
func postSigned(h http.Handler, method, target, body, signature string) int {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(wire.SignatureHeader, signature)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}

func TestX10ACallbackIsGoodAtItsOwnTargetOnly(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Mode = Production })
	body := string(encode(wire.Callback{Action: wire.Connect, Token: "t", Request: wire.Request{URL: versionURL}}))
	signed := wire.Signed{Method: "POST", Target: "/api/sse/callback", Body: []byte(body)}
	signature := wire.Sign([]byte(secret), signed, time.Now())
	for target, want := range map[string]int{"/api/sse/callback": 200, "/api/sse/callback?a=b": 401, "/api/sse/callback/": 401, "/other": 401} {
		if got := postSigned(b.Callback(), "POST", target, body, signature); got != want {
			t.Errorf("at %s: %d, want %d", target, got, want)
		}
	}
	v1, _, _ := strings.Cut(signature, ",v2=")
	if got := postSigned(b.Callback(), "POST", "/api/sse/callback", body, v1); got != 200 {
		t.Errorf("of a gateway of the version before: %d, want 200", got)
	}
	if got := postSigned(b.Callback(), "POST", "/api/sse/callback", body, v1+",v2="+strings.Repeat("0", 64)); got != 401 {
		t.Errorf("right v1 beside a wrong v2: %d, want 401", got)
	}
}

// TestX10AReplayChangesNothing: whoever has seen a callback can send it again
// for five minutes, to the same place. Each is made so that a second one has no
// effect, which retries of the gateway need as well.
func TestX10AReplayChangesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Mode = Production })
	sign := func(c wire.Callback) (body, signature string) {
		body = string(encode(c))
		return body, wire.Sign([]byte(secret), wire.Signed{Method: "POST", Target: "/api/sse/callback", Body: []byte(body)}, time.Now())
	}
	connect := wire.Callback{Action: wire.Connect, Token: "t", Request: wire.Request{URL: versionURL}}
	disconnect := wire.Callback{Action: wire.Disconnect, Reason: wire.ClientClosed, Token: "t", Request: wire.Request{URL: versionURL}}
	for _, c := range []wire.Callback{connect, connect, disconnect, disconnect, connect, disconnect} {
		body, signature := sign(c)
		if got := postSigned(b.Callback(), "POST", "/api/sse/callback", body, signature); got != 200 {
			t.Errorf("%s: %d, want 200", c.Action, got)
		}
	}
	if got := b.metric(t, "tidegate_backend_disconnects_total", "client_closed"); got != 1 {
		t.Errorf("%v disconnects are counted, want 1", got)
	}
}

// TestX13WhoDoesNotKnowTheSecretIsNotRead: neither a wrong secret nor a signature
// that is none gets a body read.
func TestX13WhoDoesNotKnowTheSecretIsNotRead(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Mode = Production })
	for target, signature := range map[string]string{
		"/api/sse/callback": "", "/api/sse/callback?secret=wrong": "", "/api/sse/callback?a=1": "t=1,v1=" + strings.Repeat("0", 64),
	} {
		body := &countingReader{}
		r := httptest.NewRequest("POST", target, body)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set(wire.SignatureHeader, signature)
		w := httptest.NewRecorder()
		if b.Callback().ServeHTTP(w, r); w.Code != 401 || body.read > 0 {
			t.Errorf("%s: %d after %d bytes, want 401 after none", target, w.Code, body.read)
		}
	}
}

// countingReader is a body without an end.
type countingReader struct{ read int }

func (c *countingReader) Read(p []byte) (int, error) {
	c.read += len(p)
	return len(p), nil
}
