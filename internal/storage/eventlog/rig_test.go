package eventlog

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/storage/nats"
	"tidegate/internal/storage/natstest"
	"tidegate/internal/topic"
	"tidegate/internal/wire"
)

func openURL(t testing.TB, urls ...string) *nats.Engine {
	t.Helper()
	e, err := nats.Open(t.Context(), nats.Options{URLs: urls, Log: natstest.Log(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// evConfig is the stream as the engine makes it.
func evConfig(e *nats.Engine, replicas int) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: e.StreamName("EV"), Subjects: []string{e.Subject("ev.>")}, Replicas: replicas,
		MaxBytes: 64 << 20, MaxMsgsPerSubject: 1000, MaxMsgSize: 256 << 10, Discard: jetstream.DiscardOld,
		Duplicates: 2 * time.Minute, AllowMsgTTL: true, AllowDirect: replicas == 1,
	}
}

func makeEV(t testing.TB, e *nats.Engine, replicas int) jetstream.Stream {
	t.Helper()
	ev, err := e.JetStream().CreateOrUpdateStream(t.Context(), evConfig(e, replicas))
	if err != nil {
		t.Fatal(err)
	}
	return ev
}

// logNode is one process of a deployment: a log and what follows it.
type logNode struct {
	*Log
	hub  *fakeHub
	stop func() // ends Run and waits for it
}

// runLog runs a log with a fake hub until the test ends.
func runLog(t testing.TB, e *nats.Engine, ev jetstream.Stream, opts Options) *logNode {
	t.Helper()
	n := startLog(t, e, ev, opts)
	n.caught(t)
	return n
}

func startLog(t testing.TB, e *nats.Engine, ev jetstream.Stream, opts Options) *logNode {
	t.Helper()
	n := &logNode{Log: newLog(e, ev, opts), hub: newFakeHub()}
	n.hub.log = n.Log
	n.run(t, n.hub)
	return n
}

func (n *logNode) run(t testing.TB, hub topic.Follower) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := n.Run(ctx, hub); err != nil {
			t.Errorf("Run = %v", err)
		}
	})
	n.stop = sync.OnceFunc(func() {
		cancel()
		wg.Wait()
	})
	t.Cleanup(n.stop)
}

func (n *logNode) caught(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), natstest.Patience)
	defer cancel()
	if err := n.Caught(ctx); err != nil {
		t.Fatalf("Caught = %v", err)
	}
}

// soloLog is a log on a server of its own.
func soloLog(t testing.TB) *logNode {
	t.Helper()
	s, _ := natstest.Serve(t, t.TempDir(), 0)
	e := openURL(t, s.URL())
	return runLog(t, e, makeEV(t, e, 1), Options{})
}

// Append stores one event.
func (n *logNode) Append(ctx context.Context, e topic.Entry) (topic.Appended, error) {
	r := n.AppendAll(ctx, []topic.Entry{e})[0]
	return r.Appended, r.Err
}

// append stores what says itself and what the hub knows.
func (n *logNode) append(ctx context.Context, name, data string) (topic.Appended, error) {
	return n.Append(ctx, n.hub.entry(name, data))
}

func (n *logNode) mustAppend(t testing.TB, name, data string) topic.Appended {
	t.Helper()
	got, err := n.append(t.Context(), name, data)
	if err != nil {
		t.Fatalf("Append(%s, %s) = %v", name, data, err)
	}
	return got
}

// fakeHub keeps all that it is given.
type fakeHub struct {
	mu         sync.Mutex
	log        *Log
	receivers  int
	floor      uint64 // guarded by mu, like all below
	floorAt    int64
	generation string
	begun      int
	rewound    []uint64
	events     []topic.Stored
	last       map[string]topic.Stored
	moved      chan struct{}
}

func newFakeHub() *fakeHub {
	return &fakeHub{last: make(map[string]topic.Stored), moved: make(chan struct{})}
}

var errTopicClosed = wire.Errorf(409, wire.CodeTopicClosed, "closed")

func (h *fakeHub) Key(string) {}

func (h *fakeHub) Begin(floor uint64, at int64, generation string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.floor, h.floorAt, h.generation = floor, at, generation
	h.begun++
	h.events = nil
	clear(h.last)
	h.move()
}

func (h *fakeHub) Common(ctx context.Context) (position uint64, at int64, err error) {
	for _, e := range slices.Backward(h.all()) {
		if at, exact, err := h.log.Time(ctx, e.Seq); err != nil || exact && at == e.At {
			return e.Seq, e.At, err
		}
	}
	return 0, 0, nil
}

func (h *fakeHub) Apply(events []topic.Stored) []topic.Applied {
	h.mu.Lock()
	defer h.mu.Unlock()
	applied := make([]topic.Applied, len(events))
	for i, e := range events {
		h.events = append(h.events, e)
		if e.Unreadable {
			continue
		}
		if last := h.last[e.Topic]; last.Close && !e.Delete {
			applied[i].Err = errTopicClosed
			continue
		}
		h.last[e.Topic] = e
		applied[i].Receivers = h.receivers
	}
	h.move()
	return applied
}

func (h *fakeHub) Rewind(head uint64, generation string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.generation = generation
	h.rewound = append(h.rewound, head)
	h.events = slices.DeleteFunc(h.events, func(e topic.Stored) bool { return e.Seq > head })
	maps.DeleteFunc(h.last, func(_ string, e topic.Stored) bool { return e.Seq > head })
	h.move()
}

func (h *fakeHub) move() {
	close(h.moved)
	h.moved = make(chan struct{})
}

// entry is the next event of a topic as the hub would publish it.
func (h *fakeHub) entry(name, data string) topic.Entry {
	h.mu.Lock()
	defer h.mu.Unlock()
	last := h.last[name]
	return topic.Entry{Topic: name, Name: "n", Data: data, HasEvent: true, Number: last.Number + 1, Prev: last.Seq}
}

func (h *fakeHub) all() []topic.Stored {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.events)
}

// data is what the events of a topic say.
func (h *fakeHub) data(name string) []string {
	var found []string
	for _, e := range h.all() {
		if e.Topic == name && !e.Unreadable {
			found = append(found, e.Data)
		}
	}
	return found
}

// until waits for something to become true of the hub.
func (h *fakeHub) until(t testing.TB, what string, ok func(*fakeHub) bool) {
	t.Helper()
	late := time.After(natstest.Patience)
	for {
		h.mu.Lock()
		done, moved := ok(h), h.moved
		h.mu.Unlock()
		if done {
			return
		}
		select {
		case <-moved:
		case <-late:
			t.Fatalf("not in time: %s", what)
		}
	}
}
