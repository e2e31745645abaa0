package topic_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tidegate/internal/stream"
	"tidegate/internal/topic"
	"tidegate/internal/wire"
)

// served is what a stream that is to end writes.
func served(t *testing.T, s *stream.Stream) string {
	t.Helper()
	w := httptest.NewRecorder()
	if s.Serve(w, httptest.NewRequestWithContext(t.Context(), "GET", "/", nil), nil, 0) {
		t.Error("the stream did not end cleanly")
	}
	events, _ := read(t, w.Body.Bytes())
	var words []string
	for _, ev := range events {
		words = append(words, ev.Data)
	}
	return strings.Join(words, " ")
}

// drop is a stream that takes everything and keeps nothing.
type drop struct{ taken int }

func (d *drop) Push(*stream.Batch, *stream.Frame) error            { d.taken++; return nil }
func (d *drop) PushAll(*stream.Batch, []stream.Item) error         { return nil }
func (d *drop) Merge([]stream.Item) error                          { return nil }
func (d *drop) End(*stream.Batch, wire.Ending, *stream.Frame) bool { return true }
func (d *drop) HasEvents() bool                                    { return d.taken > 0 }

// fanOut makes a hub with a topic that has n streams.
func fanOut(tb testing.TB, n int) *topic.Hub {
	h := newHub(topic.Retention{Events: 100})
	for range n {
		attach(tb, h, topic.NewMember(&drop{}, ""), topic.FromDefault, "a")
	}
	return h
}

func TestFanOutAllocatesNothingForAStream(t *testing.T) {
	few, many := fanOut(t, 1), fanOut(t, 2_000)
	allocs := func(h *topic.Hub) float64 {
		return testing.AllocsPerRun(200, func() { publish(t, h, "a", "data") })
	}
	if one, all := allocs(few), allocs(many); all > one {
		t.Errorf("%v allocations for 2,000 streams, %v for one", all, one)
	}
}

func BenchmarkPublishTo10000(b *testing.B) {
	h := fanOut(b, 10_000)
	p := topic.Publication{Topic: "a", HasEvent: true, Name: "progress", Data: strings.Repeat("x", 100)}
	b.ReportAllocs()
	for b.Loop() {
		if r, err := h.Publish(ctx, p); err != nil || r.Receivers != 10_000 {
			b.Fatal(r, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/10_000, "ns/stream")
}

// BenchmarkF6OneTopicPerUser is about one topic for each user: a delivery must
// cost the same however many others there are.
func BenchmarkF6OneTopicPerUser(b *testing.B) {
	for _, users := range []int{1_000, 10_000, 100_000} {
		b.Run(fmt.Sprint(users), func(b *testing.B) {
			h := newHub(topic.Retention{Events: 10, Age: time.Hour, Replay: topic.ReplayAll})
			topics := names("user:", users)
			for _, name := range topics {
				attach(b, h, topic.NewMember(&drop{}, ""), topic.FromDefault, name, "everybody")
				publish(b, h, name, "first")
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				i = (i + 7919) % users
				if r, err := h.Publish(ctx, topic.Publication{Topic: topics[i], HasEvent: true, Data: "x"}); err != nil || r.Receivers != 1 {
					b.Fatal(r, err)
				}
			}
		})
	}
}

func BenchmarkReconnect(b *testing.B) {
	h := newHub(keepAll)
	id := publish(b, h, "task:1", strings.Split(strings.Repeat("x ", 50), " ")...)[40]
	b.ReportAllocs()
	for b.Loop() {
		m := topic.NewMember(&drop{}, id)
		attach(b, h, m, topic.FromDefault, "task:1", "version")
		h.Open(m)
		h.Leave(m)
	}
}

// BenchmarkResume is a client that comes back 1,000 events behind, until they are
// in its stream's queue.
func BenchmarkResume(b *testing.B) {
	h := newHub(topic.Retention{Events: 1_000, Replay: topic.ReplayAll})
	for range 1_001 {
		publish(b, h, "a", "data")
	}
	e := stream.NewEngine(stream.Options{NoParking: true})
	b.ReportAllocs()
	for b.Loop() {
		var s stream.Stream
		s.Init(e, nil)
		m := topic.NewMember(&s, "")
		attach(b, h, m, topic.FromDefault, "a")
		h.Leave(m)
	}
}

// BenchmarkPublish is one event for one stream, in memory.
func BenchmarkPublish(b *testing.B) {
	h := fanOut(b, 1)
	p := topic.Publication{Topic: "a", HasEvent: true, Name: "progress", Data: strings.Repeat("x", 256)}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.Publish(ctx, p); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPublishAll is the same, 100 at a time, to 100 topics; for each event.
func BenchmarkPublishAll(b *testing.B) {
	h := fanOut(b, 1)
	ps := make([]topic.Publication, 100)
	for i := range ps {
		ps[i] = topic.Publication{Topic: fmt.Sprint("t:", i), HasEvent: true, Name: "progress", Data: strings.Repeat("x", 256)}
	}
	b.ReportAllocs()
	for n := 0; n < b.N; n += len(ps) {
		h.PublishAll(ctx, ps)
	}
}

// atOnce is a store that keeps nothing.
type atOnce struct {
	*fakeStore
	seq    uint64
	events []topic.Stored
}

func (s *atOnce) AppendAll(_ context.Context, entries []topic.Entry) []topic.Result {
	results := make([]topic.Result, len(entries))
	s.events = s.events[:0]
	for i, e := range entries {
		s.seq++
		s.events = append(s.events, topic.Stored{Entry: e, Seq: s.seq, At: timeAt(s.seq), PrevKnown: true})
		results[i].Appended = topic.Appended{Seq: s.seq, At: timeAt(s.seq)}
	}
	for i, a := range s.hub.Apply(s.events) {
		results[i].Receivers, results[i].Err = a.Receivers, a.Err
	}
	return results
}

// BenchmarkPublishAllStored is what a hub with a store does for each event of 100 to
// 100 topics.
func BenchmarkPublishAllStored(b *testing.B) {
	s := &atOnce{fakeStore: newFakeStore()}
	s.hub = topic.New(topic.Options{Default: topic.Retention{Events: 100}, Store: s, Generation: "teststor"})
	s.hub.Begin(1, 0, "")
	ps := make([]topic.Publication, 100)
	for i := range ps {
		ps[i] = topic.Publication{Topic: fmt.Sprint("t:", i), HasEvent: true, Name: "progress", Data: strings.Repeat("x", 256)}
	}
	b.ReportAllocs()
	for n := 0; n < b.N; n += len(ps) {
		s.hub.PublishAll(ctx, ps)
	}
}
