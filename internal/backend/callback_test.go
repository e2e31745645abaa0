package backend

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/client"
	"tidegate/internal/wire"
)

// signed is a callback with a signature made at the given time.
func signed(body string, key string, at time.Time) *http.Request {
	r := httptest.NewRequest("POST", "/api/sse/callback", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(wire.SignatureHeader, wire.Sign([]byte(key), wire.Signed{Method: "POST", Target: "/api/sse/callback", Body: []byte(body)}, at))
	return r
}

func TestSignaturesAreAcceptedWhileFresh(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, func(o *Options) { o.Mode = Production })
		body := string(encode(wire.Callback{Action: wire.Connect, Token: "t", Request: wire.Request{URL: versionURL}}))
		cases := map[string]struct {
			request *http.Request
			want    int
		}{
			"fresh":         {signed(body, secret, time.Now()), 200},
			"the next key":  {signed(body, nextSecret, time.Now()), 200},
			"another key":   {signed(body, "other", time.Now()), 401},
			"stale":         {signed(body, secret, time.Now().Add(-client.SignatureTolerance-time.Second)), 401},
			"of the future": {signed(body, secret, time.Now().Add(client.SignatureTolerance+time.Second)), 401},
		}
		other := signed(body, secret, time.Now())
		other.Body = http.NoBody
		cases["of another body"] = struct {
			request *http.Request
			want    int
		}{other, 401}
		for name, tc := range cases {
			w := httptest.NewRecorder()
			b.Callback().ServeHTTP(w, tc.request)
			if w.Code != tc.want {
				t.Errorf("%s: %d %s, want %d", name, w.Code, w.Body, tc.want)
			}
		}
	})
}

func TestBE19AModeThatNobodyKnowsIsACarefulOne(t *testing.T) {
	t.Parallel()
	for mode, want := range map[Mode]int{"": 401, Production: 401, "staging": 401, "Testing": 401, "prodution": 401, Development: 200, Testing: 200} {
		b := setup(t, func(o *Options) { o.Mode = mode })
		if w := b.connect("t1", versionURL); w.Code != want {
			t.Errorf("mode %q: %d, want %d", mode, w.Code, want)
		}
	}
}

func TestBodiesAreBounded(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	if w := b.post(`{"action":"` + strings.Repeat("x", maxCallbackBytes) + `"}`); w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("answer = %d %s", w.Code, w.Body)
	}
	careful := setup(t, func(o *Options) { o.Mode = Production })
	if w := careful.post(strings.Repeat("x", maxCallbackBytes+1)); w.Code != http.StatusUnauthorized {
		t.Errorf("answer to a caller without the secret = %d %s", w.Code, w.Body)
	}
}

func TestEchoesAreBounded(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	long := strings.Repeat("é", 10_000)
	for _, w := range []*httptest.ResponseRecorder{b.connect("t1", "/"+long), b.post(`{"action":"` + long + `"}`)} {
		if w.Code != 400 || w.Body.Len() > maxEchoBytes+100 {
			t.Errorf("answer = %d with %d bytes", w.Code, w.Body.Len())
		}
	}
}

func TestAPanicIsAnswered500AndLogged(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.callback.manager = nil
	w := b.connect("t1", versionURL)
	if w.Code != 500 || w.Body.String() != `{"error":"Internal server error"}` {
		t.Errorf("answer = %d %s", w.Code, w.Body)
	}
	if !strings.Contains(b.log.String(), "panic in a handler") {
		t.Error("the panic was not logged")
	}
}

func TestBE20ErrorsDoNotEchoThePayload(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	w := b.post(`{"action":"disconnect","token":"hidden1","request":{"url":7,"headers":{"cookie":"hidden2","hidden3":1}}}`)
	if w.Code != 400 || strings.Contains(w.Body.String(), "hidden") || strings.Contains(b.log.String(), "hidden") {
		t.Errorf("answer = %d %s\nlog: %s", w.Code, w.Body, b.log.String())
	}
}

func FuzzCallbackBody(f *testing.F) {
	for _, seed := range []string{
		``, `null`, `[]`, `"x"`, `{`, `{"action":null}`, `{"action":"connect","token":"t","request":{"url":"/api/sse/tasks?task_id=a"}}`,
		`{"action":"disconnect","reason":"error","token":"t","request":{"url":"//[x","headers":{"Set-Cookie":["a","b"],"x":null}},"detail":5,"duration_ms":"x"}`,
		`{"action":"connect","token":"t","request":{"url":"/api/sse/stream?request_id=a&task_id=b&task_id=c","headers":{"last-event-id":"1"}}}`,
	} {
		f.Add([]byte(seed), "value-of-a-header")
	}
	documented := []string{
		`200 {}`, `400 {"error":"Missing JSON body"}`, `400 {"error":"Invalid JSON"}`, `400 {"error":"Unknown action: `,
		`400 {"error":"Invalid payload","details":[{"field":"`, `400 {"error":"Cannot route URL: `, `413 {"error":"Body too large"}`,
	}
	f.Fuzz(func(t *testing.T, body []byte, value string) {
		b := setup(t, nil)
		w := b.post(string(body))
		answer := fmt.Sprintf("%d %s", w.Code, w.Body)
		if !slices.ContainsFunc(documented, func(prefix string) bool { return strings.HasPrefix(answer, prefix) }) {
			t.Errorf("answer = %s", answer)
		}
		if len(value) < 12 {
			return // too short to be found by anything but chance
		}
		w = b.post(`{"action":"connect","token":5,"request":{"url":"/","headers":{"x":` + string(encode(value)) + `}}}`)
		if w.Code != 400 || strings.Contains(w.Body.String(), value) && !strings.Contains(echoFree, value) {
			t.Errorf("header %q came back: %s", value, w.Body)
		}
	})
}

// echoFree is what the last answer of FuzzCallbackBody is made of.
const echoFree = `{"error":"Invalid payload","details":[{"field":"token","message":"must be a string"}]}`
