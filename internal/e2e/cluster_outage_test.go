package e2e

import (
	"fmt"
	"testing"
	"time"
)

// TestAShortOutageEndsNothing: streams stay, get what was published meanwhile, and
// who left meanwhile is reported afterwards, by the gateway that had the stream.
func TestAShortOutageEndsNothing(t *testing.T) {
	t.Parallel()
	h := newHooks(t, nil)
	urls := natsServers(t, 1)
	link := newStallingLink(t, urls[0])
	cut, healthy := h.node([]string{link.url}), h.node(urls)
	cutAPI, healthyAPI := cut.api(), healthy.api()
	cutAPI.awaitNodes(2)
	healthyAPI.awaitNodes(2)
	c, token := h.accepted(cut, "/stays")
	cutAPI.subscribe(token, "task:x")
	leaver, gone := h.accepted(cut, "/leaves")
	other, otherToken := h.accepted(healthy, "/other")
	healthyAPI.subscribe(otherToken, "task:x")

	stalled := link.stall()
	for i := range 3 {
		healthyAPI.publish("task:x", fmt.Sprint(i))
	}
	eventually(t, "disconnects are held back", func() bool { return time.Since(stalled) > 8*time.Second })
	leaver.leave()
	eventually(t, "the gateway has noticed who left", func() bool { return cutAPI.metric("tidegate_streams") == "1" })
	if n := len(h.calls); n > 0 {
		t.Errorf("%d callbacks while others may soon report, want none", n)
	}
	link.flow()
	flowing := time.Now()
	h.wantDisconnect(gone, "client_closed", "")
	t.Logf("reported %s after the link was back", time.Since(flowing))
	eventually(t, "the gateway is ready again", cutAPI.ready)
	t.Logf("ready %s after the link was back", time.Since(flowing))
	cutAPI.publish("task:x", "3")
	for _, c := range []*client{c, other} {
		for i := range 4 {
			if _, got := c.next(); got != fmt.Sprint(i) {
				t.Errorf("event %q, want %d", got, i)
			}
		}
	}
	healthyAPI.mustSend(toToken(token, "still there"))
	if _, got := c.next(); got != "still there" {
		t.Errorf("event %q, want what was sent to the token", got)
	}
	t.Logf("events after %s", time.Since(flowing))
	cut.stop()
	healthy.stop()
	t.Logf("stopped %s after the link was back", time.Since(flowing))
	h.wantOneDisconnectEach()
}
