package app_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// wanted is a request of one of the tests below.
type wanted struct {
	target, method string
	header         []string // "Name: value"
	body           string
}

// ask sends it as it is, over a connection of its own.
func callAs(t *testing.T, base string, w wanted) answer {
	t.Helper()
	conn, err := net.DialTimeout("tcp", base[strings.LastIndexByte(base, '/')+1:], patience)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	text := w.method + " " + w.target + " HTTP/1.1\r\n" + strings.Join(w.header, "\r\n") + "\r\n"
	if w.body != "" {
		text += "Content-Length: " + strconv.Itoa(len(w.body)) + "\r\n"
	}
	if _, err := io.WriteString(conn, text+"\r\n"+w.body); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: w.method})
	if err != nil {
		t.Fatalf("%s %s: %v", w.method, w.target, err)
	}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		_ = res.Body.Close()
		return answer{status: res.StatusCode, header: res.Header}
	}
	return read(t, res)
}

const (
	aSecret = "0123456789abcdef-secret"
	jsonIs  = "Content-Type: application/json"
	aSend   = `{"topic":"a","event":{"data":"b"}}`
)

// internalRequests are of the internal listener, publicRequests of /api/.
var (
	internalRequests = []wanted{
		{target: "/internal/send", method: "POST", header: []string{jsonIs}, body: aSend},
		{target: "/internal/send", method: "POST", header: []string{"Content-Type: application/x-ndjson"}, body: aSend},
		{target: "/internal/send", method: "POST", header: []string{"Content-Type: text/plain"}, body: aSend},
		{target: "/INTERNAL/Send/", method: "POST", header: []string{jsonIs}, body: aSend},
		{target: "/internal/subscribe", method: "POST", header: []string{jsonIs}, body: `{}`},
		{target: "/internal/streams", method: "GET"},
		{target: "/internal/streams", method: "HEAD"},
		{target: "/internal/streams/x", method: "DELETE"},
		{target: "/internal/topics", method: "GET"},
		{target: "/Internal/Topics/", method: "GET"},
		{target: "/internal/topics/a/events", method: "GET"},
		{target: "/internal/topics/a", method: "DELETE"},
		{target: "/internal/openapi.json", method: "GET"},
		{target: "/internal/cluster", method: "GET"},
		{target: "/internal/none", method: "GET"},
		{target: "/metrics", method: "GET"},
		{target: "/METRICS/", method: "GET"},
		{target: "/%6detrics", method: "GET"},
	}
	publicRequests = []wanted{
		{target: "/api/tasks", method: "POST", header: []string{jsonIs}, body: `{"type":"demo_task"}`},
		{target: "/api/tasks", method: "POST", header: []string{"Content-Type: text/plain"}, body: `{"type":"demo_task"}`},
		{target: "/api/tasks", method: "GET"},
		{target: "/api/tasks/x", method: "GET"},
		{target: "/api/tasks/x/cancel", method: "POST"},
		{target: "/api/tasks/x", method: "DELETE"},
		{target: "/api/versions", method: "POST", header: []string{jsonIs}, body: `{"version":"1"}`},
		{target: "/api/version", method: "GET"},
		{target: "/api/none", method: "PUT"},
	}
)

// with adds headers to a request.
func (w wanted) with(header ...string) wanted {
	w.header = append(append([]string{}, w.header...), header...)
	return w
}

func (w wanted) String() string { return fmt.Sprintf("%s %s %q", w.method, w.target, w.header) }

// wantRefused sends each request with headers and wants this status and code.
func wantRefused(t *testing.T, base string, all []wanted, status int, code string, header ...string) {
	t.Helper()
	for _, w := range all {
		w = w.with(header...)
		got := callAs(t, base, w)
		if got.status != status || w.method != "HEAD" && !strings.Contains(got.body, `"code":"`+code+`"`) {
			t.Errorf("%s: %d %.150s, want %d %s", w, got.status, got.body, status, code)
		}
	}
}

// wantLet sends each request with headers and wants that it is not refused.
func wantLet(t *testing.T, base string, all []wanted, header ...string) {
	t.Helper()
	for _, w := range all {
		w = w.with(header...)
		if got := callAs(t, base, w); got.status == 401 || got.status == 403 || got.status == 421 {
			t.Errorf("%s: %d %.150s", w, got.status, got.body)
		}
	}
}

// backendArgs starts a backend alone that asks nothing of callbacks.
var backendArgs = []string{"--mode", "development", "--gateway-url", "http://127.0.0.1:9"}

// places starts every command and gives its listeners with what they serve.
func places(t *testing.T, args ...string) map[string]struct {
	base string
	all  []wanted
} {
	t.Helper()
	serve, gateway := start(t, "serve", args...), start(t, "gateway", args...)
	backend := start(t, "backend", append(backendArgs, args...)...)
	callback := wanted{target: "/api/sse/callback", method: "POST", header: []string{jsonIs}, body: connectBody}
	page := []wanted{{target: "/", method: "GET"}, {target: "/app.js", method: "GET"}, {target: "/none", method: "GET"},
		{target: "/api/sse/tasks?task_id=a", method: "GET"}, {target: "/api/sse/tasks?task_id=a", method: "POST", body: "x"}}
	metrics := []wanted{{target: "/metrics", method: "GET"}, {target: "/Metrics/", method: "GET"}, {target: "/none", method: "GET"}}
	return map[string]struct {
		base string
		all  []wanted
	}{
		"serve":            {serve.Public, append(page, publicRequests...)},
		"serve internal":   {serve.Internal, internalRequests},
		"gateway internal": {gateway.Internal, internalRequests},
		"backend":          {backend.Public, append([]wanted{callback}, publicRequests...)},
		"backend internal": {backend.Internal, metrics},
	}
}
