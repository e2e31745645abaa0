package gateway_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/internal/gateway"
	"tidegate/internal/wire"
)

func TestATokenEndsWithItsNode(t *testing.T) {
	t.Parallel()
	a := cluster(t, sockets, nil, nodeA)[0]
	_, token := a.accepted("/x")
	if len(token) != 22+8 || !strings.HasSuffix(token, nodeA) {
		t.Errorf("token %q, want 22 characters and %s", token, nodeA)
	}
	if got := page[wire.StreamPage](a, "/internal/streams"); len(got.Streams) != 1 || got.Streams[0].Token != token {
		t.Errorf("listing %+v, want the token %s", got, token)
	}
	if n := a.member.asks(); n != 0 {
		t.Errorf("%d requests to others, want none", n)
	}
}

// TestEveryNodeAnswersForEveryStream: as the one does that holds it, in all that
// a caller looks at.
func TestEveryNodeAnswersForEveryStream(t *testing.T) {
	t.Parallel()
	rigs := cluster(t, sockets, func(o *gateway.Options) { o.MaxPending = 300 }, nodeA, nodeB)
	a, b := rigs[0], rigs[1]
	body := func(token, rest string) string { return `{"token":` + quote(token) + rest + `}` }
	post := func(r *rig, path, body string) reply {
		return r.call(http.MethodPost, path, "application/json", body)
	}
	for _, tt := range []struct {
		name    string
		request func(r *rig, token string) reply
		status  int
		code    string
	}{
		{"send", func(r *rig, token string) reply { return r.send(body(token, `,"event":{"data":"x"}`)) }, 200, ""},
		{"send nothing", func(r *rig, token string) reply { return r.send(body(token, "")) }, 200, ""},
		{"send too much", func(r *rig, token string) reply {
			return r.send(body(token, `,"event":{"data":"`+strings.Repeat("x", 400)+`"}`))
		}, 503, "BUFFER_FULL"},
		{"bad event", func(r *rig, token string) reply { return r.send(body(token, `,"event":1`)) }, 400, "INVALID_EVENT_TYPE"},
		{"bad name", func(r *rig, token string) reply { return r.send(body(token, `,"event":{"name":"\n","data":"x"}`)) }, 400, "INVALID_EVENT_NAME"},
		{"subscribe", func(r *rig, token string) reply {
			return post(r, "/internal/subscribe", body(token, `,"topics":["task:1"]`))
		}, 200, ""},
		{"bad from", func(r *rig, token string) reply {
			return post(r, "/internal/subscribe", body(token, `,"topics":["task:1"],"from":"\u0000"`))
		}, 400, "INVALID_FROM"},
		{"bad topic", func(r *rig, token string) reply {
			return post(r, "/internal/subscribe", body(token, `,"topics":["task:`+strings.Repeat("x", 300)+`"]`))
		}, 400, "INVALID_TOPIC"},
		{"unsubscribe", func(r *rig, token string) reply {
			return post(r, "/internal/unsubscribe", body(token, `,"topics":["task:1"]`))
		}, 200, ""},
		{"show", func(r *rig, token string) reply { return r.get("/internal/streams/" + token) }, 200, ""},
		{"bad detail", func(r *rig, token string) reply {
			return r.call(http.MethodDelete, "/internal/streams/"+token+"?detail=x", "", "")
		}, 400, "INVALID_PARAMETER"},
		{"delete again", func(r *rig, token string) reply {
			return r.call(http.MethodDelete, "/internal/streams/"+token+"?detail=replaced", "", "")
		}, 404, "TOKEN_NOT_FOUND"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a.backend.hold()
			a.open("/x") // its callback is pending: what is sent is kept
			token := a.backend.next(wire.Connect).Token
			tt.request(b, token)
			there := tt.request(b, token)
			here := tt.request(a, token)
			if got, want := seen(there), seen(here); got != want {
				t.Errorf("another node answers\n%s\nthe node itself\n%s", got, want)
			}
			if tt.code != "" {
				wantError(t, "at another node", there, tt.status, tt.code)
			} else if there.Status != tt.status {
				t.Errorf("%d %s, want %d", there.Status, there.Body, tt.status)
			}
			if tt.code == "BUFFER_FULL" && there.Header.Get("Retry-After") != "1" {
				t.Errorf("Retry-After %q, want 1", there.Header.Get("Retry-After"))
			}
			a.backend.letGo()
		})
	}
}

// seen is what a caller looks at.
func seen(r reply) string {
	return fmt.Sprintln(r.Status, r.Header["Retry-After"], r.Header["Content-Type"], r.Body)
}

func TestASendFromAnotherNodeReachesTheStreamInOrder(t *testing.T) {
	t.Parallel()
	rigs := cluster(t, sockets, nil, nodeA, nodeB, nodeC)
	c, token := rigs[0].accepted("/x")
	rigs[1].subscribe(token, `["task:1"]`)
	var want strings.Builder
	for i := range 30 {
		rigs[i%3].mustSend(token, fmt.Sprint(i), "ok")
		fmt.Fprintf(&want, "data: %d\n\n", i)
	}
	rigs[0].publish("task:1", "topic")
	c.until("data: topic\n\n")
	if _, got, _ := strings.Cut(c.text(), "\n\n"); !strings.HasPrefix(got, want.String()) {
		t.Errorf("stream %q, want it to have %q", got, want.String())
	}
	if got := rigs[2].send(`{"token":` + quote(token) + `,"event":{"data":"end"},"close":true}`); got.Status != 200 {
		t.Errorf("close: %d %s", got.Status, got.Body)
	}
	if text, clean := c.end(); !strings.HasSuffix(text, "data: end\n\n") || !clean {
		t.Errorf("stream ended with %q, clean: %v", text, clean)
	}
	rigs[0].backend.wantDisconnect(token, wire.ServerClosed, wire.DetailClosed)
	for i, r := range rigs {
		wantError(t, fmt.Sprint("behind the end, at node ", i), r.send(`{"token":`+quote(token)+`}`), 404, "TOKEN_NOT_FOUND")
	}
}

// TestNobodysTokenIsNotFoundAtOnce: neither one of a node that is gone, nor one
// that was never drawn, nor a word that is no token.
func TestNobodysTokenIsNotFoundAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rigs := cluster(t, pipes, nil, nodeA, nodeB)
		rigs[1].member.silence()
		begin := time.Now()
		random := strings.Repeat("A", 22)
		for _, token := range []string{random, random + "nobody99", random + nodeA, random[1:] + nodeB, "x", random + nodeB + "x", random + ".*>nodeb"} {
			what := "token " + token
			send := rigs[0].send(`{"token":` + quote(token) + `,"event":{"data":"x"}}`)
			wantError(t, what, send, 404, "TOKEN_NOT_FOUND")
			wantError(t, what, rigs[0].subscribe(token, `["task:1"]`), 404, "TOKEN_NOT_FOUND")
		}
		if took := time.Since(begin); took > 0 {
			t.Errorf("took %s, want no waiting", took)
		}
	})
}

func TestANodeThatDoesNotAnswerIsUnavailable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rigs := cluster(t, pipes, nil, nodeA, nodeB)
		_, token := rigs[1].accepted("/x")
		rigs[1].member.silence()
		for what, request := range map[string]func() reply{
			"send":      func() reply { return rigs[0].send(`{"token":` + quote(token) + `,"event":{"data":"x"}}`) },
			"subscribe": func() reply { return rigs[0].subscribe(token, `["task:1"]`) },
			"show":      func() reply { return rigs[0].get("/internal/streams/" + token) },
			"delete":    func() reply { return rigs[0].call(http.MethodDelete, "/internal/streams/"+token, "", "") },
		} {
			begin := time.Now()
			got := request()
			wantError(t, what, got, 503, "ENGINE_UNAVAILABLE")
			if got.Header.Get("Retry-After") == "" {
				t.Errorf("%s: no Retry-After", what)
			}
			if took := time.Since(begin); took != 5*time.Second {
				t.Errorf("%s: took %s, want 5s", what, took)
			}
		}
	})
}

// TestWhatAPeerAsksIsNotPassedOn: however it names the token, or two nodes that
// disagree would ask each other for ever.
func TestWhatAPeerAsksIsNotPassedOn(t *testing.T) {
	t.Parallel()
	rigs := cluster(t, sockets, nil, nodeA, nodeB)
	a, b := rigs[0], rigs[1]
	_, token := b.accepted("/x")
	for _, r := range []wire.PeerRequest{
		{Method: "POST", Target: "/internal/send", ContentType: "application/json", Body: []byte(`{"token":` + quote(token) + `}`)},
		{Method: "POST", Target: "/internal/subscribe", ContentType: "application/json", Body: []byte(`{"token":` + quote(token) + `,"topics":["task:1"]}`)},
		{Method: "GET", Target: "/internal/streams/" + token},
		{Method: "DELETE", Target: "/internal/streams/" + token},
		{Method: "GET", Target: "/internal/topics/task:1"},
		{Method: "GET", Target: "/internal/no-such-route"},
	} {
		if got := a.gateway.AnswerPeer(t.Context(), r); got.Status != 404 || codeOf(t, string(got.Body)) == "" {
			t.Errorf("%s %s: %d %s, want 404", r.Method, r.Target, got.Status, got.Body)
		}
	}
	for _, target := range []string{"/internal/streams", "/internal/topics"} {
		if got := a.gateway.AnswerPeer(t.Context(), wire.PeerRequest{Method: "GET", Target: target}); got.Status != 200 || strings.Contains(string(got.Body), token) {
			t.Errorf("GET %s: %d %s, want a page without the other node's stream", target, got.Status, got.Body)
		}
	}
	if got := a.gateway.AnswerPeer(t.Context(), wire.PeerRequest{Method: "GET", Target: ":// no target"}); got.Status != 400 {
		t.Errorf("a target that is none: %d %s, want 400", got.Status, got.Body)
	}
	if n := a.member.asks(); n != 0 {
		t.Errorf("%d requests were passed on, want none", n)
	}
}

func TestReadinessListsWhatStorageLacks(t *testing.T) {
	t.Parallel()
	var lacks []string
	r := setup(t, sockets, func(o *gateway.Options) { o.Health = func() []string { return lacks } })
	if got := r.get("/readyz"); got.Status != 200 || got.Body != `{"status":"ready","configured":true}` {
		t.Errorf("ready: %d %s", got.Status, got.Body)
	}
	lacks = []string{"not connected to NATS", "JetStream does not answer"}
	want := `{"status":"not_ready","configured":true,"reasons":["not connected to NATS","JetStream does not answer"]}`
	if got := r.get("/readyz"); got.Status != 503 || got.Body != want {
		t.Errorf("not ready: %d %s, want 503 %s", got.Status, got.Body, want)
	}
}
