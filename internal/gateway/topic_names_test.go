package gateway_test

import (
	"net/url"
	"strings"
	"testing"
)

// TestX46ATopicThatCanBeSentToCanBeReadAndDeleted: names that paths, proxies or
// clients could take for something else.
func TestX46ATopicThatCanBeSentToCanBeReadAndDeleted(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	for _, name := range []string{
		"a/b", "//", "a//b", "/a", "a/", "a/.", "a/..", "../a", "./a", "a/../b", "a/events", "events", "...", ". .", " ", "%", "%2e", "%2F", "%2e%2e",
		"?", "#", "a?b#c", "+", ";", "a;b", "&=", "\\", "..\\", "\u00e9", "\u2028", "*", "{topic}", "internal", "$", "@:80", "http://x/", "'\"<>`",
	} {
		path := "/internal/topics/" + url.PathEscape(name)
		id := r.publish(name, "x")
		if got := r.get(path); got.Status != 200 || fieldOf(t, got.Body, "topic") != name {
			t.Errorf("read %q at %s: %d %s", name, path, got.Status, got.Body)
		}
		if got := r.get(path + "/events?limit=1"); got.Status != 200 || !strings.Contains(got.Body, id) {
			t.Errorf("events of %q: %d %s", name, got.Status, got.Body)
		}
		if got := r.get("/internal/topics?prefix=" + url.QueryEscape(name)); got.Status != 200 || !strings.Contains(got.Body, id) {
			t.Errorf("listing of %q: %d %s", name, got.Status, got.Body)
		}
		if got := r.call("DELETE", path, "", ""); got.Status != 200 {
			t.Errorf("delete %q: %d %s", name, got.Status, got.Body)
		}
	}
}

// TestX46ATopicThatNoPathCanNameIsRefused wherever a topic is made.
func TestX46ATopicThatNoPathCanNameIsRefused(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	_, token := r.accepted("/x")
	for _, name := range []string{".", "..", "/"} {
		line := `{"topic":` + quote(name) + `,"event":{"data":"x"}}`
		wantError(t, "send to "+name, r.send(line), 400, "INVALID_TOPIC")
		wantError(t, "subscribe to "+name, r.subscribe(token, `["a",`+quote(name)+`]`), 400, "INVALID_TOPIC")
		got := r.call("POST", "/internal/send", "application/x-ndjson", line+"\n")
		if !strings.Contains(got.Body, `"code":400`) || !strings.Contains(got.Body, "INVALID_TOPIC") {
			t.Errorf("batch to %q: %d %s", name, got.Status, got.Body)
		}
	}
	if got := r.get("/internal/topics"); got.Body != `{"topics":[]}` {
		t.Errorf("topics: %s, want none", got.Body)
	}
}
