package gateway_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	receiver "tidegate/client"
	"tidegate/internal/gateway"
	"tidegate/internal/wire"
)

// TestCallbackPayloadByteForByte: the order of fields is that of the replaced
// system, and what came is reported as it came.
func TestCallbackPayloadByteForByte(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	c, _ := r.accepted("/api/sse/tasks?task_id=a&b=<c>%20d", "X-A: 1")
	c.leave()
	disconnect := r.backend.next(wire.Disconnect)
	request := fmt.Sprintf(`"request":{"url":"/api/sse/tasks?task_id=a&b=<c>%%20d","headers":{"host":"tidegate.test","x-a":"1"},`+
		`"method":"GET","remote_addr":%q}`, disconnect.Request.RemoteAddr)
	want := fmt.Sprintf(`{"action":"disconnect","reason":"client_closed","token":%q,%s,"duration_ms":%d,"gateway":%q}`,
		disconnect.Token, request, *disconnect.DurationMS, disconnect.Gateway)
	if disconnect.Raw != want {
		t.Errorf("disconnect\n got %s\nwant %s", disconnect.Raw, want)
	}

	c = r.open("/api/sse/tasks?task_id=a&b=<c>%20d", "X-A: 1")
	connect := r.backend.next(wire.Connect)
	request = strings.Replace(request, disconnect.Request.RemoteAddr, connect.Request.RemoteAddr, 1)
	if want := fmt.Sprintf(`{"action":"connect","token":%q,%s,"gateway":%q}`, connect.Token, request, connect.Gateway); connect.Raw != want {
		t.Errorf("connect\n got %s\nwant %s", connect.Raw, want)
	}
	if connect.RemoteAddr() != c.conn.LocalAddr().String() {
		t.Errorf("remote_addr %q, want %q", connect.RemoteAddr(), c.conn.LocalAddr())
	}
	if connect.Gateway != disconnect.Gateway || len(connect.Gateway) != 8 {
		t.Errorf("gateway ids %q and %q, want one of 8 characters", connect.Gateway, disconnect.Gateway)
	}
}

// RemoteAddr is short for the client's address.
func (cb callback) RemoteAddr() string { return cb.Request.RemoteAddr }

func TestCallbackIsAPlainPost(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	r.open("/x")
	cb := r.backend.next(wire.Connect)
	if cb.Method != http.MethodPost || cb.Target != "/api/sse/callback?secret=s3cret" {
		t.Errorf("callback is %s %s, want a POST to the callback URL with its secret", cb.Method, cb.Target)
	}
	if kind := cb.Header.Get("Content-Type"); kind != "application/json" {
		t.Errorf("Content-Type %q, want application/json", kind)
	}
	if cb.Header.Get(wire.SignatureHeader) != "" {
		t.Error("callback is signed though there is no key")
	}
}

func TestTargetIsReportedByteForByte(t *testing.T) {
	t.Parallel()
	targets := []string{
		"/",
		"/api/sse/tasks?task_id=1",
		"//x//y/",
		"/a/../b/./c",
		"/a%2Fb%2fc",
		"/%zz?%", // not an escape: the path is the backend's to judge
		"/x?q=%zz&r=%",
		"/x#fragment",
		"/x?a=1&a=2&b",
		"/x?",
		"/x?a=%00%0d%0A",
		"/ünï",
		"/x;y=1,2'!$&()*+",
		`/x?a="b"\c`,
		"http://other.test:81/absolute/../form?x=1",
		"/" + strings.Repeat("long/", 1000),
	}
	for _, target := range targets {
		r := setup(t, sockets, nil)
		c := r.open(target)
		if strings.HasPrefix(target, "/%zz") {
			if got := c.response().StatusCode; got != http.StatusBadRequest {
				t.Errorf("target %q: %d, want 400: no HTTP server can read it", target, got)
			}
			continue
		}
		if got := r.backend.next(wire.Connect).Request.URL; got != target {
			t.Errorf("target %q becomes %q", target, got)
		}
	}
}

func TestHeadersAreReported(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		lines []string
		want  map[string]string
	}{
		{"lower case", []string{"X-UPPER: A", "x-lower: b"}, map[string]string{"x-upper": "A", "x-lower": "b"}},
		{"repeats join", []string{"X-A: 1", "x-a: 2", "X-A: 3, 4"}, map[string]string{"x-a": "1, 2, 3, 4"}},
		{"cookies join", []string{"Cookie: a=1; b=2", "Cookie: c=3"}, map[string]string{"cookie": "a=1; b=2; c=3"}},
		{"set-cookie is a string", []string{"Set-Cookie: a=1"}, map[string]string{"set-cookie": "a=1"}},
		{"set-cookies join", []string{"Set-Cookie: a=1", "Set-Cookie: b=2"}, map[string]string{"set-cookie": "a=1, b=2"}},
		{"empty stays", []string{"X-Empty:"}, map[string]string{"x-empty": ""}},
		{"blanks go", []string{"X-Pad:  \t padded \t"}, map[string]string{"x-pad": "padded"}},
		{"all are reported", []string{"Authorization: Bearer t", "Last-Event-ID: 7", "Accept-Encoding: gzip", "Accept: text/event-stream", "Connection: keep-alive"},
			map[string]string{"authorization": "Bearer t", "last-event-id": "7", "accept-encoding": "gzip", "accept": "text/event-stream", "connection": "keep-alive"}},
		{"names that look like ours", []string{"Token: x", "X-Tidegate-Signature: forged"}, map[string]string{"token": "x", "x-tidegate-signature": "forged"}},
		{"not ASCII", []string{"X-Name: zażółć"}, map[string]string{"x-name": "zażółć"}},
		{"not JSON", []string{`X-J: {"a":"\u0000"}`}, map[string]string{"x-j": `{"a":"\u0000"}`}},
	}
	for _, tt := range tests {
		r := setup(t, sockets, nil)
		c := r.open("/x", tt.lines...)
		connect := r.backend.next(wire.Connect)
		tt.want["host"] = "tidegate.test"
		if diff := cmp.Diff(tt.want, connect.Request.Headers); diff != "" {
			t.Errorf("%s: headers (-want +got)\n%s", tt.name, diff)
		}
		c.response()
		c.leave()
		if diff := cmp.Diff(connect.Request, r.backend.next(wire.Disconnect).Request); diff != "" {
			t.Errorf("%s: the disconnect has another request (-connect +disconnect)\n%s", tt.name, diff)
		}
	}
}

func TestMethodAndHostAreReported(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	r.connect("POST /x HTTP/1.1\r\nHost: a.test:8080\r\nContent-Length: 2\r\n\r\nhi")
	cb := r.backend.next(wire.Connect)
	if cb.Request.Method != "POST" || cb.Request.Headers["host"] != "a.test:8080" || cb.Request.Headers["content-length"] != "2" {
		t.Errorf("reported: %+v, want POST, host and content-length", cb.Request)
	}
}

func TestCallbacksAreSigned(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, func(o *gateway.Options) { o.CallbackSecrets = secretsOf(t, callbackKey) })
	c, _ := r.accepted("/x")
	c.leave()
	cb := r.backend.next(wire.Disconnect)
	signature := cb.Header.Get(wire.SignatureHeader)
	if err := receiver.Verify(callbackKey, receiver.Signed{Method: cb.Method, Target: cb.Target, Body: []byte(cb.Raw)}, signature, time.Now()); err != nil {
		t.Errorf("signature %q: %v", signature, err)
	}
	if err := receiver.Verify("other", receiver.Signed{Method: cb.Method, Target: cb.Target, Body: []byte(cb.Raw)}, signature, time.Now()); err == nil {
		t.Error("the signature fits another key too")
	}
	if err := receiver.Verify(callbackKey, receiver.Signed{Method: cb.Method, Target: cb.Target, Body: []byte(cb.Raw + " ")}, signature, time.Now()); err == nil {
		t.Error("the signature fits another body too")
	}
}

func TestTokensAreNeverReused(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	seen := map[string]bool{}
	for range 100 {
		c, token := r.accepted("/x")
		if seen[token] || len(token) < 22 || strings.Trim(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			t.Fatalf("token %q: seen before: %v; want 128 bits, URL-safe", token, seen[token])
		}
		seen[token] = true
		c.leave()
		r.backend.next(wire.Disconnect)
	}
}
