package gateway_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"tidegate/internal/gateway"
	"tidegate/internal/wire"
)

// page reads a page of a listing.
func page[T any](r *rig, path string) T {
	r.t.Helper()
	got := r.get(path)
	var found T
	decoder := json.NewDecoder(strings.NewReader(got.Body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&found); err != nil || got.Status != 200 {
		r.t.Fatalf("GET %s: %d %s: %v", path, got.Status, got.Body, err)
	}
	return found
}

func TestListingOfStreams(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	if got := r.get("/internal/streams"); got.Body != `{"streams":[]}` {
		t.Errorf("no streams: %s", got.Body)
	}
	begin := time.Now()
	var tokens []string
	for i := range 5 {
		_, token := r.accepted(fmt.Sprintf("/x?%d", i), fmt.Sprintf("Last-Event-ID: id%d", i))
		tokens = append(tokens, token)
	}
	r.subscribe(tokens[3], `["task:b","task:a"]`)
	r.backend.hold()
	r.open("/pending")
	tokens = append(tokens, r.backend.next(wire.Connect).Token)

	all := page[wire.StreamPage](r, "/internal/streams")
	if len(all.Streams) != 6 || all.Next != "" {
		t.Fatalf("%d streams, next %q, want all 6", len(all.Streams), all.Next)
	}
	for i, s := range all.Streams {
		opened, err := time.Parse(time.RFC3339Nano, s.OpenedAt)
		if s.Token != tokens[i] || err != nil || opened.Before(begin.Add(-time.Second)) || time.Since(opened) < 0 {
			t.Errorf("stream %d: %+v, want token %s, oldest first", i, s, tokens[i])
		}
		if got := page[wire.StreamInfo](r, "/internal/streams/"+s.Token); fmt.Sprint(got) != fmt.Sprint(s) {
			t.Errorf("stream by token: %+v, in the listing: %+v", got, s)
		}
	}
	if s := all.Streams[3]; s.State != "open" || s.URL != "/x?3" || s.LastEventID != "id3" || fmt.Sprint(s.Topics) != "[task:b task:a]" {
		t.Errorf("open stream: %+v", s)
	}
	if s := all.Streams[5]; s.State != "pending" || s.URL != "/pending" || len(s.Topics) != 0 {
		t.Errorf("pending stream: %+v", s)
	}
	if at := page[wire.StreamPage](r, "/internal/streams?topic=task:a"); len(at.Streams) != 1 || at.Streams[0].Token != tokens[3] {
		t.Errorf("streams of a topic: %+v, want the one", at)
	}
	if at := r.get("/internal/streams?topic=task:none"); at.Body != `{"streams":[]}` {
		t.Errorf("streams of an unknown topic: %s, want none", at.Body)
	}
	wantError(t, "unknown token", r.get("/internal/streams/nobody"), 404, "TOKEN_NOT_FOUND")
}

// TestPagesOfStreams: pages join to the whole, also when streams come and go.
func TestPagesOfStreams(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	var clients []*client
	var want []string
	for range 7 {
		c, token := r.accepted("/x")
		clients, want = append(clients, c), append(want, token)
	}
	var got []string
	for after := ""; ; {
		p := page[wire.StreamPage](r, "/internal/streams?limit=3&after="+after)
		for _, s := range p.Streams {
			got = append(got, s.Token)
		}
		if len(got) == 3 { // gone between two pages: one that was shown, one that was not
			clients[1].leave()
			clients[5].leave()
			r.backend.next(wire.Disconnect)
			r.backend.next(wire.Disconnect)
			want = append(want[:5], want[6])
		}
		if after = p.Next; after == "" {
			break
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("pages give %v, want %v", got, want)
	}
}

func TestListingOfTopics(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	for _, topic := range []string{"task:2", "task:1", "task:3", "chat:1", "odd/name ü?#"} {
		r.publish(topic, "x")
	}
	r.send(`{"topic":"task:2","close":true}`)
	names := func(query string) string {
		t.Helper()
		var all []string
		for _, info := range page[wire.TopicPage](r, "/internal/topics"+query).Topics {
			all = append(all, info.Topic)
		}
		return strings.Join(all, " ")
	}
	for query, want := range map[string]string{
		"":                        "chat:1 odd/name ü?# task:1 task:2 task:3",
		"?prefix=task:":           "task:1 task:2 task:3",
		"?prefix=task:&open=true": "task:1 task:3",
		"?after=task:1":           "task:2 task:3",
		"?limit=2":                "chat:1 odd/name ü?#",
		"?prefix=nothing":         "",
	} {
		if got := names(query); got != want {
			t.Errorf("topics%s: %q, want %q", query, got, want)
		}
	}
	if p := page[wire.TopicPage](r, "/internal/topics?limit=2"); p.Next != "odd/name ü?#" {
		t.Errorf("next %q, want the last name of the page", p.Next)
	}
	if got := page[wire.TopicInfo](r, "/internal/topics/odd%2Fname%20%C3%BC%3F%23"); got.Events != 1 {
		t.Errorf("topic with an odd name: %+v", got)
	}
	if got := page[wire.TopicInfo](r, "/internal/topics/task:2"); !got.Closed || got.Appended != 2 {
		t.Errorf("closed topic: %+v, want closed, with an event and an end", got)
	}
	wantError(t, "unknown topic", r.get("/internal/topics/none"), 404, "TOPIC_NOT_FOUND")
}

func TestListingOfEvents(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	var ids []string
	for i := range 5 {
		ids = append(ids, fieldOf(t, r.send(fmt.Sprintf(`{"topic":"task:1","event":{"name":"n","data":"%d\nline"}}`, i)).Body, "id"))
	}
	r.send(`{"topic":"task:1","event":{"data":"last"},"close":true}`)
	p := page[wire.EventPage](r, "/internal/topics/task:1/events?limit=2&after="+ids[1])
	if len(p.Events) != 2 || p.Next != ids[3] {
		t.Fatalf("page %+v, want two events and a next", p)
	}
	if e := p.Events[0]; e.ID != ids[2] || e.Name != "n" || e.Data != "2\nline" || e.Final {
		t.Errorf("event %+v", e)
	}
	p = page[wire.EventPage](r, "/internal/topics/task:1/events?after="+p.Next)
	if len(p.Events) != 2 || p.Next != "" || !p.Events[1].Final || p.Events[1].Name != "" || p.Events[1].Data != "last" {
		t.Errorf("last page %+v, want two events, the second final", p)
	}
	wantError(t, "unknown topic", r.get("/internal/topics/none/events"), 404, "TOPIC_NOT_FOUND")
	wantError(t, "id that is none", r.get("/internal/topics/task:1/events?after=x"), 400, "INVALID_FROM")
}

func TestParametersOfListingsAreChecked(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	r.publish("t", "x")
	for _, path := range []string{"/internal/streams", "/internal/topics", "/internal/topics/t/events"} {
		for _, limit := range []string{"0", "-1", "1001", "many", "1.5", "99999999999999999999"} {
			wantError(t, path+" limit "+limit, r.get(path+"?limit="+limit), 400, "INVALID_PARAMETER")
		}
		for _, limit := range []string{"1", "1000"} {
			if got := r.get(path + "?limit=" + limit); got.Status != 200 {
				t.Errorf("%s limit %s: %d %s", path, limit, got.Status, got.Body)
			}
		}
	}
	wantError(t, "after of streams", r.get("/internal/streams?after=x"), 400, "INVALID_PARAMETER")
}

func TestDeleteStream(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	for query, detail := range map[string]wire.Detail{"": "closed", "?detail=closed": "closed", "?detail=replaced": "replaced"} {
		c, token := r.accepted("/x")
		r.mustSend(token, "last", "ok")
		wantError(t, "bad detail", r.call(http.MethodDelete, "/internal/streams/"+token+"?detail=drain", "", ""), 400, "INVALID_PARAMETER")
		if got := r.call(http.MethodDelete, "/internal/streams/"+token+query, "", ""); got.Status != 200 || got.Body != `{"status":"ok"}` {
			t.Errorf("DELETE%s: %d %s, want 200 ok", query, got.Status, got.Body)
		}
		c.wantEnd("data: last\n\n")
		r.backend.wantDisconnect(token, wire.ServerClosed, detail)
		wantError(t, "DELETE again", r.call(http.MethodDelete, "/internal/streams/"+token, "", ""), 404, "TOKEN_NOT_FOUND")
	}
}

func TestDeleteTopic(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	r.send(`{"topic":"task:1","event":{"data":"x"},"close":true}`)
	if got := r.call(http.MethodDelete, "/internal/topics/task:1", "", ""); got.Status != 200 || got.Body != `{"status":"ok"}` {
		t.Errorf("DELETE: %d %s, want 200 ok", got.Status, got.Body)
	}
	wantError(t, "DELETE again", r.call(http.MethodDelete, "/internal/topics/task:1", "", ""), 404, "TOPIC_NOT_FOUND")
	r.publish("task:1", "the name can be used again")
}

// TestEveryFailureIsJSON: routes that are not, and methods that are not theirs.
func TestEveryFailureIsJSON(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	for _, path := range []string{"/", "/internal", "/internal/", "/internal/none", "/internal/send/x", "/internal/topics/a/b/c", "/x"} {
		for _, method := range []string{"GET", "POST", "OPTIONS"} {
			wantError(t, method+" "+path, r.call(method, path, "", ""), 404, "NOT_FOUND")
		}
	}
	for path, allow := range map[string]string{
		"/internal/send": "POST", "/internal/subscribe": "POST", "/internal/unsubscribe": "POST",
		"/internal/streams": "GET", "/internal/streams/x": "GET, DELETE", "/internal/topics": "GET",
		"/internal/topics/x": "GET, DELETE", "/internal/topics/x/events": "GET", "/internal/openapi.json": "GET", "/metrics": "GET",
	} {
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
			if strings.Contains(allow, method) {
				continue
			}
			got := r.call(method, path, "", "")
			wantError(t, method+" "+path, got, 405, "METHOD_NOT_ALLOWED")
			if got.Header.Get("Allow") != allow {
				t.Errorf("%s %s: Allow %q, want %q", method, path, got.Header.Get("Allow"), allow)
			}
		}
	}
}

func TestInternalSecret(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, func(o *gateway.Options) { o.Secrets = secrets(t) })
	body := `{` + tokenNone + `}`
	for _, authorization := range []string{"", "Bearer", "Bearer ", "Bearer wrong", "Basic " + internalKey, internalKey, "Bearer " + internalKey[1:], "Bearer " + internalKey + "s"} {
		for _, path := range []string{"/internal/send", "/internal/none", "/metrics"} {
			got := r.call(http.MethodPost, path, "application/json", body, "Authorization", authorization)
			wantError(t, authorization+" on "+path, got, 401, "UNAUTHORIZED")
			if got.Header.Get("WWW-Authenticate") != `Bearer realm="tidegate"` {
				t.Errorf("%q: WWW-Authenticate %q", authorization, got.Header.Get("WWW-Authenticate"))
			}
		}
	}
	wantError(t, "right secret", r.call(http.MethodPost, "/internal/send", "application/json", body, "Authorization", "Bearer "+internalKey), 404, "TOKEN_NOT_FOUND")
	for _, path := range []string{"/healthz", "/readyz"} { // probes have no secret
		if got := r.get(path); got.Status != 200 {
			t.Errorf("%s without the secret: %d, want 200", path, got.Status)
		}
	}
}
