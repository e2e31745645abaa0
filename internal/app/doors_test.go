package app_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
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

func TestX01UnknownHostsAreRefusedOnEveryListener(t *testing.T) {
	t.Parallel()
	for name, p := range places(t, "--allowed-host", "app.example.org", "--allowed-host", "*.wild.example") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, host := range []string{"evil.example", "EVIL.example:80", "127.0.0.1.evil.example", "gateway", "localhost.evil.example."} {
				wantRefused(t, p.base, p.all, 421, "UNKNOWN_HOST", "Host: "+host)
			}
			for _, host := range []string{"127.0.0.1", "[::1]:8080", "LOCALHOST.", "a.localhost:1", "App.Example.org:443", "x.wild.example", "10.0.0.7"} {
				wantLet(t, p.base, p.all, "Host: "+host)
			}
			got := callAs(t, p.base, p.all[0].with("Host: evil.example"))
			if !strings.Contains(got.body, "--allowed-host") {
				t.Errorf("the refusal %s does not name the flag", got.body)
			}
			for _, path := range []string{"/healthz", "/readyz"} {
				if got := callAs(t, p.base, wanted{target: path, method: "GET", header: []string{"Host: evil.example"}}); got.status == 421 {
					t.Errorf("%s asks for the Host", path)
				}
			}
		})
	}
}

func TestX01TheLogNamesTheFlagOnce(t *testing.T) {
	t.Parallel()
	p := start(t, "serve")
	for range 3 {
		callAs(t, p.Internal, wanted{target: "/metrics", method: "GET", header: []string{"Host: evil.example"}})
		callAs(t, p.Public, wanted{target: "/api/tasks", method: "GET", header: []string{"Host: localhost", "Origin: http://evil.example"}})
		callAs(t, p.Internal, wanted{target: "/metrics", method: "GET", header: []string{"Host: localhost", "Origin: http://evil.example"}})
	}
	for _, want := range []string{"--allowed-host", "another site; if its pages may call this server, give --cors-origin", "is not for pages"} {
		if n := strings.Count(p.log.String(), want); n != 1 {
			t.Errorf("the log names %s %d times, want once", want, n)
		}
	}
	text := do(t, "GET", p.Internal+"/metrics", "").body
	for _, want := range []string{`{code="UNKNOWN_HOST",listener="internal"} 3`, `{code="CROSS_SITE",listener="internal"} 3`, `{code="UNAUTHORIZED",listener="public"} 0`} {
		if !strings.Contains(text, "tidegate_access_refused_total"+want) {
			t.Errorf("metrics lack %s", want)
		}
	}
}

// Streams of the gateway are the backend's to judge: it is given the host.
func TestX01StreamsOfTheGatewayTakeAnyHost(t *testing.T) {
	t.Parallel()
	p := start(t, "gateway")
	got := callAs(t, p.Public, wanted{target: "/x", method: "GET", header: []string{"Host: evil.example", "Origin: http://evil.example", "Sec-Fetch-Site: cross-site"}})
	if got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, "SERVICE_NOT_CONFIGURED") {
		t.Errorf("%d %s, want that no callback is configured", got.status, got.body)
	}
}

func TestX01AMissingHostPasses(t *testing.T) {
	t.Parallel()
	p := start(t, "gateway")
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.Internal, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(conn, "GET /internal/streams HTTP/1.0\r\n\r\n")
	if text, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(text), "HTTP/1.0 200") {
		t.Errorf("%v %s", err, text)
	}
}

func TestX02OtherSitesAreRefusedOnEveryListener(t *testing.T) {
	t.Parallel()
	for _, secret := range []bool{false, true} {
		var args, known []string
		if secret {
			args = []string{"--internal-secret", aSecret}
			known = []string{"Authorization: Bearer " + aSecret}
		}
		for name, p := range places(t, args...) {
			t.Run(fmt.Sprint(name, " secret ", secret), func(t *testing.T) {
				t.Parallel()
				var all []wanted
				for _, w := range p.all {
					if !strings.HasPrefix(w.target, "/api/sse/tasks") && (strings.HasPrefix(w.target, "/api/") || !strings.HasPrefix(name, "serve") || strings.Contains(name, "internal")) {
						all = append(all, w.with("Host: localhost:8080").with(known...))
					}
				}
				for _, h := range []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Origin: http://evil.example", "Origin: null", "Origin: http://localhost:8081",
					"sec-fetch-SITE: cross-site\r\nOrigin: http://localhost:8080"} {
					wantRefused(t, p.base, all, 403, "CROSS_SITE", h)
				}
				for _, h := range []string{"Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: none", "Origin: http://localhost:8080", "Origin: https://LOCALHOST:8080", "X-None: 1"} {
					wantLet(t, p.base, all, h)
				}
			})
		}
	}
}

func TestX02AllowedOriginsMayUseTheAPIAndNothingElse(t *testing.T) {
	t.Parallel()
	p := start(t, "serve", "--cors-origin", "https://friend.example", "--cors-origin", "*")
	wantLet(t, p.Public, publicRequests, "Host: localhost", "Origin: https://friend.example", "Sec-Fetch-Site: cross-site")
	wantRefused(t, p.Public, publicRequests, 403, "CROSS_SITE", "Host: localhost", "Origin: https://other.example", "Sec-Fetch-Site: cross-site")
	wantRefused(t, p.Internal, internalRequests, 403, "CROSS_SITE", "Host: localhost", "Origin: https://friend.example")
	if got := callAs(t, p.Public, wanted{target: "/api/sse/tasks?task_id=a", method: "GET", header: []string{"Host: localhost", "Origin: https://other.example", "Sec-Fetch-Site: cross-site"}}); got.status != 200 {
		t.Errorf("opening a stream: %d %s", got.status, got.body)
	}
}

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

// The name is :authority there.
func TestX01UnknownHostsAreRefusedOverHTTP2(t *testing.T) {
	t.Parallel()
	p := start(t, "serve")
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	t.Cleanup(transport.CloseIdleConnections)
	for _, base := range []string{p.Public + "/api/tasks", p.Internal + "/internal/streams"} {
		for host, want := range map[string]int{"evil.example": 421, "localhost:1": 200} {
			r, err := http.NewRequestWithContext(t.Context(), "GET", base, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Host = host
			res, err := (&http.Client{Transport: transport}).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			if got := read(t, res); res.ProtoMajor != 2 || got.status != want {
				t.Errorf("%s with :authority %s: %s %d %s, want %d", base, host, res.Proto, got.status, got.body, want)
			}
		}
	}
}

// X01 on the fast path of sends: one connection, first a plain request.
func TestX01AConnectionOfSendsChangesItsHost(t *testing.T) {
	t.Parallel()
	p := start(t, "gateway")
	for _, c := range []struct {
		header string
		status int
	}{{"Host: evil.example", 421}, {"Host: 127.0.0.1\r\nOrigin: http://evil.example", 403}, {"Host: 127.0.0.1\r\nsec-fetch-site: cross-site", 403}} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(p.Internal, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
		in := bufio.NewReader(conn)
		for _, turn := range []struct {
			header string
			status int
		}{{"Host: 127.0.0.1", 200}, {c.header, c.status}} {
			_, _ = fmt.Fprintf(conn, "POST /internal/send HTTP/1.1\r\n%s\r\n%s\r\nContent-Length: %d\r\n\r\n%s", turn.header, jsonIs, len(aSend), aSend)
			res, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := read(t, res); got.status != turn.status {
				t.Errorf("%q: %d %s, want %d", turn.header, got.status, got.body, turn.status)
			}
		}
		_ = conn.Close()
	}
}

// A browser cannot reach a Unix socket, so that no name is wrong there.
func TestX01UnixSocketsTakeAnyHost(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	p := start(t, "serve", "--listen", "unix:"+filepath.Join(dir, "p"), "--internal-listen", "unix:"+filepath.Join(dir, "i"))
	for address, path := range map[string]string{p.Public: "/api/tasks", p.Internal: "/internal/streams"} {
		base, client := over(t, address)
		for header, want := range map[string]int{"X-None": 200, "Origin": 403} {
			r, err := http.NewRequestWithContext(t.Context(), "GET", base+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Host = "app.example.org"
			r.Header.Set(header, "http://evil.example")
			res, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			if got := read(t, res); got.status != want {
				t.Errorf("%s with %s: %d %s, want %d", path, header, got.status, got.body, want)
			}
		}
	}
}
