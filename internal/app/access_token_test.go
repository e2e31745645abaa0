package app_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestX03TheAPIAsksForItsToken(t *testing.T) {
	t.Parallel()
	serve := start(t, "serve", "--api-token", aSecret)
	backend := start(t, "backend", append(backendArgs, "--api-token", aSecret)...)
	streams := []wanted{{target: "/api/sse/tasks?task_id=a", method: "GET"}, {target: "/api/sse/tasks?task_id=a", method: "POST", body: "x"}, {target: "/", method: "GET"}, {target: "/app.js", method: "GET"}}
	for base, all := range map[string][]wanted{serve.Public: append(streams, publicRequests...), backend.Public: publicRequests} {
		for _, h := range []string{"X-None: 1", "Authorization: Bearer wrong", "Authorization: " + aSecret, "Authorization: Bearer " + aSecret + "\r\nAuthorization: Bearer x",
			"Cookie: tidegate_login=" + aSecret, "Cookie: tidegate_login=99999999999.x"} {
			wantRefused(t, base, all, 401, "UNAUTHORIZED", "Host: localhost", h)
		}
		// With a secret the name does not matter.
		wantLet(t, base, all, "Host: app.example.org", "Authorization: Bearer "+aSecret)
	}
	if got := callAs(t, backend.Public, wanted{target: "/api/sse/callback", method: "POST", header: []string{"Host: localhost", jsonIs}, body: "{}"}); got.status != 400 {
		t.Errorf("the callback endpoint asks for the API token: %d %s", got.status, got.body)
	}
}

func TestX03IdentityCountsFromATrustedProxyAlone(t *testing.T) {
	t.Parallel()
	trusted := start(t, "serve", "--auth-header", "X-User", "--trusted-proxy", "127.0.0.1")
	wantLet(t, trusted.Public, publicRequests, "Host: localhost", "X-User: eva")
	wantRefused(t, trusted.Public, publicRequests, 401, "UNAUTHORIZED", "Host: localhost")
	wantRefused(t, trusted.Public, publicRequests, 401, "UNAUTHORIZED", "Host: localhost", "X-User: ")
	wantRefused(t, trusted.Public, publicRequests, 401, "UNAUTHORIZED", "Host: localhost", "X-User: a", "X-User: b")
	wantRefused(t, trusted.Public, publicRequests, 421, "UNKNOWN_HOST", "Host: evil.example", "X-User: eva")
	other := start(t, "serve", "--auth-header", "X-User", "--trusted-proxy", "10.0.0.1")
	wantRefused(t, other.Public, publicRequests, 401, "UNAUTHORIZED", "Host: localhost", "X-User: eva")
}

func TestX04TheMetricsTokenOpensMetricsAlone(t *testing.T) {
	t.Parallel()
	const token = "0123456789abcdef-metrics"
	for name, p := range places(t, "--internal-secret", aSecret, "--metrics-token", token) {
		if !strings.HasSuffix(name, "internal") {
			continue
		}
		for _, w := range p.all {
			got := callAs(t, p.base, w.with("Host: localhost", "Authorization: Bearer "+token))
			if path, _ := url.PathUnescape(strings.ToLower(strings.TrimSuffix(w.target, "/"))); (got.status == 200) != (path == "/metrics") && name != "backend internal" {
				t.Errorf("%s: %s with the metrics token: %d", name, w, got.status)
			}
		}
		wantRefused(t, p.base, p.all, 401, "UNAUTHORIZED", "Host: localhost")
	}
}

func TestX04BackendHasNoMetricsOnItsPublicListener(t *testing.T) {
	t.Parallel()
	p := start(t, "backend", backendArgs...)
	for _, path := range []string{"/metrics", "/metrics/", "/METRICS"} {
		if got := do(t, "GET", p.Public+path, ""); got.status != 404 {
			t.Errorf("%s: %d %.80s, want 404", path, got.status, got.body)
		}
	}
	shared := start(t, "backend", append(backendArgs, "--internal-listen", "shared", "--internal-secret", aSecret)...)
	for _, path := range []string{"/metrics", "/metrics/", "/METRICS"} {
		if got := do(t, "GET", shared.Public+path, ""); got.status != 401 {
			t.Errorf("%s, shared: %d %.80s, want 401", path, got.status, got.body)
		}
	}
}

// Under shared the secret guards the internal routes in any case, and nothing else.
func TestX04SharedGuardsInAnyCase(t *testing.T) {
	t.Parallel()
	p := start(t, "gateway", "--internal-listen", "shared", "--internal-secret", aSecret)
	wantRefused(t, p.Public, internalRequests, 401, "UNAUTHORIZED", "Host: app.example.org")
	for _, path := range []string{"/x", "/internally", "/metrics/x"} {
		if got := callAs(t, p.Public, wanted{target: path, method: "GET", header: []string{"Host: app.example.org"}}); !strings.Contains(got.body, "SERVICE_NOT_CONFIGURED") {
			t.Errorf("%s: %d %s, want a stream that is refused", path, got.status, got.body)
		}
	}
	got := callAs(t, p.Public, wanted{target: "/INTERNAL/send/", method: "POST", header: []string{"Host: app.example.org", jsonIs, "Authorization: Bearer " + aSecret}, body: aSend})
	if got.status != 200 {
		t.Errorf("send in capitals with the secret: %d %s", got.status, got.body)
	}
}

func TestSecretsAreReadAnewOnReload(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secret")
	save := func(text string) {
		if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	save(aSecret)
	hangUp := make(chan os.Signal)
	p := startReloading(t, hangUp, "serve", "--internal-secret", "file:"+path)
	status := func(secret string) int {
		return callAs(t, p.Internal, wanted{target: "/internal/streams", method: "GET", header: []string{"Host: localhost", "Authorization: Bearer " + secret}}).status
	}
	save(aSecret + "-new")
	hangUp <- nil
	eventually(t, "the new secret counts", func() bool { return status(aSecret+"-new") == 200 })
	if status(aSecret) != 401 {
		t.Error("the old secret still counts")
	}
	save("short")
	hangUp <- nil
	eventually(t, "the failure is logged", func() bool { return strings.Contains(p.log.String(), "reload failed") })
	if status(aSecret+"-new") != 200 {
		t.Error("a broken file took the secret away")
	}
}

// The caller is refused before the body is read: it has sent none of it.
func TestX13WhoCallsIsAskedBeforeTheBody(t *testing.T) {
	t.Parallel()
	serve := start(t, "serve", "--api-token", aSecret, "--internal-secret", aSecret)
	backend := start(t, "backend", "--callback-secret", aSecret, "--gateway-url", "http://127.0.0.1:9")
	for base, target := range map[string]string{serve.Public: "/api/tasks", serve.Internal: "/internal/subscribe", backend.Public: "/api/sse/callback?secret=wrong"} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
		_, _ = io.WriteString(conn, "POST "+target+" HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n")
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Errorf("%s: %v, want 401 before the body", target, err)
		} else if got := read(t, res); got.status != 401 {
			t.Errorf("%s: %d, want 401", target, got.status)
		}
		_ = conn.Close()
	}
}
