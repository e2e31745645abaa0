package cors_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tidegate/internal/cors"
)

// ask sends one request through Allow and gives the headers of the answer.
func ask(p *cors.Policy, method string, header ...string) http.Header {
	r := httptest.NewRequest(method, "http://api.test/stream", nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	p.Allow(w, r, "GET, POST, OPTIONS")
	return w.Header()
}

func preflight(p *cors.Policy, origin, headers string) http.Header {
	return ask(p, "OPTIONS", "Origin", origin, "Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", headers)
}

func TestX27PreflightGrantsWhatPagesSend(t *testing.T) {
	t.Parallel()
	p := cors.New(cors.Options{Origins: []string{"https://a.test"}, Headers: []string{"*"}})
	for _, asked := range []string{
		"x-csrf-token", "traceparent", "traceparent,tracestate,x-csrf-token", "authorization", "last-event-id", "x-tenant, X-Own", "content-type",
	} {
		h := preflight(p, "https://a.test", asked)
		for name := range strings.SplitSeq(asked, ",") {
			if got := h.Get("Access-Control-Allow-Headers"); !strings.Contains(got, strings.TrimSpace(name)) {
				t.Errorf("%s is asked for, %q is granted", asked, got)
			}
		}
		if got := strings.Join(h.Values("Vary"), ","); got != "Origin,Access-Control-Request-Headers" {
			t.Errorf("Vary is %q", got)
		}
	}
	h := preflight(p, "https://evil.test", "x-csrf-token")
	if got := h.Get("Access-Control-Allow-Headers") + h.Get("Access-Control-Allow-Origin"); got != "" {
		t.Errorf("another origin is granted %q", got)
	}
}

func TestX27HeadersOfProxiesAreNotGranted(t *testing.T) {
	t.Parallel()
	p := cors.New(cors.Options{Origins: []string{"*"}, Headers: []string{"*"}})
	got := preflight(p, "https://a.test", "x-forwarded-for, X-FORWARDED-User, forwarded,x-real-ip,x-ok").Get("Access-Control-Allow-Headers")
	if got != "x-ok" {
		t.Errorf("granted %q, want x-ok alone", got)
	}
	named := cors.New(cors.Options{Origins: []string{"*"}, Headers: []string{"X-Real-IP", "X-B"}})
	if got := preflight(named, "https://a.test", "x-real-ip,x-c").Get("Access-Control-Allow-Headers"); got != "X-Real-IP, X-B" {
		t.Errorf("granted %q, want the list", got)
	}
}

func TestX27CredentialsAndVary(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		origins                  []string
		origin                   string
		allow, credentials, vary string
	}{
		"all":                    {[]string{"*"}, "https://a.test", "*", "", ""},
		"listed":                 {[]string{"https://a.test"}, "https://a.test", "https://a.test", "true", "Origin"},
		"all, and this one":      {[]string{"*", "https://a.test"}, "https://a.test", "https://a.test", "true", "Origin"},
		"all, and another":       {[]string{"*", "https://a.test"}, "https://b.test", "*", "", "Origin"},
		"usual port":             {[]string{"https://a.test:443"}, "https://a.test", "https://a.test", "true", "Origin"},
		"another port":           {[]string{"https://a.test"}, "https://a.test:8443", "", "", "Origin"},
		"another scheme":         {[]string{"https://a.test"}, "http://a.test", "", "", "Origin"},
		"null":                   {[]string{"https://a.test"}, "null", "", "", "Origin"},
		"null where all are":     {[]string{"*"}, "null", "*", "", ""},
		"none is sent":           {[]string{"https://a.test"}, "", "", "", "Origin"},
		"none is allowed at all": {nil, "https://a.test", "", "", ""},
	}
	for name, tt := range tests {
		p := cors.New(cors.Options{Origins: tt.origins})
		header := []string{"Origin", tt.origin}
		if tt.origin == "" {
			header = nil
		}
		h := ask(p, "GET", header...)
		if got := h.Get("Access-Control-Allow-Origin"); got != tt.allow {
			t.Errorf("%s: allowed is %q, want %q", name, got, tt.allow)
		}
		if got := h.Get("Access-Control-Allow-Credentials"); got != tt.credentials {
			t.Errorf("%s: credentials are %q, want %q", name, got, tt.credentials)
		}
		if got := strings.Join(h.Values("Vary"), ","); got != tt.vary {
			t.Errorf("%s: Vary is %q, want %q", name, got, tt.vary)
		}
		if exposed := h.Get("Access-Control-Expose-Headers"); strings.Contains(exposed, "Retry-After") != (tt.allow != "") {
			t.Errorf("%s: exposed is %q", name, exposed)
		}
	}
}

func TestX28ARefusedOriginIsLoggedOnce(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	p := cors.New(cors.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	for range 3 {
		ask(p, "GET", "Origin", "https://app.test")
		preflight(p, "https://app.test", "x-own")
	}
	if got := strings.Count(log.String(), "\n"); got != 1 || !strings.Contains(log.String(), "--cors-origin https://app.test") {
		t.Errorf("log is %q, want one line that names --cors-origin", log.String())
	}
	if p.Refused() != 6 {
		t.Errorf("%d are counted, want 6", p.Refused())
	}
	log.Reset()
	for name, header := range map[string][]string{
		"own page":           {"Origin", "http://api.test"},
		"own page by a port": {"Origin", "http://api.test:80"},
		"behind TLS":         {"Origin", "https://api.test"},
		"behind a proxy":     {"Origin", "https://front.test", "Sec-Fetch-Site", "same-origin"},
		"by a proxy's word":  {"Origin", "https://front.test", "X-Forwarded-Host", "front.test"},
		"no page":            nil,
	} {
		if ask(p, "POST", header...); log.Len() > 0 {
			t.Errorf("%s is logged: %s", name, log.String())
		}
	}
}

func TestX28WhatIsRememberedOfOriginsIsBounded(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	p := cors.New(cors.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	for i := range 2000 {
		ask(p, "GET", "Origin", fmt.Sprintf("https://%d%s.test", i, strings.Repeat("x", 1000)))
	}
	if got := strings.Count(log.String(), "\n"); got != 257 {
		t.Errorf("%d lines, want 256 and one that says that it is over", got)
	}
	if log.Len() > 257*1200 {
		t.Errorf("%d bytes of log", log.Len())
	}
}

func TestX28AHeaderThatIsNotAllowedIsLoggedOnce(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	p := cors.New(cors.Options{Origins: []string{"https://a.test"}, Headers: []string{"X-A"}, Log: slog.New(slog.NewTextHandler(&log, nil))})
	for range 3 {
		preflight(p, "https://a.test", "x-a,x-b")
		preflight(p, "https://a.test", "X-A")
	}
	if got := strings.Count(log.String(), "\n"); got != 1 || !strings.Contains(log.String(), "--cors-header x-b") {
		t.Errorf("log is %q, want one line that names --cors-header", log.String())
	}
}

func TestNoPolicyAllowsNothing(t *testing.T) {
	t.Parallel()
	if h := ask(nil, "GET", "Origin", "https://a.test"); len(h) != 0 {
		t.Errorf("headers are %v", h)
	}
}

// FuzzPreflight: whatever is asked for, the answer is made of names, bounded,
// and has none of a proxy's.
func FuzzPreflight(f *testing.F) {
	f.Add("https://a.test", "x-csrf-token, traceparent")
	f.Add("null", "x-forwarded-for,,\x00, a b")
	f.Fuzz(func(t *testing.T, origin, asked string) {
		p := cors.New(cors.Options{Origins: []string{"*"}, Headers: []string{"*"}})
		got := preflight(p, origin, asked).Get("Access-Control-Allow-Headers")
		if got == "" {
			return
		}
		list := strings.Split(got, ", ")
		if len(list) > 64 {
			t.Errorf("%d names", len(list))
		}
		for _, name := range list {
			if !cors.IsName(name) || cors.Forwarding(name) {
				t.Errorf("granted %q", name)
			}
		}
	})
}
