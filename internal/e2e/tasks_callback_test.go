package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// backendAlone is tidegate backend, whose callback endpoint the test calls itself.
func backendAlone(t *testing.T, args ...string) *system {
	t.Helper()
	p := startAs(t, append([]string{"backend", "--listen", "127.0.0.1:0", "--internal-listen", "127.0.0.1:0",
		"--gateway-url", "http://" + freeAddress(t), "--grace", "0"}, args...)...)
	s := &system{gateway: p, backend: p, web: webClient(t)}
	s.stopAtEnd(t)
	return s
}

// postCallback posts to the endpoint, with headers as "Name: value".
func (s *system) postCallback(t *testing.T, query, body string, headers ...string) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "POST", s.backend.public+"/api/sse/callback"+query, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	return s.do(t, r)
}

func (s *system) do(t *testing.T, r *http.Request) reply {
	t.Helper()
	res, err := s.web.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := readReply(res)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

const disconnectBody = `{"action":"disconnect","reason":"client_closed","token":"abc","request":{"url":"/api/sse/tasks?task_id=a","headers":{}}}`

func TestBE19CallbacksNeedTheSecretUnlessTheModeSaysOtherwise(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"backend"}, "callback-secret"},
		{[]string{"backend", "--mode", "production"}, "callback-secret"},
		{[]string{"backend", "--mode", "prodution"}, "prodution"},
		{[]string{"serve", "--mode", "staging"}, "staging"},
	} {
		p := launch(t, nil, append(c.args, "--listen", "127.0.0.1:0")...)
		if code := p.exit(); code != 2 || !strings.Contains(p.log(), c.want) {
			t.Errorf("tidegate %q: exit code %d, want 2 and a word of %q:\n%s", c.args, code, c.want, p.log())
		}
	}
	s := backendAlone(t, "--callback-secret", callbackSecret)
	sign := func(key, body string, at time.Time) string {
		m := hmac.New(sha256.New, []byte(key))
		fmt.Fprintf(m, "%d.%s", at.Unix(), body)
		return fmt.Sprintf("X-Tidegate-Signature: t=%d,v1=%s", at.Unix(), hex.EncodeToString(m.Sum(nil)))
	}
	now := time.Now()
	for _, c := range []struct {
		what, query, header string
		status              int
	}{
		{"no secret", "", "X-None: x", 401},
		{"another secret", "?secret=hooks-secret-012", "X-None: x", 401},
		{"a longer secret", "?secret=hooks-secret-01234", "X-None: x", 401},
		{"an empty secret", "?secret=", "X-None: x", 401},
		{"the secret", "?secret=" + callbackSecret, "X-None: x", 200},
		{"a signature", "", sign(callbackSecret, disconnectBody, now), 200},
		{"a signature with another key", "", sign("other", disconnectBody, now), 401},
		{"a signature of another body", "", sign(callbackSecret, disconnectBody+" ", now), 401},
		{"an old signature", "", sign(callbackSecret, disconnectBody, now.Add(-time.Hour)), 401},
	} {
		got := s.postCallback(t, c.query, disconnectBody, c.header)
		want := map[int]string{200: "{}", 401: `{"error":"Unauthorized"}`}[c.status]
		if got.status != c.status || string(got.body) != want {
			t.Errorf("with %s: %v, want %d %s", c.what, got, c.status, want)
		}
	}
}

func TestBE19GatewayWithTheWrongSecretOpensNoStream(t *testing.T) {
	t.Parallel()
	s := twoProcesses(t, flags{gateway: []string{"--callback-secret", "wrong-secret-0123"}})
	got, err := s.request("GET", s.gateway.public+versionStream("tab"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got.status != http.StatusUnauthorized || !strings.Contains(string(got.body), `"BACKEND_AUTH_FAILED"`) {
		t.Errorf("stream opens with %v, want 401 BACKEND_AUTH_FAILED", got)
	}
}

func TestBE20ErrorsDoNotRepeatTheRequest(t *testing.T) {
	t.Parallel()
	s := backendAlone(t, "--mode", "development", "--log-level", "debug")
	const private = "pr1vate"
	for _, body := range []string{
		`{"action":"connect","token":5,"request":{"url":7,"headers":{"cookie":"pr1vate","authorization":"pr1vate","x":3}}}`,
		`{"action":"connect","token":"pr1vate","request":{"url":"","headers":{"cookie":{"pr1vate":1}}}}`,
		`{"action":"disconnect","token":"pr1vate","request":{"headers":{"cookie":"pr1vate"}}}`,
		`{"action":"connect","token":"pr1vate","request":{"url":"/nowhere","headers":{"cookie":"pr1vate"}}}`,
		`{"action":"connect","cookie":"pr1vate"`,
	} {
		got := s.postCallback(t, "", body, "Cookie: pr1vate")
		if got.status != http.StatusBadRequest || strings.Contains(string(got.body), private) {
			t.Errorf("%s is answered with %v", body, got)
		}
	}
	if strings.Contains(s.backend.log(), private) {
		t.Error("a token, cookie or header is in the log")
	}
}

func TestBE22OddInputIsRefusedNotCrashedOn(t *testing.T) {
	t.Parallel()
	s := backendAlone(t, "--mode", "development")
	connect := func(url, headers string) string {
		return `{"action":"connect","token":"t","request":{"url":"` + url + `","headers":` + headers + `}}`
	}
	for _, c := range []struct {
		body   string
		status int
		want   string
	}{
		{`[]`, 400, `{"error":"Invalid JSON"}`},
		{`"connect"`, 400, `{"error":"Invalid JSON"}`},
		{`5`, 400, `{"error":"Invalid JSON"}`},
		{`{`, 400, `{"error":"Invalid JSON"}`},
		{`null`, 400, `{"error":"Missing JSON body"}`},
		{``, 400, `{"error":"Missing JSON body"}`},
		{`{}`, 400, `{"error":"Unknown action: None"}`},
		{`{"action":"dance"}`, 400, `{"error":"Unknown action: dance"}`},
		{connect("//[x", "{}"), 400, `{"error":"Cannot route URL: //[x"}`},
		{connect("http://[::1", "{}"), 400, `{"error":"Cannot route URL: http://[::1"}`},
		{connect("/api/sse/tasks?task_id=%zz", "{}"), 400, `{"error":"Cannot route URL: /api/sse/tasks?task_id=%zz"}`},
		{connect("/api/sse/tasks?task_id=a:b", "{}"), 400, `{"error":"Cannot route URL: /api/sse/tasks?task_id=a:b"}`},
		// There is no gateway to subscribe at, so this is how far a good one gets.
		{connect("/api/sse/tasks?task_id=a", `{"set-cookie":["a=1","b=2"]}`), 503, `{"error":"Gateway unavailable"}`},
	} {
		if got := s.postCallback(t, "", c.body); got.status != c.status || string(got.body) != c.want {
			t.Errorf("%s: %v, want %d %s", c.body, got, c.status, c.want)
		}
	}
}

func TestBE22OddRequestsOfBrowsersAreRefusedOrServed(t *testing.T) {
	inBothForms(t, flags{}, func(t *testing.T, s *system) {
		for target, want := range map[string]int{
			"//[x":                    0, // refused, by whatever part sees it first
			"/api/sse//[x":            400,
			"/api/sse/tasks?task_id=": 400,
			"/api/sse/tasks":          400,
			"/api/sse/tasks?task_id=" + strings.Repeat("a", 201): 400,
			"/api/sse/tasks?task_id=a%3Ab":                       400,
			"/api/sse/tasks?task_id=a%0Ab":                       400,
			"/api/sse/tasks?task_id=%ff":                         400,
			"/api/sse/tasks?task_id=a&task_id=b:c":               200, // the first value counts
			"/api/sse/tasks?task_id=%C3%A9+%26":                  200,
		} {
			w, err := s.dial(target, "", "Set-Cookie: a=1", "Set-Cookie: b=2", "X-Empty:", "X-Latin: \xe9")
			if err != nil {
				t.Fatal(err)
			}
			if w.head.StatusCode != want && (want != 0 || w.head.StatusCode < 300 || w.head.StatusCode >= 500) {
				t.Errorf("GET %s: %d, want %d", target, w.head.StatusCode, want)
			}
			w.reset()
		}
	})
}

func TestBE23OnlyWholePathsAreRoutes(t *testing.T) {
	inBothForms(t, flags{}, func(t *testing.T, s *system) {
		for _, path := range []string{"tasksX?task_id=a", "tasks/X?task_id=a", "utils/versionX?request_id=a",
			"utils/version/streams?request_id=a", "utils/version/stream/x?request_id=a", "streamX?task_id=a", "utils?request_id=a"} {
			got, err := s.request("GET", s.gateway.public+"/api/sse/"+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got.status != http.StatusBadRequest || !strings.Contains(string(got.body), "Backend returned 400") || !strings.Contains(string(got.body), `"BACKEND_ERROR"`) {
				t.Errorf("GET %s: %v, want the backend's 400", path, got)
			}
		}
		for _, path := range []string{"tasks/?task_id=a", "utils/version/?request_id=a", "utils/version/stream?request_id=a", "stream?request_id=a"} {
			s.open(t, "/api/sse/"+path, "").reset()
		}
	})
}

func TestBE24WhatNobodyWatchesIsBounded(t *testing.T) {
	inBothForms(t, flags{
		gateway: []string{"--namespace", "task=events:50"},
		backend: []string{"--task-workers", "1", "--task-queue", "3"},
	}, func(t *testing.T, s *system) {
		id := s.start(t, "demo_task", jsonObject{"steps": 2000, "delay": 0})
		s.waitStatus(t, id, "completed")
		eventually(t, "its log is closed", func() bool { return s.topic(t, "task:"+id).Closed })
		if info := s.topic(t, "task:"+id); info.Events > 50 || info.Appended != 2004 {
			t.Errorf("the log of a task that nobody watches is %+v, want 50 events of 2004", info)
		}
		for i := range 100 {
			s.publishVersion(t, jsonObject{"version": fmt.Sprint(i), "request_id": "nobody"})
		}
		if info := s.topic(t, "version:nobody"); info.Events != 1 {
			t.Errorf("notices for nobody are kept: %+v", info)
		}

		running := s.startParked(t)
		s.waitStatus(t, running, "running")
		for range 3 {
			s.startParked(t)
		}
		got, err := s.request("POST", s.backend.public+"/api/tasks", jsonObject{"type": "demo_task"})
		if err != nil {
			t.Fatal(err)
		}
		if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" || !strings.Contains(string(got.body), "Too many tasks") {
			t.Errorf("a task more than may wait: %v, want 503 with Retry-After", got)
		}
	})
}

func TestBE26TestingEndpointsAreThereInTestingModeOnly(t *testing.T) {
	t.Parallel()
	const start, version = "/api/testing/tasks/start", "/api/testing/deployments/version"
	for _, mode := range []string{"production", "development"} {
		s := oneProcess(t, flags{backend: []string{"--mode", mode}})
		for _, path := range []string{start, version} {
			got, err := s.request("POST", s.backend.public+path, jsonObject{"task_type": "demo_task"})
			if err != nil {
				t.Fatal(err)
			}
			if got.status != http.StatusBadRequest || !strings.Contains(string(got.body), `"ROUTE_NOT_AVAILABLE"`) {
				t.Errorf("mode %s: POST %s: %v", mode, path, got)
			}
		}
	}

	s := oneProcess(t, flags{})
	var started struct {
		TaskID    string `json:"task_id"`
		StreamURL string `json:"stream_url"`
		Status    string
	}
	s.call(t, "POST", s.backend.public+start, jsonObject{"task_type": "demo_task", "params": jsonObject{"delay": 0, "steps": 1, "message": "x"}}, 200, &started)
	if started.Status != "pending" || started.StreamURL != taskStream(started.TaskID) {
		t.Errorf("start answers %+v", started)
	}
	if err := s.wantWhole(started.TaskID, demoLog(1, "x")); err != nil {
		t.Error(err)
	}
	got, err := s.request("POST", s.backend.public+start, jsonObject{"task_type": "long_running"})
	if err != nil || got.status != 400 || string(got.body) != `{"error":"Unknown task type: long_running"}` {
		t.Errorf("unknown type: %v, %v", got, err)
	}
	for _, want := range []string{`{"requestId":"tab","delivered":false,"status":"queued"}`, `{"requestId":"tab","delivered":true,"status":"delivered"}`} {
		got, err := s.request("POST", s.backend.public+version, jsonObject{"request_id": "tab", "version": "1", "changelog": "c"})
		if err != nil || got.status != http.StatusAccepted || string(got.body) != want {
			t.Errorf("version: %v, %v, want 202 %s", got, err, want)
		}
		w := s.open(t, versionStream("tab"), "")
		if e := w.event(t); shape(e) != `version {"version":"1","changelog":"c"}` {
			t.Errorf("the stream receives %s", shape(e))
		}
	}
	s.call(t, "POST", s.backend.public+version, jsonObject{"version": "1"}, 400, nil)
	s.call(t, "POST", s.backend.public+version, jsonObject{"request_id": "a:b", "version": "1"}, 400, nil)
}
