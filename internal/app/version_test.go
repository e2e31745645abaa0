package app_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tidegate/internal/version"
)

// TestEveryProcessSaysWhichBuildItIs: in its metrics, and to the backend.
func TestEveryProcessSaysWhichBuildItIs(t *testing.T) {
	t.Parallel()
	agents := make(chan string, 1)
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case agents <- r.UserAgent():
		default: // the disconnect
		}
		w.WriteHeader(http.StatusForbidden)
	}))
	defer backend.Close()
	gateway := start(t, "gateway", "--callback-url", backend.URL, "--internal-listen", "127.0.0.1:0")
	do(t, "GET", gateway.Public+"/stream", "")
	if got := <-agents; got != version.UserAgent() {
		t.Errorf("a callback has User-Agent %q, want %q", got, version.UserAgent())
	}
	places := map[string]*program{"gateway": gateway, "serve": start(t, "serve"),
		"backend": start(t, "backend", "--mode", "development", "--gateway-url", gateway.Internal, "--internal-listen", "127.0.0.1:0")}
	want := `,version="` + version.Get().Version + `"} 1`
	for command, p := range places {
		text := do(t, "GET", p.Internal+"/metrics", "").body
		if _, rest, _ := strings.Cut(text, "\ntidegate_build_info{"); !strings.Contains(strings.SplitN(rest, "\n", 2)[0], want) {
			t.Errorf("metrics of %s lack tidegate_build_info with %s", command, want)
		}
	}
}
