package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestGW18BackendRestart: streams outlive their backend. The new one asks who is
// there, can send at once, and receives the ends of those who left meanwhile.
func TestGW18BackendRestart(t *testing.T) {
	t.Parallel()
	h := newHooks(t, nil)
	p := h.gateway("--heartbeat", "200ms")
	a := p.api()
	var clients []*client
	var tokens []string
	for i := range 10 {
		c, token := h.accepted(p, fmt.Sprintf("/api/sse/tasks?task_id=%d", i))
		a.subscribe(token, fmt.Sprint("task:", i))
		clients, tokens = append(clients, c), append(tokens, token)
	}
	h.cut() // like a process that is killed

	// Meanwhile some leave, others come in vain, and events are published.
	for _, c := range clients[:3] {
		c.leave()
	}
	eventually(t, "the gateway has noticed", func() bool { return len(a.streams()) == 7 })
	late := dial(t, p.public, "/late")
	if err := late.answer(); err != nil || late.head.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a client without a backend got %v, %v, want 503", late.head, err)
	}
	a.mustSend(toTopic("task:5", "published while it was away"))
	if ev := clients[5].event(); ev.Data != "published while it was away" {
		t.Errorf("stream got %+v while the backend was away", ev)
	}

	// The new process knows nothing, and asks.
	back := newBackendOf(h)
	var found []string
	for _, s := range a.streams() {
		found = append(found, s.Token)
		i := slices.Index(tokens, s.Token)
		if i < 3 || s.State != "open" || s.URL != fmt.Sprintf("/api/sse/tasks?task_id=%d", i) || !slices.Equal(s.Topics, []string{fmt.Sprint("task:", i)}) {
			t.Errorf("stream %d in the listing: %+v", i, s)
		}
		a.mustSend(toToken(s.Token, "hello again"))
		if ev := clients[i].event(); ev.Data != "hello again" {
			t.Errorf("stream %d got %+v", i, ev)
		}
	}
	if !slices.Equal(found, tokens[3:]) {
		t.Errorf("listing has %v, want %v", found, tokens[3:])
	}

	// It receives the ends of those who left before it was there.
	gone := map[string]bool{}
	for range 3 {
		cb := h.next("disconnect")
		gone[cb.Token] = true
		if waited := cb.at.Sub(back); waited > 11*time.Second {
			t.Errorf("reported %s after the return, want within a pause", waited)
		}
	}
	for _, token := range tokens[:3] {
		if !gone[token] {
			t.Errorf("the disconnect of %s was not delivered", token)
		}
	}
	c, token := h.accepted(p, "/after")
	c.leave()
	h.wantDisconnect(token, "client_closed", "")
	p.stop()
	if strings.Contains(p.log(), "given up") {
		t.Errorf("disconnects were given up: %s", tail(p.log()))
	}
}

// newBackendOf brings the backend back with nothing in its memory, and says when.
func newBackendOf(h *hooks) time.Time {
	h.mu.Lock()
	h.accounts = map[string]*account{}
	h.mu.Unlock()
	h.up()
	return time.Now()
}
