package app_test

import (
	"net/http"
	"strings"
	"testing"
)

// connectBody is a callback that the endpoint would accept.
const connectBody = `{"action":"connect","token":"abc","request":{"url":"/api/sse/tasks?task_id=a","headers":{}}}`

func TestCallbackEndpointIsNotOnThePublicListenerOfServe(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"production", "testing"} {
		p := start(t, "serve", "--mode", mode)
		for target, want := range map[string]int{
			"/api/sse/callback":                 http.StatusNotFound,
			"/api/sse/callback/":                http.StatusNotFound,
			"/api/sse/callback//":               http.StatusNotFound,
			"/api/sse/callback?secret=x":        http.StatusNotFound,
			"/api/sse/%63allback":               http.StatusNotFound,
			"/api/sse/callback%2F":              http.StatusNotFound,
			"http://somewhere/api/sse/callback": http.StatusNotFound,
			// No route, or a stream that the backend refuses.
			"/api/sse//callback":     http.StatusBadRequest,
			"/api/sse/./callback":    http.StatusBadRequest,
			"/api/sse/x/../callback": http.StatusBadRequest,
			"/api/sse/callback/x":    http.StatusBadRequest,
			"/api/sse/callback;x":    http.StatusBadRequest,
			"/api/sse/CALLBACK":      http.StatusBadRequest,
			"/api/sse%2Fcallback":    http.StatusNotFound,
			"/API/sse/callback":      http.StatusNotFound,
			"/api/callback":          http.StatusNotFound,
			"/callback":              http.StatusNotFound,
			"//api/sse/callback":     http.StatusTemporaryRedirect,
			"/x/../api/sse/callback": http.StatusTemporaryRedirect,
			"/api//sse/callback":     http.StatusTemporaryRedirect,
		} {
			got := raw(t, p.Public, "POST", target, connectBody)
			if got.status != want {
				t.Errorf("mode %s: POST %s: %d %q, want %d", mode, target, got.status, got.body, want)
			}
			if got.body == "{}" {
				t.Errorf("mode %s: POST %s answers as the callback endpoint", mode, target)
			}
		}
	}
}

// net/http's mux would redirect, or clean, targets that are the backend's to judge.
func TestTargetsOfStreamsReachTheBackendAsTheyAre(t *testing.T) {
	t.Parallel()
	p := start(t, "serve")
	for _, target := range []string{
		"/api/sse//tasks?task_id=a",
		"/api/sse/./tasks?task_id=a",
		"/api/sse/x/../tasks?task_id=a",
		"/api/sse/x%2Ftasks?task_id=a",
		"/api/sse/tasks%2F?task_id=a",
		"/api/sse/",
		"/api/sse/tasks//?task_id=a",
		"/api/sse/tasksX?task_id=a",
	} {
		got := raw(t, p.Public, "GET", target, "")
		if got.status != http.StatusBadRequest || !strings.Contains(got.body, `"BACKEND_ERROR"`) || got.header.Get("Location") != "" {
			t.Errorf("GET %s: %d %s, want the backend's refusal", target, got.status, got.body)
		}
		if !strings.Contains(p.log.String(), "url="+quoted(target)) {
			t.Errorf("the backend was not asked about %s as it is", target)
		}
	}
	for _, target := range []string{
		"/api/sse/tasks?task_id=a",
		"/api/sse/tasks/?task_id=a",
		"/api/sse/t%61sks?task%5Fid=a",
		"http://elsewhere.localhost/api/sse/tasks?task_id=a",
	} {
		got := raw(t, p.Public, "GET", target, "")
		if got.status != http.StatusOK || got.header.Get("Content-Type") != "text/event-stream" || !strings.Contains(got.body, "Task not found") {
			t.Errorf("GET %s: %d %s, want a stream", target, got.status, got.body)
		}
	}
}

// quoted is a value as the text log shows it.
func quoted(target string) string {
	if strings.ContainsAny(target, `=" `) {
		return `"` + target + `"`
	}
	return target
}

func TestInternalRoutesAreNotOnThePublicListener(t *testing.T) {
	t.Parallel()
	paths := []string{"/internal/send", "/internal/streams", "/internal/topics", "/internal/openapi.json", "/internal/", "/metrics"}
	for _, command := range []string{"serve", "gateway"} {
		p := start(t, command)
		for _, path := range paths {
			for _, method := range []string{"GET", "POST"} {
				got := raw(t, p.Public, method, path, `{"topic":"a","event":{"data":"b"}}`)
				if got.status != http.StatusNotFound {
					t.Errorf("%s: %s %s on the public listener: %d %s, want 404", command, method, path, got.status, got.body)
				}
			}
		}
		if got := raw(t, p.Public, "POST", "//internal/send", `{"topic":"a","event":{"data":"b"}}`); got.status == http.StatusOK {
			t.Errorf("%s: POST //internal/send: %d %s", command, got.status, got.body)
		}
		if got := do(t, "POST", p.Internal+"/internal/send", `{"topic":"a","event":{"data":"b"}}`); got.status != http.StatusOK {
			t.Errorf("%s: send on the internal listener: %d %s", command, got.status, got.body)
		}
	}
}

func TestSharedPutsTheInternalRoutesOnThePublicListener(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"serve", "gateway"} {
		p := start(t, command, "--internal-listen", "shared", "--internal-secret", "0123456789s3cret")
		if p.Internal != "" {
			t.Errorf("%s: there is an internal listener at %s", command, p.Internal)
		}
		for _, path := range []string{"/internal/streams", "/internal/openapi.json", "/metrics"} {
			if got := do(t, "GET", p.Public+path, ""); got.status != http.StatusUnauthorized {
				t.Errorf("%s: GET %s without the secret: %d", command, path, got.status)
			}
			r, err := http.NewRequestWithContext(t.Context(), "GET", p.Public+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer 0123456789s3cret")
			res, err := client(t).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			if got := read(t, res); got.status != http.StatusOK {
				t.Errorf("%s: GET %s with the secret: %d %s", command, path, got.status, got.body)
			}
		}
	}
}

func TestServeAnswersForAllItsParts(t *testing.T) {
	t.Parallel()
	p := start(t, "serve")
	eventually(t, "readyz is 200", func() bool { return do(t, "GET", p.Public+"/readyz", "").status == http.StatusOK })
	for _, c := range []struct {
		method, path, want string
		status             int
	}{
		{"GET", "/healthz", `{"status":"ok"}`, http.StatusOK},
		{"GET", "/readyz", `{"status":"ready","configured":true}`, http.StatusOK},
		{"GET", "/", "<!doctype html>", http.StatusOK},
		{"GET", "/api/tasks", `{"tasks":[]}`, http.StatusOK},
		{"GET", "/api/version", `{"error":"No version known"}`, http.StatusNotFound},
		{"GET", "/api/sse", `{"error":"Not found"}`, http.StatusNotFound},
		{"GET", "/api/nothing", `{"error":"Not found"}`, http.StatusNotFound},
		{"GET", "/nothing", "404", http.StatusNotFound},
		{"HEAD", "/api/sse/tasks?task_id=a", "", http.StatusMethodNotAllowed},
	} {
		got := do(t, c.method, p.Public+c.path, "")
		if got.status != c.status || !strings.HasPrefix(strings.ToLower(got.body), strings.ToLower(c.want)) {
			t.Errorf("%s %s: %d %.80q, want %d %q", c.method, c.path, got.status, got.body, c.status, c.want)
		}
	}
	if got := do(t, "GET", p.Internal+"/metrics", ""); !strings.Contains(got.body, "tidegate_streams ") || !strings.Contains(got.body, "tidegate_tasks{") {
		t.Error("/metrics lacks the gateway's or the backend's metrics")
	}
}

func TestBackendAloneHasItsOwnRoutes(t *testing.T) {
	t.Parallel()
	p := start(t, "backend", "--callback-secret", "s3cret-of-callbacks", "--gateway-url", "http://127.0.0.1:9")
	for _, c := range []struct {
		method, path, want string
		status             int
	}{
		{"GET", "/healthz", `{"status":"ok"}`, http.StatusOK},
		{"GET", "/readyz", `{"status":"not_ready","configured":true,"reasons":[`, http.StatusServiceUnavailable},
		{"GET", "/api/tasks", `{"tasks":[]}`, http.StatusOK},
		{"POST", "/api/sse/callback", `{"error":"Unauthorized"}`, http.StatusUnauthorized},
		{"POST", "/api/sse/callback?secret=s3cret-of-callbacks", `{"error":"Missing JSON body"}`, http.StatusBadRequest},
		{"GET", "/", "404", http.StatusNotFound},
	} {
		got := do(t, c.method, p.Public+c.path, "")
		if got.status != c.status || !strings.HasPrefix(got.body, c.want) {
			t.Errorf("%s %s: %d %q, want %d %q", c.method, c.path, got.status, got.body, c.status, c.want)
		}
	}
	disconnect := `{"action":"disconnect","reason":"client_closed","token":"abc","request":{"url":"/api/sse/tasks?task_id=a"}}`
	if got := do(t, "POST", p.Public+"/api/sse/callback?secret=s3cret-of-callbacks", disconnect); got.status != http.StatusOK || got.body != "{}" {
		t.Errorf("disconnect callback: %d %q, want 200 {}", got.status, got.body)
	}
	if got := do(t, "GET", p.Internal+"/metrics", ""); !strings.Contains(got.body, "tidegate_backend_disconnects_total{") {
		t.Error("/metrics lacks the backend's metrics")
	}
}

func TestMetricsTellOfStorage(t *testing.T) {
	t.Parallel()
	p := start(t, "serve")
	do(t, "POST", p.Internal+"/internal/send", `{"topic":"a","event":{"data":"x"}}`)
	text := do(t, "GET", p.Internal+"/metrics", "").body
	for _, want := range []string{
		"tidegate_storage_ready 1", "tidegate_log_appends_total 1", "tidegate_log_applied_total 1", "tidegate_log_connected 1",
		"tidegate_nodes 1", "tidegate_session_records_written_total 0",
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("metrics lack %q", want)
		}
	}
}
