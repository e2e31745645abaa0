package topic_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"tidegate/internal/stream"
	"tidegate/internal/topic"
	"tidegate/internal/wire"
)

// listener is a stream that takes events and remembers them. The hub calls it
// under its lock, so it needs none until the test has joined all goroutines.
type listener struct{ sink }

// ids are what it got, as "topic/number" by the data.
func (l *listener) ids(t *testing.T, h *topic.Hub) (data []string) {
	t.Helper()
	events, _ := read(t, l.bytes())
	last := uint64(0)
	for _, ev := range events {
		seq, ok := h.Place(ev.ID, "")
		if !ok || seq <= last {
			t.Fatalf("event %q with the id %q comes after position %d", ev.Data, ev.ID, last)
		}
		last = seq
		data = append(data, ev.Data)
	}
	return data
}

// TestF4ConcurrentPublishesReachAllInOneOrder is about subscribers that see the
// events of concurrent publishers in different orders.
func TestF4ConcurrentPublishesReachAllInOneOrder(t *testing.T) {
	t.Parallel()
	const publishers, each, streams = 8, 200, 20
	h := newHub(topic.Retention{Events: 10_000, Replay: topic.ReplayAll})
	listeners := make([]*listener, streams)
	for i := range listeners {
		listeners[i] = &listener{}
		attach(t, h, topic.NewMember(listeners[i], ""), topic.FromDefault, "a", "b")
	}
	var wg sync.WaitGroup
	for p := range publishers {
		wg.Go(func() {
			for i := range each {
				name := []string{"a", "b"}[(p+i)%2]
				if _, err := h.Publish(ctx, topic.Publication{Topic: name, HasEvent: true, Data: fmt.Sprint(p, ".", i)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	want := strings.Join(listeners[0].ids(t, h), " ")
	if n := strings.Count(want, " ") + 1; n != publishers*each {
		t.Fatalf("%d events, want %d", n, publishers*each)
	}
	for i, l := range listeners {
		if got := strings.Join(l.ids(t, h), " "); got != want {
			t.Errorf("stream %d has another order than stream 0", i)
		}
	}
	s, _ := connect(t, h, "", topic.FromDefault, "b", "a")
	if got := s.got(t); got != want {
		t.Error("a replay has another order than live delivery")
	}
	for p := range publishers { // and each publisher's own order is kept
		next := 0
		for word := range strings.SplitSeq(want, " ") {
			if rest, ok := strings.CutPrefix(word, fmt.Sprint(p, ".")); ok {
				if rest != fmt.Sprint(next) {
					t.Fatalf("publisher %d: event %s where %d was due", p, rest, next)
				}
				next++
			}
		}
	}
}

// TestF10NothingIsLostBetweenHistoryAndLive is about history that is read before
// the subscription: an event between the two is lost.
func TestF10NothingIsLostBetweenHistoryAndLive(t *testing.T) {
	t.Parallel()
	const events, streams = 2000, 200
	h := newHub(topic.Retention{Events: events, Replay: topic.ReplayAll})
	listeners := make([]*listener, streams)
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range events {
			publish(t, h, "a", fmt.Sprint(i))
		}
	})
	for i := range listeners {
		listeners[i] = &listener{}
		wg.Go(func() { attach(t, h, topic.NewMember(listeners[i], ""), topic.FromDefault, "a") })
	}
	wg.Wait()
	for i, l := range listeners {
		got := l.ids(t, h)
		if len(got) != events {
			t.Fatalf("stream %d has %d events, want %d", i, len(got), events)
		}
		for n, data := range got {
			if data != fmt.Sprint(n) {
				t.Fatalf("stream %d has %q as its event %d", i, data, n)
			}
		}
	}
}

// TestConcurrentUseOfEverything lets streams come, join, leave and come back
// while others publish, close, delete and look; each stream must see what it is
// at without a gap.
func TestConcurrentUseOfEverything(t *testing.T) {
	t.Parallel()
	const topics = 8
	h := topic.New(topic.Options{
		Namespaces: map[string]topic.Retention{"t": {Events: 10_000, Replay: topic.ReplayAll}},
		Default:    topic.Retention{Events: 2, Replay: topic.ReplayNone},
		MaxBytes:   64 << 20,
	})
	var publishing, others sync.WaitGroup
	stop := make(chan struct{})
	for p := range 4 {
		publishing.Go(func() {
			for i := range 500 {
				publish(t, h, fmt.Sprint("t:", (p+i)%topics), "x")
			}
		})
	}
	for w := range 4 {
		others.Go(func() { comeAndGo(t, h, uint64(w), topics, stop) })
	}
	others.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			name := fmt.Sprint("other:", i%3)
			_, _ = h.Publish(ctx, topic.Publication{Topic: name, HasEvent: true, Close: i%5 == 0, Key: fmt.Sprint(i % 50)})
			_, _ = h.Info(ctx, name)
			_, _ = h.List(ctx, topic.Filter{Limit: 5})
			_, _, _ = h.Events(ctx, name, "", 5)
			_, _ = h.Members(name)
			_ = h.Stats()
			_ = h.Delete(ctx, name)
		}
	})
	publishing.Wait()
	close(stop)
	others.Wait()
	h.Stats()
}

// comeAndGo is one client that comes back with its last id again and again.
func comeAndGo(t *testing.T, h *topic.Hub, seed uint64, topics int, stop <-chan struct{}) {
	rng := rand.New(rand.NewPCG(seed, 1))
	id, had := "", 0
	want := names("t:", topics)
	for over := false; !over; {
		select {
		case <-stop:
			over = true // once more, for the rest
		default:
		}
		l := &listener{}
		m := topic.NewMember(l, id)
		attach(t, h, m, topic.FromDefault, append(want, "other:1")...)
		h.Open(m)
		for range rng.IntN(5) {
			h.Detach(m, []string{"other:1"})
			attach(t, h, m, topic.FromLatest, "other:1", "other:2")
			_ = h.Topics(m)
		}
		h.Leave(m)
		events, last := read(t, l.bytes())
		for _, ev := range events {
			if ev.Data == "x" {
				had++
			}
		}
		if last != "" {
			id = last
		}
	}
	if total := 4 * 500; had != total {
		t.Errorf("client %d had %d events over all its connections, want %d", seed, had, total)
	}
}

var _ topic.Sink = (*stream.Stream)(nil)

// endings is an owner who does not mind.
type endings struct{}

func (endings) Ended(wire.Ending) {}

// TestTheStreamIsASink attaches a real stream: what is queued before it is
// served comes out in order behind what was sent to it directly.
func TestTheStreamIsASink(t *testing.T) {
	t.Parallel()
	h := newHub(keepAll)
	s := new(stream.Stream)
	s.Init(stream.NewEngine(stream.Options{NoParking: true}), endings{})
	m := topic.NewMember(s, "")
	publish(t, h, "b", "1")
	publish(t, h, "a", "2")
	if err := s.PushDirect(nil, stream.FrameOf([]byte("data: direct\n\n"), 0)); err != nil {
		t.Fatal(err)
	}
	attach(t, h, m, topic.FromDefault, "a")
	publish(t, h, "a", "3")
	attach(t, h, m, topic.FromDefault, "b")
	h.Open(m)
	s.End(nil, wire.Ending{Reason: wire.ServerClosed, Detail: wire.DetailClosed}, nil)
	if got, want := served(t, s), "direct 1 2 3"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
