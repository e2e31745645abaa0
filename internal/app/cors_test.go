package app_test

import (
	"net/http"
	"strings"
	"testing"
)

// fetch does a request as a page of origin would.
func fetch(t *testing.T, method, url, origin string, header ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Origin", origin)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := client(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return read(t, res)
}

func TestX27PagesOfAnotherOriginUseTheAPI(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"serve", "backend"} {
		args := []string{"--cors-origin", "https://a.test", "--cors-origin", "https://b.test"}
		if command == "backend" {
			args = append(args, "--mode", "development", "--gateway-url", "http://127.0.0.1:9")
		}
		p := start(t, command, args...)
		for path, method := range map[string]string{
			"/api/tasks": "POST", "/api/tasks/x": "DELETE", "/api/tasks/x/cancel": "POST", "/api/version": "GET", "/api/sse/tasks?task_id=x": "GET",
		} {
			got := fetch(t, "OPTIONS", p.Public+path, "https://b.test", "Access-Control-Request-Method", method,
				"Access-Control-Request-Headers", "content-type,x-csrf-token,traceparent")
			h := got.header
			if got.status != 204 || h.Get("Access-Control-Allow-Origin") != "https://b.test" || h.Get("Access-Control-Allow-Credentials") != "true" ||
				!strings.Contains(h.Get("Access-Control-Allow-Methods"), method) || h.Get("Access-Control-Allow-Headers") != "content-type,x-csrf-token,traceparent" &&
				h.Get("Access-Control-Allow-Headers") != "content-type, x-csrf-token, traceparent" {
				t.Errorf("%s: preflight of %s: %d %v", command, path, got.status, h)
			}
			if got := fetch(t, "OPTIONS", p.Public+path, "https://evil.test", "Access-Control-Request-Method", method); got.header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s: another origin may use %s", command, path)
			}
		}
		// Errors can be read, too, and what they say of when to come again.
		for path, status := range map[string]int{"/api/tasks/none": 404, "/api/nothing": 404} {
			got := fetch(t, "GET", p.Public+path, "https://a.test")
			if got.status != status || got.header.Get("Access-Control-Allow-Origin") != "https://a.test" ||
				!strings.Contains(got.header.Get("Access-Control-Expose-Headers"), "Retry-After") {
				t.Errorf("%s: %s: %d %v", command, path, got.status, got.header)
			}
		}
	}
}

func TestX27NoOtherRouteIsForPages(t *testing.T) {
	t.Parallel()
	p := start(t, "serve", "--cors-origin", "*")
	for _, url := range []string{p.Public + "/", p.Public + "/healthz", p.Public + "/api/sse/callback", p.Internal + "/internal/streams", p.Internal + "/metrics"} {
		for _, method := range []string{"GET", "OPTIONS"} {
			if got := fetch(t, method, url, "https://a.test", "Access-Control-Request-Method", "GET"); got.header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s %s is for pages of other origins", method, url)
			}
		}
	}
}

// TestX27AStreamsErrorsCanBeRead by pages under both commands, on every path of a gateway.
func TestX27AStreamsErrorsCanBeRead(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"serve", "gateway"} {
		p := start(t, command, "--cors-origin", "https://a.test")
		path := map[string]string{"serve": "/api/sse/nothing", "gateway": "/any/path"}[command]
		for _, method := range []string{"GET", "POST", "PUT"} {
			got := fetch(t, method, p.Public+path, "https://a.test")
			if got.status < 400 || got.header.Get("Access-Control-Allow-Origin") != "https://a.test" ||
				!strings.Contains(got.header.Get("Access-Control-Expose-Headers"), "Retry-After") || got.header.Get("Vary") != "Origin" {
				t.Errorf("%s: %s %s: %d %v", command, method, path, got.status, got.header)
			}
		}
	}
}

func TestX28TheLogNamesTheFlag(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"serve", "gateway"} {
		p := start(t, command)
		for range 2 {
			fetch(t, "POST", p.Public+"/api/tasks", "https://app.test")
			fetch(t, "GET", p.Public+"/api/tasks", "https://app.test")
			fetch(t, "GET", p.Public+"/api/sse/tasks?task_id=x", "https://app.test")
			fetch(t, "OPTIONS", p.Public+"/api/sse/tasks?task_id=x", "https://app.test", "Access-Control-Request-Method", "GET")
		}
		if got := strings.Count(p.log.String(), "--cors-origin https://app.test"); got != 1 {
			t.Errorf("%s: %d lines name --cors-origin, want 1:\n%s", command, got, p.log.String())
		}
	}
}
