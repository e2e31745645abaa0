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

// TestF8AKilledGatewayLeavesNoDeafSubscriber: its clients come back to another
// node, have what they missed and what is new, and the backend receives each end
// stream's end once.
func TestF8AKilledGatewayLeavesNoDeafSubscriber(t *testing.T) {
	t.Parallel()
	const lost = 20
	h := newHooks(t, nil)
	nodes, apis := h.clustered(3, natsServers(t, 1))
	tokens := map[string]bool{}
	var dead, last string
	for i := range lost {
		c, token := h.accepted(nodes[0], fmt.Sprint("/lost?", i))
		tokens[token], dead = true, token[22:]
		apis[i%3].subscribe(token, "task:x")
		if i == lost-1 {
			apis[1].publish("task:x", "before")
			last, _ = c.next()
		}
	}
	apis[1].publish("task:x", "missed")

	_ = nodes[0].cmd.Process.Kill()
	<-nodes[0].gone
	killed := time.Now()
	c, token := h.accepted(nodes[1], "/back", "Last-Event-ID: "+last)
	apis[2].subscribe(token, "task:x")
	_, n := apis[2].publish("task:x", "new")
	t.Logf("published to the survivors in %s with %d receivers", time.Since(killed), n)
	for _, want := range []string{"missed", "new"} {
		if _, got := c.next(); got != want {
			t.Errorf("the client that came back got %q, want %q", got, want)
		}
	}
	if n > 1 {
		t.Errorf("%d receivers, want the one that is there", n)
	}
	// A listing says that it is not complete.
	begin := time.Now()
	missing := fmt.Sprintf(`"missing_nodes":[%q]`, dead)
	if _, answer := apis[1].call(http.MethodGet, "/internal/streams", "", ""); !strings.Contains(answer, missing) || !strings.Contains(answer, token) {
		t.Errorf("listing %s, want the stream that is there, and %s", answer, missing)
	}
	t.Logf("a listing without the killed gateway in %s", time.Since(begin))
	// A token of the killed gateway is nobody's.
	for gone := range tokens {
		if status, answer := apis[1].send(toToken(gone, "x")); status != http.StatusNotFound {
			t.Errorf("send to a lost stream: %d %s, want 404", status, answer)
		}
	}
	var first, latest time.Duration
	for range lost {
		cb := h.next("disconnect")
		if !tokens[cb.Token] || cb.Reason != "error" || cb.Detail != "node_lost" || !strings.HasPrefix(cb.Request.URL, "/lost?") || cb.Request.Headers["host"] == "" {
			t.Errorf("callback %+v, want one of a lost stream, error/node_lost, with its request", cb)
		}
		latest = cb.at.Sub(killed)
		if first == 0 {
			first = latest
		}
	}
	if t.Logf("the backend received the disconnects %s to %s after the kill", first, latest); latest > 30*time.Second {
		t.Errorf("reported after %s, want 30s at most", latest)
	}
	apis[1].awaitNodes(2)
	nodes[1].stop()
	nodes[2].stop()
	h.wantOneDisconnectEach()
}

// TestAnEndThatAStoppingGatewayCouldNotReportIsReportedByAnother: as soon as the backend
// is there again.
func TestAnEndThatAStoppingGatewayCouldNotReportIsReportedByAnother(t *testing.T) {
	t.Parallel()
	h := newHooks(t, nil)
	nodes, _ := h.clustered(2, natsServers(t, 1), "--drain-time", "0s")
	tokens := map[string]bool{}
	for i := range 5 {
		c, token := h.accepted(nodes[0], fmt.Sprint("/s?", i))
		if tokens[token] = true; i%2 == 0 {
			defer c.leave()
		} else {
			c.leave() // reported while the backend is there
			h.wantDisconnect(token, "client_closed", "")
			delete(tokens, token)
		}
	}
	h.cut()
	begin := time.Now()
	nodes[0].stop()
	t.Logf("the gateway stopped in %s", time.Since(begin))
	h.up()
	begin = time.Now()
	for range len(tokens) {
		cb := h.next("disconnect")
		if !tokens[cb.Token] || cb.Reason != "error" || cb.Detail != "node_lost" {
			t.Errorf("callback %+v, want one of a stream that was not reported yet, error/node_lost", cb)
		}
		delete(tokens, cb.Token)
	}
	t.Logf("another reported %s after the backend was back", time.Since(begin))
	nodes[1].stop()
	h.wantOneDisconnectEach()
}

// TestF12ADeadLinkIsNoticedAndOutlived: a gateway whose link to storage is dead
// is not ready; it ends its streams before anybody else reports them, and when
// the link is back it works again under another name.
func TestF12ADeadLinkIsNoticedAndOutlived(t *testing.T) {
	t.Parallel()
	const streams = 5
	h := newHooks(t, nil)
	urls := natsServers(t, 1)
	link := newStallingLink(t, urls[0])
	cut, healthy := h.node([]string{link.url}), h.node(urls)
	cutAPI, healthyAPI := cut.api(), healthy.api()
	cutAPI.awaitNodes(2)
	healthyAPI.awaitNodes(2)

	ends := make(chan time.Time, streams)
	var watching sync.WaitGroup
	defer watching.Wait()
	var tokens []string
	var leaver *client
	for i := range streams + 1 {
		c, token := h.accepted(cut, fmt.Sprint("/cut?", i))
		tokens = append(tokens, token)
		if i == streams {
			leaver = c
			continue
		}
		watching.Go(func() {
			if _, err := c.rest(); err == nil {
				t.Error("a stream had an end in order, want it cut")
			}
			ends <- time.Now()
		})
	}
	_, kept := h.accepted(healthy, "/kept")

	stalled := link.stall()
	eventually(t, "the gateway is not ready", func() bool { return !cutAPI.ready() })
	t.Logf("not ready %s after the link was dead", time.Since(stalled))
	watching.Go(func() { // it may take longer than the streams have left
		begin := time.Now()
		if status, answer := cutAPI.send(toTopic("task:refused", "x")); status != http.StatusServiceUnavailable || !strings.Contains(answer, "ENGINE_UNAVAILABLE") {
			t.Errorf("publish without storage: %d %s, want 503", status, answer)
		}
		t.Logf("a publish was refused in %s", time.Since(begin))
	})
	cutAPI.mustSend(toToken(tokens[0], "still there")) // its own streams it can serve
	eventually(t, "disconnects are held back", func() bool { return time.Since(stalled) > 8*time.Second })
	leaver.leave()

	var last time.Time
	for range streams {
		last = <-ends
	}
	t.Logf("the gateway ended its streams %s after the link was dead", last.Sub(stalled))
	var reported []string
	for range streams + 1 {
		cb := h.next("disconnect")
		if reported = append(reported, cb.Token); cb.Reason != "error" || cb.Detail != "node_lost" {
			t.Errorf("callback %+v, want error/node_lost", cb)
		}
		if cb.at.Before(last) {
			t.Errorf("the backend received it %s before the streams had ended", last.Sub(cb.at))
		}
		if len(reported) == 1 {
			t.Logf("the backend received it %s after the link was dead", cb.at.Sub(stalled))
		}
	}
	slices.Sort(reported)
	slices.Sort(tokens)
	if !slices.Equal(reported, tokens) {
		t.Errorf("reported are %v, want %v", reported, tokens)
	}

	link.flow()
	back := time.Now()
	eventually(t, "the gateway is ready again", cutAPI.ready)
	t.Logf("ready again %s after the link was back", time.Since(back))
	healthyAPI.awaitNodes(2)
	c, token := h.accepted(cut, "/again")
	if token[22:] == tokens[0][22:] {
		t.Errorf("a new stream has the old name %s", token[22:])
	}
	healthyAPI.mustSend(toToken(token, "from the other node"))
	if _, got := c.next(); got != "from the other node" {
		t.Errorf("the new stream got %q", got)
	}
	healthyAPI.subscribe(token, "task:x")
	healthyAPI.publish("task:x", "event")
	if _, got := c.next(); got != "event" {
		t.Errorf("the new stream got %q", got)
	}
	cutAPI.mustSend(toToken(kept, "x"))
	cut.stop()
	healthy.stop()
	h.wantOneDisconnectEach()
}
