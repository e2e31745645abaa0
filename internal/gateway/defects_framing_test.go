package gateway_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"tidegate/internal/gateway"
	"tidegate/sse"
)

// event is what a client makes of an event, without its id.
type event struct{ Name, Data string }

// sent sends events one by one to a token and to a topic of one stream, and
// gives what the client got through each.
func sent(t *testing.T, events []event) (direct, live []event) {
	t.Helper()
	r := setup(t, sockets, nil)
	c, token := r.accepted("/x")
	r.subscribe(token, `["chat:1"]`)
	for _, target := range []string{`"token":"` + token + `"`, `"topic":"chat:1"`} {
		for _, ev := range events {
			got := r.send(fmt.Sprintf(`{%s,"event":{"name":%s,"data":%s}}`, target, quote(ev.Name), quote(ev.Data)))
			if got.Status != 200 {
				t.Fatalf("send %q: %d %s", ev, got.Status, got.Body)
			}
		}
	}
	r.mustSend(token, "the end", "ok")
	c.until("the end\n\n")
	var got []event
	for _, ev := range c.events() {
		got = append(got, event{strings.TrimPrefix(ev.Name, "message"), ev.Data})
	}
	if len(got) != 2*len(events)+1 {
		t.Fatalf("%d events arrived, want %d: %q", len(got), 2*len(events)+1, got)
	}
	return got[:len(events)], got[len(events) : 2*len(events)]
}

// wantArrived checks that each event arrives as one event and as it was sent,
// with line ends as LF.
func wantArrived(t *testing.T, events []event) {
	t.Helper()
	var want []event
	for _, ev := range events {
		ev.Data = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(ev.Data)
		want = append(want, ev)
	}
	direct, live := sent(t, events)
	if diff := cmp.Diff(want, direct); diff != "" {
		t.Errorf("to a token (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(want, live); diff != "" {
		t.Errorf("to a topic (-want +got)\n%s", diff)
	}
}

func TestGW1CarriageReturnsInData(t *testing.T) {
	t.Parallel()
	wantArrived(t, []event{
		{"", "a\rb"},
		{"", "x\r\revent: evil\rdata: 1"},
		{"n", "x\r\n\r\nevent: evil\r\ndata: 1"},
		{"", "\r"}, {"", "\n\r"}, {"", "a\r\r\nb"}, {"", "\rid: 1\r"}, {"", "x\r: heartbeat\r\rretry: 1"},
	})
}

func TestGW2EventNameInjection(t *testing.T) {
	t.Parallel()
	var log logBuffer
	r := setup(t, sockets, func(o *gateway.Options) { o.Log = log.logger() })
	c, token := r.accepted("/x")
	for _, name := range []string{"x\ndata: evil\n\nevent: inj", "x\rdata: evil\r\revent: inj", "\n", "a\r\n", "\x00"} {
		for _, target := range []string{`"token":"` + token + `"`, `"topic":"chat:1"`} {
			got := r.send(`{` + target + `,"event":{"data":"x","name":` + quote(name) + `}}`)
			wantError(t, fmt.Sprintf("name %q", name), got, 400, "INVALID_EVENT_NAME")
		}
	}
	r.mustSend(token, "the end", "ok")
	if got := c.until("the end\n\n"); got != "data: the end\n\n" {
		t.Errorf("stream %q, want nothing of the refused events", got)
	}
	if text := log.String(); strings.Contains(text, "evil") {
		t.Errorf("the log repeats the name: %s", text)
	}
}

// logBuffer takes a log of all levels.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// TestGW3OrdinaryPayloads: newlines, no data and what is no JSON.
func TestGW3OrdinaryPayloads(t *testing.T) {
	t.Parallel()
	wantArrived(t, []event{
		{"", "{\n\"a\":1}"}, {"n", ""}, {"", ""}, {"n", "not JSON"}, {"n", "{\"a\":"}, {"", "\n"}, {"", "\n\n\n"}, {"", " leading"}, {"", "trailing\n"},
		{"", "data: x"}, {"", "a: b"}, {"", ":"}, {"", "\ufeffx"}, {"", "tab\there"}, {"", "\x00\x01\x7f"}, {"", strings.Repeat("long ", 50_000)},
	})
}

// TestGW4ControlNamesAreNames: none of them does anything to the stream.
func TestGW4ControlNamesAreNames(t *testing.T) {
	t.Parallel()
	wantArrived(t, []event{
		{"rejected", ""}, {"ready", ""}, {"ready", "x"}, {"reset", ""}, {"close", ""}, {"connection_close", "{}"}, {"error", "x"}, {"open", ""}, {"heartbeat", ""},
	})
}

// TestGW6PhantomEvents: a send without an event writes nothing, also before the
// callback is answered.
func TestGW6PhantomEvents(t *testing.T) {
	t.Parallel()
	for _, last := range []string{`,"close":true`, `,"event":{"data":"x"},"close":true`} {
		r := setup(t, sockets, nil)
		r.backend.hold()
		c := r.open("/x")
		token := r.backend.next("connect").Token
		for _, fields := range []string{"", `,"close":false`, last} {
			if got := r.send(`{"token":"` + token + `"` + fields + `}`); got.Body != `{"status":"buffered"}` {
				t.Errorf("send%s: %d %s, want buffered", fields, got.Status, got.Body)
			}
		}
		r.backend.letGo()
		want := ""
		if strings.Contains(last, "event") {
			want = "data: x\n\n"
		}
		c.wantEnd(want)
		r.backend.wantDisconnect(token, "server_closed", "closed")
	}
}

// TestF9NothingInjectsLines: of all that a caller may say, nothing becomes a
// line of its own in a stream.
func TestF9NothingInjectsLines(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	c, token := r.accepted("/x?lastEventId=a%0d%0aevent:%20evil", "Last-Event-ID: a%0devent: evil")
	r.subscribe(token, `["chat:1"]`)
	for _, line := range []string{"\r", "\n", "\r\n", "\u0085", "\u2028"} {
		evil := "x" + line + "event: evil" + line + line
		r.send(`{"token":"` + token + `","event":{"data":` + quote(evil) + `,"id":` + quote(evil) + `,"retry":` + quote(evil) + `}}`)
		r.send(`{"topic":"chat:1","event":{"data":` + quote(evil) + `},"idempotency_key":` + quote(evil) + `}`)
		r.send(`{"topic":` + quote("chat:"+line) + `,"event":{"data":"x"}}`)
		r.call("POST", "/internal/subscribe", "application/json", `{"token":"`+token+`","topics":["chat:2"],"from":`+quote(evil)+`}`)
		r.call("DELETE", "/internal/streams/"+token+"?detail=%0devent:evil", "", "")
	}
	r.mustSend(token, "the end", "ok")
	text := c.until("the end\n\n")
	for ev, err := range sse.NewDecoder(strings.NewReader(text), sse.DecoderOptions{Strict: true}).Events() {
		if err != nil || ev.Name != "message" && ev.Name != "reset" { // a reset for ids that are none
			t.Errorf("event %+v, error %v, want messages only", ev, err)
		}
	}
	if strings.Contains(text, "\r") {
		t.Errorf("stream has a CR: %q", text)
	}
}

// TestF14HeartbeatIsNoEvent: it is a comment, which no page is woken by.
func TestF14HeartbeatIsNoEvent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t, pipes, nil)
		c, _ := r.accepted("/x")
		time.Sleep(5 * time.Minute)
		if n := strings.Count(c.text(), ": heartbeat\n\n"); n < 20 {
			t.Errorf("%d heartbeats in five minutes, want one in 15s at least", n)
		}
		if events := c.events(); len(events) != 0 {
			t.Errorf("heartbeats are events: %v", events)
		}
	})
}
