package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"tidegate/internal/storage/natstest"
	"tidegate/internal/topic"
	"tidegate/internal/wire"
)

// deafLog is a log whose server takes events and never answers.
func deafLog(t *testing.T, opts Options) *Log {
	t.Helper()
	s, _ := natstest.Serve(t, t.TempDir(), 0)
	e := openURL(t, s.URL())
	l := newLog(e, makeEV(t, e, 1), opts)
	if err := e.JetStream().DeleteStream(t.Context(), l.name); err != nil {
		t.Fatal(err)
	}
	sub, err := e.Conn().Subscribe(e.Subject("ev.*"), func(*natsgo.Msg) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unsubscribe(sub) })
	return l
}

// TestX37EventsOnTheirWayAreBoundedInBytes: what a flood holds while the server does
// not answer. Who finds no room waits for it as long as he has time.
func TestX37EventsOnTheirWayAreBoundedInBytes(t *testing.T) {
	t.Parallel()
	const most, size, writers = 1 << 20, 100_000, 40
	l := deafLog(t, Options{MaxInflight: most})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	var mu sync.Mutex
	refused := 0
	var writing sync.WaitGroup
	for i := range writers {
		writing.Go(func() {
			err := l.AppendAll(ctx, []topic.Entry{{Topic: fmt.Sprint("t", i), HasEvent: true, Data: strings.Repeat("x", size)}})[0].Err
			if stats := l.Stats(); stats.InflightBytes > most {
				t.Errorf("%d bytes are on their way, want %d at most", stats.InflightBytes, most)
			}
			mu.Lock()
			defer mu.Unlock()
			if e, ok := errors.AsType[*wire.Error](err); ok && e.Status == 503 && e.Code == wire.CodeBufferFull {
				refused++
			} else if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("append = %v", err)
			}
		})
	}
	writing.Wait()
	if want := writers - most/size; refused < want {
		t.Errorf("%d found no room, want %d", refused, want)
	}
	if stats := l.Stats(); stats.Inflight != 0 || stats.InflightBytes != 0 || stats.NoRoom != uint64(refused) {
		t.Errorf("afterwards %+v, want nothing on its way and %d refused", stats, refused)
	}
}

func TestWhoFindsNoRoomIsStoredWhenThereIsSome(t *testing.T) {
	t.Parallel()
	s, _ := natstest.Serve(t, t.TempDir(), 0)
	e := openURL(t, s.URL())
	n := runLog(t, e, makeEV(t, e, 1), Options{MaxInflight: 10_000})
	var writing sync.WaitGroup
	for i := range 8 {
		writing.Go(func() {
			var entries []topic.Entry
			for j := range 20 { // more than there is room for at once, and one more than that alone
				entries = append(entries, topic.Entry{
					Topic: fmt.Sprint("t", i), HasEvent: true, Data: strings.Repeat("x", 1000*j), Number: uint64(j + 1),
				})
			}
			for j, r := range n.AppendAll(t.Context(), entries) {
				if r.Err != nil {
					t.Errorf("event %d = %v", j, r.Err)
				}
			}
		})
	}
	writing.Wait()
	n.hub.until(t, "all events", func(h *fakeHub) bool { return len(h.events) == 160 })
	checkTurns(t, n.hub.all())
}

// checkTurns: each event names the one before it of its topic, and is known to.
func checkTurns(t *testing.T, events []topic.Stored) {
	t.Helper()
	last := map[string]topic.Stored{}
	for _, e := range events {
		before := last[e.Topic]
		if !e.PrevKnown || e.Prev != before.Seq || e.Number != before.Number+1 {
			t.Errorf("event %d of %s has number %d and stands behind %d (known: %v), want %d and %d",
				e.Seq, e.Topic, e.Number, e.Prev, e.PrevKnown, before.Number+1, before.Seq)
		}
		last[e.Topic] = e
	}
}

// TestAppendsUnderWayAreBounded: in their number, too.
func TestAppendsUnderWayAreBounded(t *testing.T) {
	t.Parallel()
	var r quota
	r.init(1 << 40)
	for range maxAppends {
		if err := r.enter(t.Context(), 1, 1); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := r.enter(ctx, 1, 1); !errors.Is(err, errNoRoom) {
		t.Errorf("one more = %v", err)
	}
	r.leave(1, 1)
	if err := r.enter(t.Context(), 1, 1); err != nil {
		t.Errorf("when there is room again: %v", err)
	}
}

// TestAMixedCallAnswersEachEvent: keys, what is too large, what comes behind an end.
func TestAMixedCallAnswersEachEvent(t *testing.T) {
	t.Parallel()
	n := soloLog(t)
	key := n.hub.entry("a", "first")
	key.Key = "k"
	first, err := n.Append(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	end := n.hub.entry("closed", "end")
	end.Close = true
	if _, err := n.Append(t.Context(), end); err != nil {
		t.Fatal(err)
	}
	at := func(name, data, key string, number uint64) topic.Entry {
		e := n.hub.entry(name, data)
		e.Key, e.Number = key, e.Number+number
		return e
	}
	entries := []topic.Entry{
		at("a", "2", "", 0), at("a", "first", "k", 1), at("b", "1", "", 0), at("a", "other", "k", 2), at("b", strings.Repeat("x", 300<<10), "", 1),
		at("closed", "late", "", 0), at("a", "3", "", 3), at("b", "2", "", 2), at("closed", "later", "", 1),
	}
	results := n.AppendAll(t.Context(), entries)
	var got []string
	for i, r := range results {
		switch {
		case r.Err != nil:
			got = append(got, string(wire.ErrorOf(r.Err).Code))
		case r.Repeat:
			got = append(got, fmt.Sprint("repeat of ", r.Seq))
		default:
			got = append(got, entries[i].Data)
		}
	}
	want := fmt.Sprintf("2, repeat of %d, 1, IDEMPOTENCY_MISMATCH, BODY_TOO_LARGE, TOPIC_CLOSED, 3, 2, TOPIC_CLOSED", first.Seq)
	if got := strings.Join(got, ", "); got != want {
		t.Errorf("answers\n got %s\nwant %s", got, want)
	}
	events := n.hub.all()
	var counted []topic.Stored // without what the hub has refused
	for _, e := range events {
		if e.Topic != "closed" {
			counted = append(counted, e)
		}
	}
	checkTurns(t, counted)
	if len(counted) != 5 {
		t.Errorf("%d events, want 5", len(counted))
	}
}

// TestNothingIsPublishedBehindAnEventWithoutAnAnswer: of its topic.
func TestNothingIsPublishedBehindAnEventWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	l := deafLog(t, Options{})
	var mu sync.Mutex
	seen := map[string]bool{}
	sub, err := l.e.Conn().Subscribe(l.e.Subject("ev.*"), func(msg *natsgo.Msg) {
		e, _, err := parseEnvelope(msg.Data)
		if err != nil {
			t.Errorf("published %q: %v", msg.Data, err)
		}
		mu.Lock()
		defer mu.Unlock()
		seen[e.Data] = true
	})
	if err != nil {
		t.Fatal(err)
	}
	defer unsubscribe(sub)
	ctx, cancel := context.WithTimeout(t.Context(), tryTimeout/2)
	defer cancel()
	entries := []topic.Entry{{Topic: "a", Data: "a1"}, {Topic: "a", Data: "a2"}, {Topic: "b", Data: "b1"}, {Topic: "a", Data: "a3"}, {Topic: "b", Data: "b2"}}
	for i, r := range l.AppendAll(ctx, entries) {
		if !errors.Is(r.Err, context.DeadlineExceeded) {
			t.Errorf("event %d = %v", i, r.Err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(seen) != 2 || !seen["a1"] || !seen["b1"] {
		t.Errorf("published %v, want the first of each topic", seen)
	}
}

// FuzzAck: what is read by hand says the same as what is read as JSON.
func FuzzAck(f *testing.F) {
	for _, s := range []string{
		`{"stream":"S","seq":1}`, `{"stream":"S","seq":18446744073709551615}`, `{"stream":"S","seq":01}`, `{"stream":"S","seq":}`,
		`{"stream":"S","seq":7,"duplicate": true}`, `{"stream":"S","domain":"d","seq":7}`, `{"stream":"S","seq":0}`,
		`{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 4"},"stream":"S","seq":0}`, `{}`, ``, `x`,
	} {
		f.Add([]byte(s))
	}
	var b ackInbox
	b.init("S")
	f.Fuzz(func(t *testing.T, data []byte) {
		got := b.parse(&natsgo.Msg{Data: data})
		var plain struct {
			Stream string
			Seq    uint64
		}
		if got.err == nil && (json.Unmarshal(data, &plain) != nil || plain.Seq != got.seq || plain.Stream == "" || got.seq == 0) {
			t.Errorf("%q is read as %+v, and as JSON %+v", data, got, plain)
		}
		if want := parseAck(data); len(data) > 0 && (got.seq != want.seq || got.duplicate != want.duplicate || (got.err == nil) != (want.err == nil)) {
			t.Errorf("%q is read as %+v, in full as %+v", data, got, want)
		}
	})
}
