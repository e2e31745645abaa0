package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestAClusterIsOneGateway: whoever asks any node is answered for all.
func TestAClusterIsOneGateway(t *testing.T) {
	t.Parallel()
	h := newHooks(t, nil)
	nodes, apis := h.clustered(3, natsServers(t, 1))
	var clients []*client
	var tokens []string
	for i := range 6 {
		c, token := h.accepted(nodes[i%3], fmt.Sprint("/s?", i))
		clients, tokens = append(clients, c), append(tokens, token)
		apis[(i+1)%3].subscribe(token, "task:all") // of a stream that another node holds
	}

	// A send by token from any node reaches the stream.
	for i, c := range clients {
		for j, a := range apis {
			a.mustSend(toToken(tokens[i], fmt.Sprint(j)))
		}
		for j := range apis {
			if _, got := c.next(); got != fmt.Sprint(j) {
				t.Errorf("stream %d got %q, want %d", i, got, j)
			}
		}
	}

	// Listings cover the cluster, page by page.
	for i, a := range apis {
		var found []string
		for _, s := range a.streams() {
			found = append(found, s.Token)
		}
		if !slices.Equal(found, tokens) {
			t.Errorf("node %d lists %v, want %v", i, found, tokens)
		}
		if _, answer := a.call(http.MethodGet, "/internal/streams?limit=2", "", ""); strings.Count(answer, `"token"`) != 2 || !strings.Contains(answer, `"next"`) {
			t.Errorf("node %d: a page of 2 is %s", i, answer)
		}
		if _, answer := a.call(http.MethodGet, "/internal/topics/task:all", "", ""); !strings.Contains(answer, `"streams":6`) {
			t.Errorf("node %d: topic %s, want 6 streams", i, answer)
		}
	}

	// A topic event reaches the streams on all nodes.
	for i, a := range apis {
		a.publish("task:all", fmt.Sprint(i))
	}
	for i, c := range clients {
		for j := range apis {
			if _, got := c.next(); got != fmt.Sprint(j) {
				t.Errorf("stream %d got %q, want %d", i, got, j)
			}
		}
	}

	// Its receivers are those of all nodes, if these tell in time.
	for i, a := range apis {
		eventually(t, fmt.Sprintf("what is published at node %d has 6 receivers", i), func() bool {
			_, n := a.publish("task:all", "counted")
			if n > 6 {
				t.Errorf("%d receivers, want 6", n)
			}
			return n == 6
		})
	}

	// Nobody's token is not found, and that is known at once.
	node := tokens[0][22:]
	for what, token := range map[string]string{
		"of a node that is not there": strings.Repeat("A", 22) + "nobody99",
		"of another node":             strings.Repeat("A", 22) + node,
		"that is none":                "nobody",
	} {
		quickest := time.Hour // a busy machine makes some slow
		for range 20 {
			begin := time.Now()
			if status, answer := apis[1].send(toToken(token, "x")); status != http.StatusNotFound || !strings.Contains(answer, "TOKEN_NOT_FOUND") {
				t.Errorf("a token %s: %d %s, want 404", what, status, answer)
			}
			quickest = min(quickest, time.Since(begin))
		}
		if t.Logf("404 for a token %s: %s at best", what, quickest); quickest > time.Second {
			t.Errorf("404 for a token %s took %s, want 100ms", what, quickest)
		}
	}

	// The end of a stream that any node asks for.
	if status, answer := apis[2].call(http.MethodDelete, "/internal/streams/"+tokens[0], "", ""); status != http.StatusOK {
		t.Errorf("delete: %d %s", status, answer)
	}
	if rest, err := clients[0].rest(); err != nil {
		t.Errorf("the stream ended with %v behind %q", err, rest)
	}
	h.wantDisconnect(tokens[0], "server_closed", "closed")

	// A clean stop reports all, and nobody reports again.
	for _, p := range nodes {
		p.stop()
	}
	h.wantOneDisconnectEach()
}

// wantOneDisconnectEach checks the accounts of all streams.
func (h *hooks) wantOneDisconnectEach() {
	h.t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for token, a := range h.accounts {
		if a.accepted != a.disconnects {
			h.t.Errorf("%s: %d connects and %d disconnects: %v", token, a.accepted, a.disconnects, a.reasons)
		}
	}
}

// TestF4ConcurrentPublishersAndOneOrder: what is published at all nodes at once
// reaches the streams of all nodes in the same order. The storage has three
// copies here.
func TestF4ConcurrentPublishersAndOneOrder(t *testing.T) {
	t.Parallel()
	const each = 100
	h := newHooks(t, nil)
	nodes, apis := h.clustered(3, natsServers(t, 3))
	var clients []*client
	for i := range 6 {
		c, token := h.accepted(nodes[i%3], "/s")
		apis[i%3].subscribe(token, "task:order")
		clients = append(clients, c)
	}
	var publishing sync.WaitGroup
	for i, a := range apis {
		publishing.Go(func() {
			for n := range each {
				status, answer, err := a.try(http.MethodPost, "/internal/send", "application/json", toTopic("task:order", fmt.Sprint(i, "/", n)))
				if err != nil || status != http.StatusOK {
					t.Errorf("publish: %d %s, %v", status, answer, err)
				}
			}
		})
	}
	publishing.Wait()
	var first []string
	for i, c := range clients {
		var got []string
		for range 3 * each {
			id, data := c.next()
			got = append(got, id+" "+data)
		}
		if i == 0 {
			first = got
		}
		if !slices.Equal(got, first) {
			t.Errorf("stream %d has another order than the first", i)
		}
	}
	for i := range apis { // what was answered first comes first
		n := 0
		for _, event := range first {
			if _, data, _ := strings.Cut(event, " "); strings.HasPrefix(data, fmt.Sprint(i, "/")) {
				if want := fmt.Sprint(i, "/", n); data != want {
					t.Errorf("node %d: event %s, want %s", i, data, want)
				}
				n++
			}
		}
	}
}

// TestF10F11AClientThatMovesMissesNothing: while two topics are published to, it
// goes from node to node with its last event id, and has each event once.
func TestF10F11AClientThatMovesMissesNothing(t *testing.T) {
	t.Parallel()
	const events, moves = 400, 10
	h := newHooks(t, nil)
	nodes, apis := h.clustered(2, natsServers(t, 1))
	c, token := h.accepted(nodes[0], "/s")
	apis[1].subscribe(token, "task:a", "task:b")
	var publishing sync.WaitGroup
	publishing.Go(func() {
		for i := range events {
			body := toTopic([]string{"task:a", "task:b"}[i%2], fmt.Sprint(i))
			if status, answer, err := apis[i/2%2].try(http.MethodPost, "/internal/send", "application/json", body); err != nil || status != http.StatusOK {
				t.Errorf("publish: %d %s, %v", status, answer, err)
			}
		}
	})
	defer publishing.Wait()
	last := ""
	for i := range events {
		if i > 0 && i%(events/moves) == 0 {
			c.leave()
			h.next("disconnect")
			to := i / (events / moves) % 2
			c, token = h.accepted(nodes[to], "/s", "Last-Event-ID: "+last)
			apis[(i+1)%2].subscribe(token, "task:a", "task:b")
		}
		id, data := c.next()
		if data != fmt.Sprint(i) {
			t.Fatalf("event %q, want %d", data, i)
		}
		last = id
	}
	if _, n := apis[0].publish("task:a", "behind"); n > 1 {
		t.Errorf("%d receivers, want the one client", n)
	}
	if _, got := c.next(); got != "behind" {
		t.Errorf("event %q, want no repeat", got)
	}
}

// TestF17TenantsOnOneServerDoNotSeeEachOther: neither with an id, nor with a token.
func TestF17TenantsOnOneServerDoNotSeeEachOther(t *testing.T) {
	t.Parallel()
	urls := natsServers(t, 1)
	h, other := newHooks(t, nil), newHooks(t, nil)
	ours, ourAPI := h.clustered(1, urls, "--nats-prefix", "ours")
	theirs, theirAPI := other.clustered(1, urls, "--nats-prefix", "theirs")
	c, token := h.accepted(ours[0], "/s")
	ourAPI[0].subscribe(token, "task:1")
	foreign, foreignToken := other.accepted(theirs[0], "/s")
	theirAPI[0].subscribe(foreignToken, "task:1")

	id, n := ourAPI[0].publish("task:1", "secret")
	if n != 1 {
		t.Errorf("%d receivers, want ours only", n)
	}
	ourAPI[0].publish("task:1", "secret too")
	theirID, _ := theirAPI[0].publish("task:1", "theirs")
	if _, got := foreign.next(); got != "theirs" {
		t.Errorf("another tenant got %q, want its own event only", got)
	}
	if _, got := c.next(); got != "secret" {
		t.Errorf("we got %q, want our own event", got)
	}
	// Our id, also made to look like one of theirs, shows nothing of ours.
	generation, _, _ := strings.Cut(theirID, "-")
	_, position, _ := strings.Cut(id, "-")
	for _, guess := range []string{id, generation + "-" + position, generation + "-1"} {
		back, token := other.accepted(theirs[0], "/s", "Last-Event-ID: "+guess)
		theirAPI[0].subscribe(token, "task:1")
		theirAPI[0].mustSend(toToken(token, "end"))
		for got := ""; got != "end"; _, got = back.next() {
			if strings.Contains(got, "secret") {
				t.Errorf("with the id %q another tenant got %q", guess, got)
			}
		}
	}
	if status, answer := theirAPI[0].send(toToken(token, "x")); status != http.StatusNotFound {
		t.Errorf("another tenant's send to our stream: %d %s, want 404", status, answer)
	}
	for _, path := range []string{"/internal/streams", "/internal/topics", "/internal/cluster", "/internal/topics/task:1/events"} {
		if _, answer := theirAPI[0].call(http.MethodGet, path, "", ""); strings.Contains(answer, token) || strings.Contains(answer, "secret") || strings.Contains(strings.ToLower(answer), "ours") {
			t.Errorf("another tenant's %s has something of ours: %s", path, answer)
		}
	}
}
