package app_test

import (
	"crypto/tls"
	"net/http"
	"strings"
	"testing"

	"tidegate/internal/selfsigned"
)

// TestX10NoAnswerIsSniffed, whichever part gives it: the shortcut of sends too,
// which a request takes that is as plain as this one.
func TestX10NoAnswerIsSniffed(t *testing.T) {
	t.Parallel()
	p, b := start(t, "serve"), start(t, "backend", "--mode", "development", "--gateway-url", "http://127.0.0.1:9")
	for name, got := range map[string]answer{
		"page": do(t, "GET", p.Public+"/", ""), "no page": do(t, "GET", p.Public+"/none", ""), "script": do(t, "GET", p.Public+"/api.js", ""),
		"health": do(t, "GET", p.Public+"/healthz", ""), "ready": do(t, "GET", p.Public+"/readyz", ""),
		"tasks": do(t, "GET", p.Public+"/api/tasks", ""), "no task": do(t, "GET", p.Public+"/api/tasks/x", ""), "wrong method": do(t, "PUT", p.Public+"/api/tasks", ""),
		"moved": do(t, "GET", p.Public+"/api//tasks", ""), "callback": do(t, "GET", p.Public+"/api/sse/callback", ""), "refused": do(t, "GET", p.Public+"/api/sse/x", ""),
		"bad JSON": do(t, "POST", p.Public+"/api/tasks", "{"),
		"shortcut": raw(t, p.Internal, "POST", "/internal/send", `{"topic":"a","event":{"data":"x"}}`), "shortcut, error": raw(t, p.Internal, "POST", "/internal/send", "{"),
		"listing": do(t, "GET", p.Internal+"/internal/streams", ""), "metrics": do(t, "GET", p.Internal+"/metrics", ""), "no route": do(t, "GET", p.Internal+"/x", ""),
		"backend": do(t, "GET", b.Public+"/api/tasks", ""), "backend, no route": do(t, "GET", b.Public+"/x", ""), "backend, callback": do(t, "POST", b.Public+"/api/sse/callback", "{"),
		"backend, health": do(t, "GET", b.Public+"/healthz", ""),
	} {
		if strings.Join(got.header.Values("X-Content-Type-Options"), ",") != "nosniff" {
			t.Errorf("%s: %d %v", name, got.status, got.header)
		}
		if got.header.Get("Strict-Transport-Security") != "" {
			t.Errorf("%s: HSTS without TLS", name)
		}
	}
	res := openStream(t, p.Public+"/api/sse/utils/version?request_id=a")
	if res.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("stream: %v", res.Header)
	}
}

func TestX10HSTSIsForTLSAndWhereItIsAskedFor(t *testing.T) {
	t.Parallel()
	files, err := selfsigned.Write(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for given, want := range map[string]string{"": "", "24h": "max-age=86400"} {
		args := []string{"--tls-cert", files.Cert, "--tls-key", files.Key}
		if given != "" {
			args = append(args, "--hsts", given)
		}
		p := start(t, "serve", args...)
		c := client(t)
		c.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: trust(t, files.Cert)}
		for _, path := range []string{"/", "/api/tasks", "/api/tasks/none", "/api/sse/none"} {
			res, err := c.Get(p.Public + path)
			if err != nil {
				t.Fatal(err)
			}
			if got := read(t, res); got.header.Get("Strict-Transport-Security") != want {
				t.Errorf("--hsts %q: %s says %q, want %q", given, path, got.header.Get("Strict-Transport-Security"), want)
			}
		}
		if got := do(t, "GET", p.Internal+"/healthz", ""); got.header.Get("Strict-Transport-Security") != "" {
			t.Error("the internal listener, which has no TLS, says HSTS")
		}
	}
}
