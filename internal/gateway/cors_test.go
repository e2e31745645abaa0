package gateway_test

import (
	"maps"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"tidegate/internal/cors"
	"tidegate/internal/gateway"
)

// corsHeaders picks what a browser looks at.
func corsHeaders(h http.Header) map[string]string {
	found := map[string]string{}
	for _, name := range []string{
		"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Allow-Methods",
		"Access-Control-Allow-Headers", "Access-Control-Max-Age", "Vary",
	} {
		if value := h.Get(name); value != "" {
			found[name] = value
		}
	}
	return found
}

func TestCORS(t *testing.T) {
	t.Parallel()
	const methods, headers = "GET, POST, OPTIONS", "Authorization, X-Own"
	preflight := map[string]string{"Access-Control-Allow-Methods": methods, "Access-Control-Allow-Headers": headers, "Access-Control-Max-Age": "600"}
	with := func(base map[string]string, more ...string) map[string]string {
		all := map[string]string{}
		maps.Copy(all, base)
		for i := 0; i < len(more); i += 2 {
			all[more[i]] = more[i+1]
		}
		return all
	}
	none := map[string]string{}
	a := []string{"https://a.test", "https://b.test"}
	tests := []struct {
		name           string
		allowed        []string
		method, origin string
		want           map[string]string
	}{
		{"off by default", nil, "GET", "https://a.test", none},
		{"off, preflight", nil, "OPTIONS", "https://a.test", none},
		{"listed", a, "GET", "https://a.test", map[string]string{"Access-Control-Allow-Origin": "https://a.test", "Access-Control-Allow-Credentials": "true", "Vary": "Origin"}},
		{"second listed", a, "POST", "https://b.test", map[string]string{"Access-Control-Allow-Origin": "https://b.test", "Access-Control-Allow-Credentials": "true", "Vary": "Origin"}},
		{"listed, preflight", a, "OPTIONS", "https://a.test", with(preflight, "Access-Control-Allow-Origin", "https://a.test", "Access-Control-Allow-Credentials", "true", "Vary", "Origin")},
		{"another origin", a, "GET", "https://evil.test", map[string]string{"Vary": "Origin"}},
		{"another origin, preflight", a, "OPTIONS", "https://evil.test", map[string]string{"Vary": "Origin"}},
		{"an origin that contains one", a, "GET", "https://a.test.evil.test", map[string]string{"Vary": "Origin"}},
		{"no origin", a, "GET", "", map[string]string{"Vary": "Origin"}},
		{"all", []string{"*"}, "GET", "https://any.test", map[string]string{"Access-Control-Allow-Origin": "*"}},
		{"all, preflight", []string{"*"}, "OPTIONS", "https://any.test", with(preflight, "Access-Control-Allow-Origin", "*")},
	}
	for _, tt := range tests {
		r := setup(t, sockets, func(o *gateway.Options) {
			o.CORS = cors.New(cors.Options{Origins: tt.allowed, Headers: []string{"Authorization", "X-Own"}})
		})
		r.backend.connects(http.StatusForbidden) // a refusal ends by itself, and pages must be able to read it too
		var header []string
		if tt.origin != "" {
			header = []string{"Origin", tt.origin}
		}
		got := r.public(tt.method, "/x", "", header...)
		if tt.method == http.MethodOptions && (got.Status != 204 || got.Header.Get("Allow") != methods || got.Body != "") {
			t.Errorf("%s: %d, Allow %q, body %q, want 204 with %q", tt.name, got.Status, got.Header.Get("Allow"), got.Body, methods)
		}
		if diff := cmp.Diff(tt.want, corsHeaders(got.Header)); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", tt.name, diff)
		}
	}
}

// TestNoCORSOnOtherRoutes: pages of other origins have no business there.
func TestNoCORSOnOtherRoutes(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, func(o *gateway.Options) { o.CORS = cors.New(cors.Options{Origins: []string{"*"}}) })
	for _, path := range []string{"/internal/send", "/internal/streams", "/metrics", "/healthz", "/readyz"} {
		for _, method := range []string{"GET", "POST", "OPTIONS"} {
			for name, got := range map[string]reply{
				"internal": r.call(method, path, "application/json", "{}", "Origin", "https://a.test", "Access-Control-Request-Method", "POST"),
				"public":   r.public(method, path, "", "Origin", "https://a.test", "Access-Control-Request-Method", "POST"),
			} {
				if found := corsHeaders(got.Header); len(found) != 0 && !(path == "/metrics" && got.Status == 200) {
					t.Errorf("%s %s on the %s listener says %v", method, path, name, found)
				}
			}
		}
	}
}
