package eventlog

import (
	"bytes"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/storage/nats"
	"tidegate/internal/stream"
	"tidegate/internal/topic"
	"tidegate/internal/wire"
	"tidegate/sse"
)

// hubNode is one process of a deployment with the hub that it really has.
type hubNode struct {
	*logNode
	hub *topic.Hub
}

// runHub runs a log with a hub until the test ends. The hub knows of a generation
// from before.
func runHub(t testing.TB, e *nats.Engine, ev jetstream.Stream, opts Options) *hubNode {
	t.Helper()
	l := newLog(e, ev, opts)
	hub := topic.New(topic.Options{
		Default: topic.Retention{Events: 100, Replay: topic.ReplayAll}, Store: l, Generation: "formerly",
	})
	n := &hubNode{logNode: &logNode{Log: l}, hub: hub}
	n.run(t, hub)
	n.caught(t)
	return n
}

func (n *hubNode) publish(t testing.TB, name, data string) (id string) {
	t.Helper()
	r, err := n.hub.Publish(t.Context(), topic.Publication{Topic: name, HasEvent: true, Data: data})
	if err != nil {
		t.Fatalf("Publish(%s, %s) = %v", name, data, err)
	}
	return r.ID
}

// connect opens a stream at topics.
func (n *hubNode) connect(t testing.TB, lastID string, topics ...string) *client {
	t.Helper()
	c := &client{}
	m := topic.NewMember(c, lastID)
	if _, err := n.hub.Attach(t.Context(), m, topics, topic.FromDefault); err != nil {
		t.Fatalf("Attach(%q) = %v", topics, err)
	}
	n.hub.Open(m)
	return c
}

// client is a stream that is read as it comes.
type client struct {
	mu  sync.Mutex
	all bytes.Buffer // guarded by mu
}

func (c *client) Push(b *stream.Batch, f *stream.Frame) error {
	return c.PushAll(b, []stream.Item{{Frame: f}})
}

func (c *client) PushAll(_ *stream.Batch, items []stream.Item) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, i := range items {
		c.all.Write(i.Frame.Block())
	}
	return nil
}

func (c *client) Merge(items []stream.Item) error                    { return c.PushAll(nil, items) }
func (c *client) End(*stream.Batch, wire.Ending, *stream.Frame) bool { return true }
func (c *client) HasEvents() bool                                    { return false }

// got is what a client sees: "reset" and the data of the events, in one line, and
// what it resumes with.
func (c *client) got(t testing.TB) (words, lastID string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	d := sse.NewDecoder(bytes.NewReader(c.all.Bytes()), sse.DecoderOptions{})
	var all []string
	for ev, err := range d.Events() {
		if err != nil {
			t.Errorf("read the stream: %v", err)
		}
		if ev.Name == "reset" {
			ev.Data = ev.Name
		}
		all = append(all, ev.Data)
	}
	return strings.Join(all, " "), d.LastEventID()
}
