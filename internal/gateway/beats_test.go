package gateway_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/internal/gateway"
)

// TestX48AHeartbeatMayBeALine: clients that take a blank line for the end of an event
// deliver nothing for it, and events behind it are as ever.
func TestX48AHeartbeatMayBeALine(t *testing.T) {
	t.Parallel()
	for _, bare := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := setup(t, pipes, func(o *gateway.Options) { o.Heartbeat, o.BareBeats = time.Second, bare })
			c, token := r.accepted("/x")
			c.until("heartbeat")
			time.Sleep(3 * time.Second)
			r.mustSend(token, "after", "ok")
			text := c.until("after")
			if beats, blanks := strings.Count(text, ": heartbeat\n"), strings.Count(text, ": heartbeat\n\n"); beats < 3 || bare && blanks > 0 || !bare && blanks != beats {
				t.Errorf("bare: %v: %d heartbeats, %d with a blank line: %q", bare, beats, blanks, text)
			}
			if events := c.events(); len(events) != 1 || events[0].Data != "after" {
				t.Errorf("bare: %v: events %+v, want the one", bare, events)
			}
			if n := r.count("tidegate_heartbeats_total"); n == "0" {
				t.Error("no heartbeat was counted")
			}
		})
	}
}
