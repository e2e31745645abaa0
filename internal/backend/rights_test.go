package backend

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/client"
	"tidegate/internal/grant"
	"tidegate/internal/wire"
)

const accessKey = "0123456789abcdef0123456789abcdef"

func accessKeys(t testing.TB) *grant.Keys {
	t.Helper()
	keys, err := grant.NewKeys(accessKey)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// guarded is a backend whose tasks are read with an access token.
func guarded(t *testing.T) *testBundle {
	t.Helper()
	return setup(t, func(o *Options) {
		o.Access = AccessOptions{
			Keys: accessKeys(t), Required: true,
			ReadsAll:       func(r *http.Request) bool { return r.Header.Get("Authorization") == "Bearer api-token" },
			BearerReadsAll: func(authorization string) bool { return authorization == "Bearer api-token" },
		}
	})
}

func token(t *testing.T, g grant.Grant) string {
	t.Helper()
	text, err := accessKeys(t).Sign(g, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// get reads path with an Authorization header.
func (b *testBundle) get(path, authorization string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", path, nil)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	w := httptest.NewRecorder()
	b.REST().ServeHTTP(w, r)
	return w
}

// open is the connect callback of a stream.
func (b *testBundle) open(token, url, authorization string) int {
	headers := map[string]string{}
	if authorization != "" {
		headers["authorization"] = authorization
	}
	return b.post(string(encode(wire.Callback{Action: wire.Connect, Token: token, Request: wire.Request{URL: url, Headers: headers}}))).Code
}

func TestTasksAreReadWithAnAccessTokenThatNamesThem(t *testing.T) {
	t.Parallel()
	b := guarded(t)
	var started startedAnswer
	decode(t, b.request("POST", "/api/tasks", `{"type":"waiting"}`), 202, &started)
	other := b.start(t, "failing_task")
	mine, now := started.TaskID, time.Now()
	expired, _ := accessKeys(t).Sign(grant.Grant{Tasks: []string{mine}, Expires: now.Add(-time.Second)}, now)
	foreign, _ := grant.NewKeys(strings.Repeat("x", 32))
	forged, _ := foreign.Sign(grant.Grant{Tasks: []string{mine}}, now)
	own, kind := started.Access, token(t, grant.Grant{Types: []string{"failing_task"}})
	for name, c := range map[string]struct {
		task, access string
		want         int
	}{
		"none": {mine, "", 401}, "of its start": {mine, own, 200}, "of another task": {other, own, 403}, "of a task that nobody knows": {"nobody", own, 403},
		"over": {mine, expired, 401}, "of another key": {mine, forged, 401}, "no token": {mine, "a.b.c", 401},
		"of the kind": {other, kind, 200}, "of another kind": {mine, kind, 403}, "of the kind, unknown task": {"nobody", kind, 403},
		"of its topic": {mine, token(t, grant.Grant{Topics: []string{"task:" + mine}}), 200}, "of several": {mine, token(t, grant.Grant{Tasks: []string{other, mine}}), 200},
		"of an unknown task": {"nobody", token(t, grant.Grant{Tasks: []string{"nobody"}}), 404},
	} {
		query, header := url.QueryEscape(c.access), "Bearer "+c.access
		for _, path := range []string{"/api/tasks/" + c.task, "/api/tasks/" + c.task + "/status"} {
			if got := b.get(path+"?access="+query, ""); got.Code != c.want {
				t.Errorf("%s: %s by the query: %d %s, want %d", name, path, got.Code, got.Body, c.want)
			}
			got := b.get(path, header)
			if got.Code != c.want || c.want == 401 && got.Header().Get("WWW-Authenticate") == "" {
				t.Errorf("%s: %s by the header: %d %v, want %d", name, path, got.Code, got.Header(), c.want)
			}
			var answer struct{ Error, Code string }
			if want := map[int]string{401: "UNAUTHORIZED", 403: "FORBIDDEN"}[c.want]; want != "" && (json.Unmarshal(got.Body.Bytes(), &answer) != nil || answer.Code != want || answer.Error == "") {
				t.Errorf("%s: answer is %s", name, got.Body)
			}
		}
		want := c.want
		if want == 404 { // a stream says it with events
			want = 200
		}
		for i, target := range []string{"/api/sse/tasks?task_id=" + c.task + "&access=" + query, "/api/sse/stream?access=" + query + "&request_id=r&task_id=" + c.task} {
			if got := b.open(name+string(rune('a'+i)), target, ""); got != want {
				t.Errorf("%s: stream %s by the query: %d, want %d", name, target, got, want)
			}
		}
		if got := b.open(name, "/api/sse/tasks?task_id="+c.task, header); got != want {
			t.Errorf("%s: stream by the header: %d, want %d", name, got, want)
		}
	}
	if got := b.open("two", "/api/sse/stream?task_id="+mine+"&task_id="+other, "Bearer "+own); got != 403 {
		t.Errorf("two tasks, one of which is named: %d, want 403", got)
	}
}

func TestWhoReadsAllNeedsNoAccessToken(t *testing.T) {
	t.Parallel()
	b := guarded(t)
	id := b.start(t, "waiting")
	for path, want := range map[string]int{"/api/tasks/" + id: 200, "/api/tasks/" + id + "/status": 200, "/api/tasks": 200, "/api/tasks/nobody": 404} {
		if got := b.get(path, "Bearer api-token").Code; got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
	if got := b.open("t", "/api/sse/tasks?task_id="+id, "Bearer api-token"); got != 200 {
		t.Errorf("stream: %d, want 200", got)
	}
	for _, authorization := range []string{"", "Bearer " + token(t, grant.Grant{Tasks: []string{id}})} {
		if got := b.get("/api/tasks", authorization); got.Code != 401 {
			t.Errorf("listing with %q: %d %s, want 401", authorization, got.Code, got.Body)
		}
	}
	if got := b.open("t", "/api/sse/utils/version?request_id=r", ""); got != 200 {
		t.Errorf("a stream without tasks: %d, want 200", got)
	}
}

func TestTasksAreOpenUnlessAccessIsRequired(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	id := b.start(t, "waiting")
	if got := b.get("/api/tasks/"+id, "").Code; got != 200 {
		t.Errorf("%d, want 200", got)
	}
	if got := b.open("t", "/api/sse/tasks?task_id="+id+"&access=x", "Bearer a.b.c"); got != 200 {
		t.Errorf("stream: %d, want 200", got)
	}
	if _, err := New(Options{Mode: Development, Access: AccessOptions{Required: true}, Client: client.Options{URL: "http://g"}}); err == nil {
		t.Error("access is required and there is no key: want an error")
	}
}

// TestAStreamEndsWithItsAccess in one request for all that end together, and not
// at all if it has ended before.
func TestAStreamEndsWithItsAccess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := guarded(t)
		b.run(t)
		id := b.start(t, "waiting")
		url := "/api/sse/tasks?task_id=" + id
		short := "Bearer " + token(t, grant.Grant{Tasks: []string{id}, Expires: time.Now().Add(10 * time.Minute)})
		long := "Bearer " + token(t, grant.Grant{Tasks: []string{id}})
		for name, header := range map[string]string{"a": short, "b": short, "left": short, "long": long} {
			if got := b.open(name, url, header); got != 200 {
				t.Fatalf("stream %s: %d", name, got)
			}
		}
		b.disconnect("left", url, wire.ClientClosed)
		if got := b.metric(t, "tidegate_backend_access_streams"); got != 3 {
			t.Errorf("the metric says %v streams, want 3", got)
		}
		if got := b.expiries.count(); got != 3 {
			t.Errorf("%d streams are to be ended, want 3", got)
		}
		time.Sleep(10*time.Minute - time.Second)
		synctest.Wait()
		if sent := b.gateway.sentToTokens(); sent != "" {
			t.Errorf("before its time: %s", sent)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		sent := b.gateway.sentToTokens()
		for _, want := range []string{`{"token":"a","event":{"name":"connection_close","data":"{\"reason\":\"access_expired\"}"},"close":true}`, `{"token":"b",`} {
			if !strings.Contains(sent, want) {
				t.Errorf("sent %s, want %s", sent, want)
			}
		}
		if strings.Contains(sent, `"left"`) || strings.Contains(sent, `"long"`) || strings.Count(sent, "POST") != 1 {
			t.Errorf("sent %s, want one request for a and b", sent)
		}
		if got := b.open("again", url, short); got != 401 {
			t.Errorf("on return: %d, want 401", got)
		}
	})
}

// TestAStreamThatCannotBeEndedIsTriedAgain while the gateway is away.
func TestAStreamThatCannotBeEndedIsTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := guarded(t)
		id := b.start(t, "waiting")
		header := "Bearer " + token(t, grant.Grant{Tasks: []string{id}, Expires: time.Now().Add(time.Minute)})
		if got := b.open("a", "/api/sse/tasks?task_id="+id, header); got != 200 {
			t.Fatal(got)
		}
		back := time.Now().Add(2 * time.Minute)
		b.gateway.before = func(w http.ResponseWriter, r *http.Request) bool {
			if away := time.Now().Before(back); away {
				http.Error(w, "", http.StatusBadGateway)
				return true
			}
			return false
		}
		b.run(t)
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		if got := b.metric(t, "tidegate_backend_access_expired_total"); got != 1 || b.expiries.count() != 0 || b.metric(t, "tidegate_backend_access_streams") != 0 {
			t.Errorf("%v streams were ended and %d are left, want 1 and none", got, b.expiries.count())
		}
	})
}

func TestStreamsThatNobodyWouldEndAreNotLetIn(t *testing.T) {
	t.Parallel()
	b := guarded(t)
	b.expiries.most = 2
	id := b.start(t, "waiting")
	header := "Bearer " + token(t, grant.Grant{Tasks: []string{id}})
	for name, want := range map[string]int{"a": 200, "b": 200} {
		if got := b.open(name, "/api/sse/tasks?task_id="+id, header); got != want {
			t.Errorf("stream %s: %d, want %d", name, got, want)
		}
	}
	if got := b.open("c", "/api/sse/tasks?task_id="+id, header); got != 503 {
		t.Errorf("one too many: %d, want 503", got)
	}
	if got := b.open("a", "/api/sse/tasks?task_id="+id, header); got != 200 {
		t.Errorf("one that is there: %d, want 200", got)
	}
}

func TestNoAccessTokenIsLogged(t *testing.T) {
	t.Parallel()
	b := guarded(t)
	id := b.start(t, "waiting")
	good, bad := token(t, grant.Grant{Tasks: []string{id}}), "aaaa.bbbb.cccc"
	for i, target := range []string{"/api/sse/tasks?task_id=" + id + "&access=", "/api/sse/tasks?ACCESS=", "/nowhere?%61ccess="} {
		for _, access := range []string{good, bad} {
			b.open(string(rune('a'+i)), target+access, "Bearer "+access)
			w := b.connect("x", target+access)
			if strings.Contains(w.Body.String(), access) {
				t.Errorf("the answer is %s", w.Body)
			}
		}
	}
	if log := b.log.String(); strings.Contains(log, good) || strings.Contains(log, bad) {
		t.Errorf("the log has a token:\n%s", log)
	}
}

// TestATokenOfAProxyDoesNotHideTheAccessToken, which the client shows in the query.
func TestATokenOfAProxyDoesNotHideTheAccessToken(t *testing.T) {
	t.Parallel()
	b := guarded(t)
	id := b.start(t, "waiting")
	good, of := token(t, grant.Grant{Tasks: []string{id}}), "Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2ln"
	for query, want := range map[string]int{"?access=" + good: 200, "?access=x": 401, "": 401} {
		if got := b.get("/api/tasks/"+id+query, of).Code; got != want {
			t.Errorf("status with %q: %d, want %d", query, got, want)
		}
	}
	if got := b.open("t", "/api/sse/tasks?task_id="+id+"&access="+good, of); got != 200 {
		t.Errorf("stream: %d, want 200", got)
	}
	if got := b.get("/api/tasks/"+id+"?access=x", "Bearer "+good).Code; got != 200 {
		t.Errorf("a valid header beside a wrong query: %d, want 200", got)
	}
}
