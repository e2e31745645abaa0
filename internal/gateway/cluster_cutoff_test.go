package gateway_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/internal/gateway"
	"tidegate/internal/wire"
)

func TestACutOffEndsTheStreamsAndDeliversNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := new(sessionStore)
		r := recorded(t, pipes, l, nil)
		c, token := r.accepted("/x")
		l.setSteady(false)
		gone, _ := r.accepted("/gone")
		gone.leave() // its disconnect waits
		synctest.Wait()

		r.gateway.CutOff(nodeA)
		if text, clean := c.end(); text != "" || clean {
			t.Errorf("stream ended with %q, clean: %v, want it cut", text, clean)
		}
		r.member.rename(nodeB)
		l.setSteady(true)
		wantError(t, "its token", r.send(`{"token":`+quote(token)+`}`), 404, "TOKEN_NOT_FOUND")
		time.Sleep(10 * time.Minute)
		r.backend.silent("others tell")
		l.wantStruck(t, "others strike", nodeA)

		next, after := r.accepted("/x")
		if after[22:] != nodeB || l.entered[2].Node != nodeB {
			t.Errorf("token %s, recorded for %s, want the new name %s", after, l.entered[2].Node, nodeB)
		}
		next.leave()
		r.backend.wantDisconnect(after, wire.ClientClosed, "")
		synctest.Wait()
		l.wantStruck(t, "of the new name", nodeB, after)
		for _, gauge := range []string{"tidegate_streams", "tidegate_disconnects_queued"} {
			if n := r.count(gauge); n != "0" {
				t.Errorf("%s is %s, want 0", gauge, n)
			}
		}
	})
}

// TestAStreamThatIsOpenedDuringACutOffDoesNotLive: others will tell of its end.
func TestAStreamThatIsOpenedDuringACutOffDoesNotLive(t *testing.T) {
	t.Parallel()
	for name, come := range map[string]func(r *rig) *client{
		"its callback is pending": func(r *rig) *client {
			r.backend.hold()
			c := r.open("/x")
			r.backend.next(wire.Connect)
			r.gateway.CutOff(nodeA)
			r.member.rename(nodeB)
			r.backend.letGo()
			return c
		},
		"its callback is pending, and it comes before the new name": func(r *rig) *client {
			r.backend.hold()
			c := r.open("/x")
			r.backend.next(wire.Connect)
			r.gateway.CutOff(nodeA)
			r.backend.letGo()
			return c
		},
		"it comes before the new name": func(r *rig) *client {
			r.gateway.CutOff(nodeA)
			c := r.open("/x")
			r.backend.next(wire.Connect)
			return c
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := new(sessionStore)
				r := recorded(t, pipes, l, nil)
				c := come(r)
				// EventSource would never come back after an error.
				if text, clean := c.end(); c.response().StatusCode != http.StatusOK || !strings.HasPrefix(text, "retry: ") || strings.Count(text, "\n") != 2 || !clean {
					t.Errorf("%d %q, clean end: %v, want a stream that says when to come back", c.response().StatusCode, text, clean)
				}
				time.Sleep(10 * time.Minute)
				r.backend.silent("others tell")
				l.wantStruck(t, "others strike", nodeA)
				if n := r.count("tidegate_streams"); n != "0" {
					t.Errorf("%s streams, want none", n)
				}
			})
		})
	}
}

// TestADisconnectThatIsOutAtACutOffIsNotTriedAgain: nor are those that have been
// taken from the queue, and wait for one that is out.
func TestADisconnectThatIsOutAtACutOffIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	for status, struck := range map[int]bool{200: true, 503: false} {
		synctest.Test(t, func(t *testing.T) {
			l := new(sessionStore)
			r := recorded(t, pipes, l, func(o *gateway.Options) { o.CallbackConcurrency = 1 })
			c, token := r.accepted("/x")
			other, _ := r.accepted("/y")
			r.backend.status(status)
			r.backend.hold()
			c.leave()
			r.backend.wantDisconnect(token, wire.ClientClosed, "")
			other.leave()
			synctest.Wait()
			r.gateway.CutOff(nodeA)
			r.member.rename(nodeB)
			r.backend.letGo()
			time.Sleep(10 * time.Minute)
			r.backend.silent("others tell")
			if struck {
				l.wantStruck(t, "what was delivered after all", nodeA, token)
			} else {
				l.wantStruck(t, "what was not delivered", nodeA)
			}
			if n := r.count("tidegate_disconnects_queued"); n != "0" {
				t.Errorf("%s disconnects queued, want none", n)
			}
		})
	}
}
