package gateway_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/internal/gateway"
	"tidegate/internal/wire"
)

// TestGW18WhoIsThereCanBeAsked: a backend that has forgotten everything finds
// all streams in the listing and can go on with them.
func TestGW18WhoIsThereCanBeAsked(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	var clients []*client
	for i := range 3 {
		c, token := r.accepted(fmt.Sprintf("/api/sse/tasks?task_id=%d", i))
		r.subscribe(token, fmt.Sprintf(`["task:%d"]`, i))
		clients = append(clients, c)
	}
	for i, s := range page[wire.StreamPage](r, "/internal/streams").Streams {
		if want := fmt.Sprintf("/api/sse/tasks?task_id=%d", i); s.URL != want || fmt.Sprint(s.Topics) != fmt.Sprintf("[task:%d]", i) {
			t.Errorf("stream %+v, want %s with its topic", s, want)
		}
		r.mustSend(s.Token, "hello again", "ok")
		clients[i].until("data: hello again\n\n")
	}
}

// TestGW22ResumeMissesNothing: however often and wherever a client is cut, with
// several topics on one id.
func TestGW22ResumeMissesNothing(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	r.backend.handle(func(_ http.ResponseWriter, cb callback) {
		if cb.Action == wire.Connect {
			r.subscribe(cb.Token, `["task:a","task:b"]`)
		}
	})
	var got strings.Builder
	lastID := ""
	const events = 60
	for i := range events {
		var header []string
		if lastID != "" {
			header = []string{"Last-Event-ID: " + lastID}
		}
		c, token := r.accepted("/x", header...)
		r.publish([]string{"task:a", "task:b"}[i%2], fmt.Sprint(i)) // while it is there
		if i%3 != 0 {
			c.until(fmt.Sprintf("data: %d\n\n", i)) // or cut before it is read
		}
		for _, ev := range c.events() {
			got.WriteString(ev.Data + " ")
			lastID = ev.ID
		}
		c.leave()
		r.backend.wantDisconnect(token, wire.ClientClosed, "")
		if i%5 == 0 {
			r.publish("task:a", fmt.Sprint("missed", i))
		}
	}
	c, _ := r.accepted("/x", "Last-Event-ID: "+lastID)
	r.publish("task:b", "the end")
	c.until("the end\n\n")
	for _, ev := range c.events() {
		got.WriteString(ev.Data + " ")
	}
	var want strings.Builder
	for i := range events {
		fmt.Fprintf(&want, "%d ", i)
		if i%5 == 0 {
			fmt.Fprintf(&want, "missed%d ", i)
		}
	}
	if want.WriteString("the end "); got.String() != want.String() {
		t.Errorf("events\n got %s\nwant %s", got.String(), want.String())
	}
}

// TestGW23ReconnectsCanBeStopped: a finished topic answers 204, which is the
// only thing that stops EventSource.
func TestGW23ReconnectsCanBeStopped(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	r.backend.handle(func(_ http.ResponseWriter, cb callback) {
		if cb.Action == wire.Connect {
			r.subscribe(cb.Token, `["task:1"]`)
		}
	})
	r.publish("task:1", "progress")
	r.send(`{"topic":"task:1","event":{"data":"done"},"close":true}`)
	c := r.open("/x")
	r.backend.next(wire.Connect)
	c.end()
	r.backend.next(wire.Disconnect)
	events := c.events()
	back := r.open("/x", "Last-Event-ID: "+events[len(events)-1].ID).reply()
	if back.Status != http.StatusNoContent || back.Body != "" {
		t.Errorf("the reconnect got %d %q, want 204", back.Status, back.Body)
	}
	token := r.backend.next(wire.Connect).Token
	r.backend.wantDisconnect(token, wire.ServerClosed, wire.DetailTopicFinished)
}

// TestGW27ClientsWithOneIDShareNothing: two tabs with the same URL and the same
// last id each get everything, and neither ends the other.
func TestGW27ClientsWithOneIDShareNothing(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	id := r.publish("task:1", "0")
	var tabs []*client
	for range 3 {
		c, token := r.accepted("/x?request_id=same", "Last-Event-ID: "+id)
		r.subscribe(token, `["task:1"]`)
		tabs = append(tabs, c)
	}
	for i := 1; i <= 20; i++ {
		r.publish("task:1", fmt.Sprint(i))
	}
	for n, c := range tabs {
		c.until("data: 20\n\n")
		if got := c.events(); len(got) != 20 || got[0].Data != "1" {
			t.Errorf("tab %d got %d events, first %q, want all 20", n, len(got), got[0].Data)
		}
	}
	r.backend.silent("while the tabs are open")
}

// TestF20NoReconnectStorm: clients that were sent away together do not come back
// together.
func TestF20NoReconnectStorm(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const streams = 200
		r := setup(t, pipes, func(o *gateway.Options) { o.MaxConns = streams })
		var clients []*client
		for range streams {
			c, _ := r.accepted("/x")
			clients = append(clients, c)
		}
		begin := time.Now()
		ends := make(chan time.Time, streams)
		for _, c := range clients {
			go func() { // ends with its client, which the rig waits for
				<-c.ended
				ends <- time.Now()
			}()
		}
		r.gateway.Drain(t.Context(), 5*time.Second)
		back := map[time.Duration]int{} // by tenth of a second
		for _, c := range clients {
			var ms int
			if _, err := fmt.Sscanf(c.text(), "retry: %d", &ms); err != nil {
				t.Fatalf("stream %q, want a retry field", c.text())
			}
			at := (<-ends).Sub(begin) + time.Duration(ms)*time.Millisecond
			back[at/(100*time.Millisecond)]++
		}
		for at, n := range back {
			if n > streams/8 {
				t.Errorf("%d of %d clients come back within a tenth of a second, at %s", n, streams, at*100*time.Millisecond)
			}
		}
		if len(back) < 30 {
			t.Errorf("clients come back in %d different tenths of a second, want them spread over seconds", len(back))
		}
	})
}
