package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// attackScript makes requests as a page can, and leaves what it got of each in
// window.got.
const attackScript = `
async function one(base, r, mode) {
	const headers = r.type ? { "Content-Type": r.type } : {};
	const options = { method: r.method, mode, headers, credentials: "include", cache: "no-store", signal: AbortSignal.timeout(20000) };
	if (r.body) options.body = r.body;
	try {
		const answer = await fetch(base + r.path, options);
		return answer.status + " " + await answer.text();
	} catch (e) {
		return "blocked";
	}
}
function form(base, r) {
	return new Promise((done) => {
		const frame = document.createElement("iframe");
		frame.name = "f" + Math.random();
		document.body.append(frame);
		const form = document.createElement("form");
		Object.assign(form, { method: "post", action: base + r.path, target: frame.name, enctype: "text/plain" });
		const field = document.createElement("input");
		Object.assign(field, { name: r.body || "a", value: "" });
		form.append(field);
		document.body.append(form);
		frame.addEventListener("load", done);
		setTimeout(done, 20000);
		form.submit();
	}).then(() => document.body.replaceChildren());
}
async function attack(base, requests) {
	const got = [];
	await Promise.all(requests.map(async (r) => {
		for (const mode of ["cors", "no-cors"]) {
			got.push({ what: r.method + " " + r.path + " " + mode, answer: await one(base, r, mode) });
		}
	}));
	for (const r of requests) {
		if (r.method === "POST") await form(base, r);
	}
	window.got = got;
}`

// victim is a listener that is attacked.
type victim struct {
	name, base string
}

type attackRequest struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	Type   string `json:"type,omitempty"`
	Body   string `json:"body,omitempty"`
}

// attackRequests are what would read, send, start, cancel and delete.
func attackRequests(token string, tasks []string) []attackRequest {
	const kind = "application/json"
	send := fmt.Sprintf(`{"token":%q,"event":{"data":"evil"}}`, token)
	all := []attackRequest{
		{"GET", "/internal/streams", "", ""}, {"GET", "/internal/topics", "", ""}, {"GET", "/metrics", "", ""}, {"GET", "/internal/openapi.json", "", ""},
		{"POST", "/internal/send", kind, send}, {"POST", "/internal/send", "text/plain", send},
		{"DELETE", "/internal/streams/" + token, "", ""}, {"DELETE", "/internal/topics/secret", "", ""},
		{"GET", "/api/tasks", "", ""}, {"GET", "/api/version", "", ""},
		{"POST", "/api/tasks", kind, `{"type":"demo_task"}`}, {"POST", "/api/tasks", "text/plain", `{"type":"demo_task"}`},
		{"POST", "/api/versions", kind, `{"version":"evil"}`}, {"POST", "/api/versions", "text/plain", `{"version":"evil"}`},
	}
	for _, task := range tasks {
		all = append(all,
			attackRequest{"GET", "/api/tasks/" + task, "", ""}, attackRequest{"POST", "/api/tasks/" + task + "/cancel", "", ""}, attackRequest{"DELETE", "/api/tasks/" + task, "", ""},
			attackRequest{"POST", "/api/sse/callback", kind, `{"action":"connect","token":"x","request":{"url":"/api/sse/tasks?task_id=` + task + `","headers":{}}}`})
	}
	return all
}

// attacked is everything that the tests of this file attack.
type attacked struct {
	victims []victim
	hooks   *hooks
	stream  *client
	token   string
	secret  string
	owners  []string // bases at which a task runs
	tasks   []string // their ids
}

func (a *attacked) request(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if a.secret != "" {
		r.Header.Set("Authorization", "Bearer "+a.secret)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	res, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// startAttacked starts all three servers, a stream and two tasks that run.
func startAttacked(t *testing.T, secret string) *attacked {
	t.Helper()
	a := &attacked{hooks: newHooks(t, nil), secret: secret}
	var internal, api []string
	if secret != "" {
		internal = []string{"--internal-secret", secret}
		api = append([]string{"--api-token", secret}, internal...)
	}
	gateway := start(t, "gateway", append([]string{"--callback-url", a.hooks.url}, internal...)...)
	serve := start(t, "serve", api...)
	backend := start(t, "backend", append([]string{"--mode", "development", "--gateway-url", gateway.internal}, api...)...)
	a.victims = []victim{
		{"serve", serve.public}, {"serve, internal", serve.internal}, {"gateway", gateway.public},
		{"gateway, internal", gateway.internal}, {"backend", backend.public}, {"backend, internal", backend.internal},
	}
	a.stream, a.token = a.hooks.accepted(gateway, "/secret")
	a.owners = []string{serve.public, backend.public}
	for _, base := range a.owners {
		status, text := a.request(t, "POST", base+"/api/tasks", `{"type":"demo_task","params":{"steps":1000000,"delay":100}}`)
		var started struct {
			ID string `json:"task_id"`
		}
		if err := json.Unmarshal([]byte(text), &started); err != nil || status != 202 {
			t.Fatalf("start a task: %d %s", status, text)
		}
		a.tasks = append(a.tasks, started.ID)
	}
	return a
}

// wantUntouched wants that nothing has changed.
func (a *attacked) wantUntouched(t *testing.T) {
	t.Helper()
	for i, base := range a.owners {
		_, text := a.request(t, "GET", base+"/api/tasks", "")
		var list struct{ Tasks []struct{ Status string } }
		if err := json.Unmarshal([]byte(text), &list); err != nil || len(list.Tasks) != 1 {
			t.Errorf("there are other tasks at %s: %s", base, text)
		}
		if _, text := a.request(t, "GET", base+"/api/tasks/"+a.tasks[i], ""); strings.Contains(text, "cancel") || !strings.Contains(text, `"end_time":null`) {
			t.Errorf("the task at %s was touched: %s", base, text)
		}
		if status, text := a.request(t, "GET", base+"/api/version", ""); status != 404 {
			t.Errorf("%s has a version: %s", base, text)
		}
	}
	status, text := a.request(t, "POST", a.victims[3].base+"/internal/send", toToken(a.token, "mine"))
	if status != 200 {
		t.Fatalf("the stream is gone: %d %s", status, text)
	}
	if got := a.stream.event(); got.Data != "mine" {
		t.Errorf("the stream was sent %q", got.Data)
	}
}

// attackFrom lets the page that is open attack a victim, and gives what it read.
func (a *attacked) attackFrom(t *testing.T, tb *pageTab, v victim, base string) (got []struct{ What, Answer string }) {
	t.Helper()
	all := attackRequests(a.token, a.tasks)
	if v.name == "gateway" { // whose other paths are streams, and the backend's to judge
		all = slices.DeleteFunc(all, func(r attackRequest) bool { return strings.HasPrefix(r.Path, "/api/") })
	}
	requests, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	tb.do("attack", chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`delete window.got; %s; void attack(%q, %s)`, attackScript, base, requests)))
	tb.wait("window.got")
	if got = valueOf[[]struct{ What, Answer string }](tb, "window.got"); len(got) != 2*len(all) {
		t.Errorf("%s: %d answers of %d requests", v.name, len(got), 2*len(all))
	}
	return got
}

// evilNames has Chromium resolve names to this machine, as an attacker's DNS does.
func evilNames() chromedp.ExecAllocatorOption {
	return chromedp.Flag("host-resolver-rules", "MAP evil.example 127.0.0.1, MAP *.evil.example 127.0.0.1")
}

// anyError is of consoles in which errors are what is wanted.
const anyError = ""

// withAndWithoutSecret runs a test against servers that ask for one and against
// servers that do not.
func withAndWithoutSecret(t *testing.T, test func(*testing.T, context.Context, *attacked)) {
	t.Helper()
	browser := startChromium(t, evilNames())
	for name, secret := range map[string]string{"without a secret": "", "with a secret": "0123456789abcdef"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := startAttacked(t, secret)
			test(t, browser, a)
			a.wantUntouched(t)
		})
	}
}

// A name of the attacker's resolves to this machine: for the browser the page and
// the server are one origin.
func TestX01ARebindingPageGetsNothing(t *testing.T) {
	t.Parallel()
	withAndWithoutSecret(t, func(t *testing.T, browser context.Context, a *attacked) {
		for _, v := range a.victims {
			base := strings.Replace(v.base, "127.0.0.1", "evil.example", 1)
			tb := openPageTab(t, browser, base+"/healthz", anyError) // which asks for no name
			for _, got := range a.attackFrom(t, tb, v, base) {
				refused := got.Answer == "blocked"
				for _, code := range []string{`"UNKNOWN_HOST"`, `"CROSS_SITE"`, `"UNAUTHORIZED"`, `"NOT_FOUND"`, `"METHOD_NOT_ALLOWED"`, `"SERVICE_NOT_CONFIGURED"`, `404 404`} {
					refused = refused || strings.Contains(got.Answer, code)
				}
				if !refused {
					t.Errorf("%s: %s: %.200s", v.name, got.What, got.Answer)
				}
				if strings.Contains(got.Answer, a.token) || strings.Contains(got.Answer, "demo_task") {
					t.Errorf("%s: %s shows %.200s", v.name, got.What, got.Answer)
				}
			}
		}
	})
}

// A page of another site, and one of another port of this machine, which is the
// same site for a browser.
func TestX02APageOfAnotherSiteGetsNothing(t *testing.T) {
	t.Parallel()
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<!doctype html><title>evil</title>")
	}))
	t.Cleanup(site.Close)
	withAndWithoutSecret(t, func(t *testing.T, browser context.Context, a *attacked) {
		for _, from := range []string{site.URL, strings.Replace(site.URL, "127.0.0.1", "evil.example", 1)} {
			tb := openPageTab(t, browser, from, anyError)
			for _, v := range a.victims {
				for _, got := range a.attackFrom(t, tb, v, v.base) {
					if got.Answer != "blocked" && got.Answer != "0 " { // what is not to be read has no status
						t.Errorf("%s: %s from %s: %.200s", v.name, got.What, from, got.Answer)
					}
				}
			}
		}
	})
}

// TestX03LoginInTheBrowser: the form, the page with its stream, the end.
func TestX03LoginInTheBrowser(t *testing.T) {
	t.Parallel()
	const token = "0123456789abcdef"
	s := startPageServer(t, binary, "--api-token", token)
	tb := openPageTab(t, startChromium(t), s.public+"/", "401") // a wrong token is an error in the console
	tb.wait(`location.pathname === "/login"`)
	field := chromedp.CSS(`[name="token"]`)
	tb.loads("give a wrong token", chromedp.SendKeys(field, "wrong"+kb.Enter))
	tb.wait(`document.querySelector(".problem").innerText !== ""`)
	tb.loads("give the token", chromedp.SendKeys(field, token+kb.Enter))
	tb.wait(`location.pathname === "/"`)
	if cookies := valueOf[string](tb, "document.cookie"); cookies != "" {
		t.Errorf("scripts can read the cookies %q", cookies)
	}
	tb.do("start a demo", chromedp.Click(chromedp.CSS(`.types label:nth-of-type(2)`)), chromedp.Click(chromedp.ID("submit")))
	tb.waitState("Running")
	tb.waitRows(3) // which came by EventSource
	// By its key: while rows come the page moves, and a click may miss what has moved.
	tb.loads("log out", chromedp.SendKeys(chromedp.CSS(`form[action="/logout"] button`), kb.Enter))
	tb.wait(`location.pathname === "/login"`)
	tb.loads("go back to the page", chromedp.Navigate(s.public+"/"))
	tb.wait(`location.pathname === "/login"`)
}

// A login that ended while the page was open leads back to the form.
func TestX03AnEndedLoginLeadsToTheForm(t *testing.T) {
	t.Parallel()
	const token = "0123456789abcdef"
	s := startPageServer(t, binary, "--api-token", token)
	tb := openPageTab(t, startChromium(t), s.public+"/", "401")
	tb.wait(`location.pathname === "/login"`)
	tb.loads("give the token", chromedp.SendKeys(chromedp.CSS(`[name="token"]`), token+kb.Enter))
	tb.wait(`location.pathname === "/"`)
	tb.do("log out elsewhere", chromedp.Evaluate[chromedp.Void](`void fetch("/logout", { method: "POST", redirect: "manual" }).then(() => window.out = true)`))
	tb.wait("window.out")
	tb.loads("start a demo", chromedp.Click(chromedp.ID("submit")))
	tb.wait(`location.pathname === "/login"`)
}
