package gateway_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"tidegate/internal/wire"
)

func TestSubscribeChecks(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	_, token := r.accepted("/x")
	tok := `"token":"` + token + `"`
	tests := []struct {
		body   string
		status int
		code   string
	}{
		{`{}`, 400, "INVALID_TOKEN_MISSING"},
		{`{"token":7,"topics":["a"]}`, 400, "INVALID_TOKEN_MISSING"},
		{`{` + tok + `}`, 400, "INVALID_TOPIC"},
		{`{` + tok + `,"topics":[]}`, 400, "INVALID_TOPIC"},
		{`{` + tok + `,"topics":"a"}`, 400, "INVALID_TOPIC"},
		{`{` + tok + `,"topics":[""]}`, 400, "INVALID_TOPIC"},
		{`{` + tok + `,"topics":["a\u0000"]}`, 400, "INVALID_TOPIC"},
		{`{` + tok + `,"topics":["a",7]}`, 400, "INVALID_TOPIC"},
		{`{` + tok + `,"topics":["a"],"from":""}`, 400, "INVALID_FROM"},
		{`{` + tok + `,"topics":["a"],"from":7}`, 400, "INVALID_FROM"},
		{`{` + tok + `,"topics":["a"],"from":"yesterday"}`, 400, "INVALID_FROM"},
		{`{` + tokenNone + `,"topics":["a"]}`, 404, "TOKEN_NOT_FOUND"},
		{`{`, 400, "INVALID_JSON"},
	}
	for _, tt := range tests {
		wantError(t, tt.body, r.call(http.MethodPost, "/internal/subscribe", "application/json", tt.body), tt.status, tt.code)
	}
	wantError(t, "NDJSON", r.call(http.MethodPost, "/internal/subscribe", "application/x-ndjson", "{}"), 415, "UNSUPPORTED_MEDIA_TYPE")
	wantError(t, "unsubscribe", r.call(http.MethodPost, "/internal/unsubscribe", "application/json", "{}"), 400, "INVALID_TOKEN_MISSING")
	if got := r.get("/internal/topics"); got.Body != `{"topics":[]}` {
		t.Errorf("refused subscriptions made topics: %s", got.Body)
	}
}

// TestSubscribeWhilePending: what is published meanwhile is there when the
// stream opens, after what was sent before.
func TestSubscribeWhilePending(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	first := r.publish("task:1", "past")
	r.backend.hold()
	c := r.open("/x")
	token := r.backend.next(wire.Connect).Token
	r.mustSend(token, "before", "buffered")
	got := r.subscribe(token, `["task:1"]`)
	if status := fieldOf(t, got.Body, "status"); got.Status != 200 || status != "buffered" {
		t.Errorf("subscribe: %d %s, want 200 buffered", got.Status, got.Body)
	}
	second := r.publish("task:1", "live")
	r.mustSend(token, "after", "buffered")
	r.backend.letGo()
	want := fmt.Sprintf("data: before\n\nid: %s\ndata: past\n\nid: %s\ndata: live\n\ndata: after\n\n", first, second)
	if got := c.until("after\n\n"); got != want {
		t.Errorf("stream\n got %q\nwant %q", got, want)
	}
	if got := r.subscribe(token, `["task:1"]`); fieldOf(t, got.Body, "status") != "ok" {
		t.Errorf("subscribe to an open stream: %s, want ok", got.Body)
	}
}

func TestSubscribeAnswersWithTheTopics(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	id := r.publish("task:1", "x")
	_, token := r.accepted("/x")
	got := r.subscribe(token, `["task:1","none:2"]`).Body
	for _, part := range []string{`"status":"ok"`, `"task:1":{"topic":"task:1","events":1,`, `"appended":1`, `"last_id":"` + id + `"`, `"none:2":{"topic":"none:2","events":0,`} {
		if !strings.Contains(got, part) {
			t.Errorf("subscribe answers %s, want %s in it", got, part)
		}
	}
	if got := r.get("/internal/topics/none:2").Body; !strings.Contains(got, `"streams":1`) {
		t.Errorf("topic %s, want one stream", got)
	}
}

// TestIdOnlyBlock: a stream that nothing is replayed to has an id to resume from.
func TestIdOnlyBlock(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	c, token := r.accepted("/x")
	r.subscribe(token, `["chat:1"]`)
	block := c.until("\n\n")
	id, ok := strings.CutPrefix(block, "id: ")
	if !ok || strings.Count(block, "\n") != 2 {
		t.Fatalf("stream begins with %q, want a block with an id alone", block)
	}
	if events := c.events(); len(events) != 0 {
		t.Errorf("the block is an event: %v", events)
	}
	c.leave() // before its first event
	r.backend.next(wire.Disconnect)
	missed := r.publish("chat:1", "missed")
	c, token = r.accepted("/x", "Last-Event-ID: "+strings.TrimSpace(id))
	r.subscribe(token, `["chat:1"]`)
	if got, want := c.until("missed\n\n"), "id: "+missed+"\ndata: missed\n\n"; got != want {
		t.Errorf("after a reconnect %q, want %q", got, want)
	}
}

// TestResume: header and query say where to go on; the header counts first.
func TestResume(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	var ids []string
	for i := range 4 {
		ids = append(ids, r.publish("task:1", fmt.Sprint(i)))
	}
	tests := []struct {
		name, target, header string
		want                 []string
	}{
		{"nothing", "/x", "", []string{"0", "1", "2", "3"}},
		{"header", "/x", ids[1], []string{"2", "3"}},
		{"query", "/x?lastEventId=" + ids[2], "", []string{"3"}},
		{"both", "/x?lastEventId=" + ids[2], ids[0], []string{"1", "2", "3"}},
		{"the newest", "/x", ids[3], nil},
	}
	for _, tt := range tests {
		var lines []string
		if tt.header != "" {
			lines = append(lines, "Last-Event-ID: "+tt.header)
		}
		c, token := r.accepted(tt.target, lines...)
		r.subscribe(token, `["task:1"]`)
		r.mustSend(token, "end", "ok")
		c.until("end\n\n")
		var got []string
		for _, ev := range c.events() {
			got = append(got, ev.Data)
		}
		if want := append(tt.want, "end"); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: events %v, want %v", tt.name, got, want)
		}
		c.leave()
		r.backend.next(wire.Disconnect)
	}
}

func TestFrom(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	first := r.publish("chat:1", "1")
	r.publish("chat:1", "2")
	for from, want := range map[string]string{"earliest": "12", "latest": "", first: "2"} {
		c, token := r.accepted("/x")
		got := r.call(http.MethodPost, "/internal/subscribe", "application/json", `{"token":"`+token+`","topics":["chat:1"],"from":"`+from+`"}`)
		if got.Status != 200 {
			t.Errorf("from %s: %d %s", from, got.Status, got.Body)
		}
		r.mustSend(token, "end", "ok")
		c.until("end\n\n")
		var data strings.Builder
		for _, ev := range c.events() {
			data.WriteString(ev.Data)
		}
		if data.String() != want+"end" {
			t.Errorf("from %s: events %q, want %q", from, data.String(), want+"end")
		}
	}
}

// TestLostHistoryIsReported: with an event that a browser can see, before what is left.
func TestLostHistoryIsReported(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	first := r.publish("short:1", "1")
	for _, data := range []string{"2", "3", "4"} { // two are kept
		r.publish("short:1", data)
	}
	other := "aaaaaaaa-1" // of another process
	for _, id := range []string{first, other, "garbage", "-", strings.Repeat("x", 1000)} {
		c, token := r.accepted("/x", "Last-Event-ID: "+id)
		r.subscribe(token, `["short:1"]`)
		c.until("data: 4\n\n")
		events := c.events()
		if len(events) != 3 || events[0].Name != "reset" || events[0].Data != `{"reason":"history_lost"}` || events[0].ID != "" && events[0].ID != id {
			t.Errorf("after %.20q: events %v, want a reset and the two that are held", id, events)
		}
	}
}

func TestUnsubscribe(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	r.backend.hold()
	c := r.open("/x")
	token := r.backend.next(wire.Connect).Token
	unsubscribe := func(topics string) {
		t.Helper()
		got := r.call(http.MethodPost, "/internal/unsubscribe", "application/json", `{"token":"`+token+`","topics":`+topics+`}`)
		if got.Status != 200 || got.Body != `{"status":"ok"}` {
			t.Errorf("unsubscribe: %d %s, want 200 ok", got.Status, got.Body)
		}
	}
	r.subscribe(token, `["chat:1","chat:2","chat:3"]`)
	unsubscribe(`["chat:1","chat:never"]`) // while the callback is pending
	r.publish("chat:1", "no")
	r.publish("chat:2", "yes")
	r.backend.letGo()
	c.until("yes\n\n")
	unsubscribe(`["chat:2"]`)
	r.publish("chat:2", "no")
	r.publish("chat:3", "last")
	if got := c.until("last\n\n"); strings.Contains(got, "no") {
		t.Errorf("stream %q has events of topics that it left", got)
	}
	unsubscribe(`["chat:3"]`)
	r.mustSend(token, "still open", "ok") // leaving the last topic ends nothing
	c.until("still open\n\n")
}

// TestClosedTopicEndsItsStreams: after its last event, unless they have another
// topic; who comes back with its last id gets 204.
func TestClosedTopicEndsItsStreams(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	one, oneToken := r.accepted("/one")
	r.subscribe(oneToken, `["task:1"]`)
	two, twoToken := r.accepted("/two")
	r.subscribe(twoToken, `["task:1","task:2"]`)
	got := r.send(`{"topic":"task:1","event":{"data":"last"},"close":true}`)
	id := fieldOf(t, got.Body, "id")
	if want := `{"status":"ok","id":"` + id + `","receivers":2}`; got.Body != want {
		t.Errorf("close of a topic: %s, want %s", got.Body, want)
	}
	if text, clean := one.end(); !strings.HasSuffix(text, "id: "+id+"\ndata: last\n\n") || !clean {
		t.Errorf("stream with one topic: %q, clean %v, want the last event and an end", text, clean)
	}
	r.backend.wantDisconnect(oneToken, wire.ServerClosed, wire.DetailTopicClosed)
	two.until("data: last\n\n")
	r.publish("task:2", "more")
	two.until("data: more\n\n")
	wantError(t, "publish to a closed topic", r.send(`{"topic":"task:1","event":{"data":"x"}}`), 409, "TOPIC_CLOSED")

	// Back with the last id, subscribed from within the callback.
	r.backend.handle(func(_ http.ResponseWriter, cb callback) {
		if cb.Action == wire.Connect {
			r.subscribe(cb.Token, `["task:1"]`)
		}
	})
	back := r.open("/one", "Last-Event-ID: "+id)
	token := r.backend.next(wire.Connect).Token
	if head := back.response(); head.StatusCode != http.StatusNoContent {
		t.Errorf("back at the end of a closed topic: %d, want 204", head.StatusCode)
	}
	r.backend.wantDisconnect(token, wire.ServerClosed, wire.DetailTopicFinished)

	late := r.open("/one") // without an id the past is shown again
	r.backend.next(wire.Connect)
	late.wantEnd("id: " + id + "\ndata: last\n\n")
}

// TestSubscribeToEndingStreamIs404: a stream that is about to end takes
// nothing more, also while its client has not yet read what it has.
func TestSubscribeToEndingStreamIs404(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t, pipes, nil)
		c := r.mute(getRequest("/x")) // on a pipe nothing is sent until it is read
		token := r.backend.next(wire.Connect).Token
		r.send(`{"token":"` + token + `","close":true}`)
		wantError(t, "subscribe", r.subscribe(token, `["task:1"]`), 404, "TOKEN_NOT_FOUND")
		wantError(t, "send", r.send(`{"token":"`+token+`","event":{"data":"x"}}`), 404, "TOKEN_NOT_FOUND")
		c.reading()
		c.wantEnd("")
	})
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	body := `{"topic":"task:1","event":{"data":"x"},"idempotency_key":"k"}`
	first := r.send(body)
	if again := r.send(body); again.Status != 200 || again.Body != first.Body {
		t.Errorf("repeat answered %s, want %s", again.Body, first.Body)
	}
	if got := r.get("/internal/topics/task:1").Body; !strings.Contains(got, `"appended":1`) {
		t.Errorf("topic %s, want one event", got)
	}
}
