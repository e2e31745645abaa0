package app_test

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
)

// browser follows no redirects and keeps cookies.
func browser(t *testing.T) *http.Client {
	t.Helper()
	c := client(t)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c.Jar = jar
	return c
}

func TestX03LoginOfThePage(t *testing.T) {
	t.Parallel()
	p := start(t, "serve", "--api-token", aSecret)
	c := browser(t)
	get := func(path string) answer {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "GET", p.Public+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", "text/html,*/*")
		res, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		return read(t, res)
	}
	post := func(path, token string) answer {
		t.Helper()
		res, err := c.PostForm(p.Public+path, url.Values{"token": {token}})
		if err != nil {
			t.Fatal(err)
		}
		return read(t, res)
	}
	if got := get("/"); got.status != 303 || got.header.Get("Location") != "/login" {
		t.Fatalf("the page without a login: %d to %q, want 303 to /login", got.status, got.header.Get("Location"))
	}
	if got := get("/login"); got.status != 200 || !strings.Contains(got.body, `name="token"`) || get("/style.css").status != 200 {
		t.Errorf("the form: %d %.100s", got.status, got.body)
	}
	if got := post("/login", "wrong"); got.status != 401 || len(got.header["Set-Cookie"]) != 0 {
		t.Errorf("a wrong token: %d, cookies %q", got.status, got.header["Set-Cookie"])
	}
	got := post("/login", " "+aSecret+"\n")
	cookie := got.header.Get("Set-Cookie")
	if got.status != 303 || got.header.Get("Location") != "/" {
		t.Fatalf("the right token: %d %s", got.status, got.body)
	}
	for _, want := range []string{"HttpOnly", "SameSite=Strict", "Path=/", "Max-Age="} {
		if !strings.Contains(cookie, want) {
			t.Errorf("the cookie %q lacks %s", cookie, want)
		}
	}
	if strings.Contains(cookie, aSecret) || strings.Contains(cookie, "Secure") {
		t.Errorf("the cookie is %q", cookie)
	}
	for _, path := range []string{"/", "/app.js", "/api/tasks", "/api/sse/tasks?task_id=a"} {
		if got := get(path); got.status != 200 {
			t.Errorf("%s after the login: %d", path, got.status)
		}
	}
	if got := get("/"); !strings.Contains(got.body, `action="/logout"`) {
		t.Error("the page has no button to log out")
	}
	if got := post("/logout", ""); got.status != 303 {
		t.Errorf("logout: %d", got.status)
	}
	if got := get("/api/tasks"); got.status != 401 {
		t.Errorf("after the logout: %d, want 401", got.status)
	}
	for _, h := range []string{"Origin: http://evil.example", "Sec-Fetch-Site: cross-site"} {
		for _, path := range []string{"/login", "/logout"} {
			wantRefused(t, p.Public, []wanted{{target: path, method: "POST", header: []string{"Host: localhost", h}}}, 403, "CROSS_SITE")
		}
	}
}

func TestX03WrongTokensAreBounded(t *testing.T) {
	t.Parallel()
	p := start(t, "serve", "--api-token", aSecret)
	try := func(token string) answer {
		body := url.Values{"token": {token}}.Encode()
		return callAs(t, p.Public, wanted{target: "/login", method: "POST", header: []string{"Host: localhost", "Content-Type: application/x-www-form-urlencoded"}, body: body})
	}
	for range 20 { // right ones do not count
		if got := try(aSecret); got.status != 303 {
			t.Fatalf("the right token: %d", got.status)
		}
	}
	last := answer{}
	for range 11 {
		last = try("wrong-wrong-wrong")
	}
	if last.status != 429 || last.header.Get("Retry-After") == "" {
		t.Errorf("the eleventh wrong token: %d, Retry-After %q", last.status, last.header.Get("Retry-After"))
	}
	wantLet(t, p.Public, publicRequests, "Host: localhost", "Authorization: Bearer "+aSecret)
}

func TestX03TheCookieIsSecureOverTLS(t *testing.T) {
	t.Parallel()
	p := start(t, "serve", "--api-token", aSecret, "--trusted-proxy", "127.0.0.1")
	body := url.Values{"token": {aSecret}}.Encode()
	for proto, secure := range map[string]bool{"https": true, "http": false} {
		got := callAs(t, p.Public, wanted{target: "/login", method: "POST", header: []string{"Host: app.example.org", "Content-Type: application/x-www-form-urlencoded", "X-Forwarded-Proto: " + proto}, body: body})
		if got.status != 303 || strings.Contains(got.header.Get("Set-Cookie"), "Secure") != secure {
			t.Errorf("by %s: %d %q", proto, got.status, got.header.Get("Set-Cookie"))
		}
	}
}
