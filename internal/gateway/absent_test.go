package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"tidegate/internal/gateway"
	"tidegate/internal/topic"
	"tidegate/internal/wire"
)

const absentTask = `{"topic":"task:nobody","events":[{"name":"error","data":"not found"},{"name":"connection_close","data":"bye"}]}`

// onConnect has the backend subscribe the next stream within its callback.
func (r *rig) onConnect(path, body string, headers ...string) (c *client, token string) {
	r.t.Helper()
	r.backend.hold()
	c = r.open(path, headers...)
	token = r.backend.next(wire.Connect).Token
	got := r.call(http.MethodPost, "/internal/subscribe", "application/json", `{"token":`+quote(token)+`,`+body+`}`)
	if got.Status != 200 {
		r.t.Errorf("subscribe: %d %s", got.Status, got.Body)
	}
	r.backend.letGo()
	return c, token
}

// TestX11AClientThatAsksForNothingThatExists learns that, and that it need not come
// again, and nothing is stored.
func TestX11AClientThatAsksForNothingThatExists(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	c, token := r.onConnect("/x", `"absent":[`+absentTask+`]`)
	text, clean := c.end()
	r.backend.wantDisconnect(token, wire.ServerClosed, wire.DetailTopicClosed)
	if c.response().StatusCode != 200 || !clean {
		t.Errorf("%d, clean end: %v", c.response().StatusCode, clean)
	}
	if !strings.Contains(text, "event: error\ndata: not found\n\n") || !strings.HasSuffix(text, "event: connection_close\ndata: bye\n\n") || strings.Count(text, "id: ") != 2 {
		t.Errorf("received %q", text)
	}
	id, _, _ := strings.Cut(text[strings.LastIndex(text, "id: ")+4:], "\n")
	c, token = r.onConnect("/x", `"absent":[`+absentTask+`]`, "Last-Event-ID: "+id)
	if got := c.response().StatusCode; got != 204 {
		t.Errorf("back with %q: %d, want 204", id, got)
	}
	r.backend.wantDisconnect(token, wire.ServerClosed, wire.DetailTopicFinished)
	if got := r.get("/internal/topics"); got.Body != `{"topics":[]}` {
		t.Errorf("topics: %s", got.Body)
	}
	if n := r.count("tidegate_events_published_total"); n != "0" {
		t.Errorf("%s events were published", n)
	}
	r.publish("task:nobody", "hello")
	c, _ = r.onConnect("/x", `"absent":[`+absentTask+`]`, "Last-Event-ID: "+id)
	c.until("data: hello\n\n")
}

// TestX42AClientGoesOnWhereItWas, whatever from says, unless override does.
func TestX42AClientGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, func(o *gateway.Options) {
		o.Topics = topic.New(topic.Options{Default: topic.Retention{Events: 10, Replay: topic.ReplayHeld}})
	})
	r.publish("news", "1")
	id := r.publish("news", "2")
	r.publish("news", "3")
	for _, tt := range []struct{ path, header, body, want string }{
		{"/x", "", `"topics":["news"]`, "1 2 3"}, // X41: who reloads gets what is held
		{"/x", "", `"topics":["news"],"from":"latest"`, ""},
		{"/x", id, `"topics":["news"],"from":"earliest"`, "3"},
		{"/x", id, `"topics":["news"],"from":"latest"`, "3"},
		{"/x?lastEventId=" + id, "", `"topics":["news"],"from":"earliest"`, "3"},
		{"/x?lastEventID=" + id, "", `"topics":["news"],"from":"earliest"`, "3"},
		{"/x", id, `"topics":["news"],"from":"earliest","override":true`, "1 2 3"},
		{"/x", id, `"topics":["news"],"from":"latest","override":true`, ""},
		{"/x", id, `"topics":["news"],"from":"earliest","override":false`, "3"},
	} {
		var headers []string
		if tt.header != "" {
			headers = []string{"Last-Event-ID: " + tt.header}
		}
		c, token := r.onConnect(tt.path, tt.body, headers...)
		c.response()
		r.send(`{"token":` + quote(token) + `,"close":true}`)
		text, _ := c.end()
		r.backend.wantDisconnect(token, wire.ServerClosed, wire.DetailClosed)
		var got []string
		for line := range strings.Lines(text) {
			if data, ok := strings.CutPrefix(strings.TrimSpace(line), "data: "); ok {
				got = append(got, data)
			}
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s, header %q, %s: got %q, want %q", tt.path, tt.header, tt.body, got, tt.want)
		}
	}
	_, token := r.accepted("/x")
	for _, more := range []string{`"override":true`, `"override":1,"from":"latest"`} {
		wantError(t, more, r.call("POST", "/internal/subscribe", "application/json", `{"token":"`+token+`","topics":["news"],`+more+`}`), 400, "INVALID_OVERRIDE")
	}
}
