package gateway_test

import (
	"strings"
	"testing"

	"tidegate/internal/wire"
)

const cursor = `{"topic":"doc","event":{"name":"cursor","data":"x=1","transient":true}}`

// TestATransientEventIsForWhoIsThere: it has no id, is in no log, and makes no topic.
func TestATransientEventIsForWhoIsThere(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	if got := r.send(cursor); got.Body != `{"status":"ok","receivers":0}` || r.get("/internal/topics").Body != `{"topics":[]}` {
		t.Errorf("to nobody: %s, topics %s", got.Body, r.get("/internal/topics").Body)
	}
	id := r.publish("doc", "1")
	a, token := r.accepted("/a")
	r.subscribe(token, `["doc"]`)
	r.publish("doc", "2")
	if got := r.send(cursor); got.Body != `{"status":"ok","receivers":1}` {
		t.Errorf("to one: %s", got.Body)
	}
	r.publish("doc", "3")
	text := a.until("data: 3\n\n")
	if at := strings.Index(text, "\n\nevent: cursor\ndata: x=1\n\nid: "); at < strings.Index(text, "data: 2") {
		t.Errorf("received %q, want the transient event between the others, without an id", text)
	}
	if info := page[wire.TopicInfo](r, "/internal/topics/doc"); info.Appended != 3 {
		t.Errorf("%d events appended, want 3", info.Appended)
	}
	b, token := r.accepted("/b", "Last-Event-ID: "+id)
	r.subscribe(token, `["doc"]`)
	b.until("data: 3\n\n")
	if strings.Contains(b.text(), "cursor") {
		t.Errorf("who comes later gets %q", b.text())
	}
}

// TestATransientEventFollowsTheReplay of a stream whose callback is pending.
func TestATransientEventFollowsTheReplay(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	r.publish("task:1", "1")
	r.publish("task:2", "2")
	r.publish("task:1", "3")
	r.backend.hold()
	c := r.open("/x")
	token := r.backend.next(wire.Connect).Token
	r.subscribe(token, `["task:1"]`)
	got := r.call("POST", "/internal/send", "application/x-ndjson", `{"topic":"task:1","event":{"data":"t","transient":true}}`+"\n"+`{"topic":"task:1","event":{"data":"t","transient":true},"close":true}`+"\n")
	if !strings.Contains(got.Body, `"receivers":1,"code":200`) || !strings.Contains(got.Body, "INVALID_TRANSIENT") {
		t.Errorf("batch: %s", got.Body)
	}
	r.subscribe(token, `["task:2"]`)
	r.backend.letGo()
	c.until("data: t\n\n")
	var order []string
	for _, ev := range c.events() {
		order = append(order, ev.Data)
	}
	if s := strings.Join(order, " "); s != "1 2 3 t" {
		t.Errorf("received %q, want the replay first", s)
	}
}

// TestATransientEventGoesToAllNodes.
func TestATransientEventGoesToAllNodes(t *testing.T) {
	t.Parallel()
	nodes := cluster(t, sockets, nil, nodeA, nodeB)
	var clients []*client
	for _, n := range nodes {
		c, token := n.accepted("/x")
		n.subscribe(token, `["doc"]`)
		clients = append(clients, c)
	}
	if got := nodes[0].send(cursor); got.Body != `{"status":"ok","receivers":2}` {
		t.Errorf("send: %s, want two receivers", got.Body)
	}
	for _, c := range clients {
		if text := c.until("cursor"); strings.Count(text, "cursor") != 1 {
			t.Errorf("received %q, want it once", text)
		}
	}
}
