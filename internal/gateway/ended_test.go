package gateway_test

import (
	"strings"
	"testing"

	"tidegate/internal/gateway"
	"tidegate/internal/limit"
	"tidegate/internal/peer"
	"tidegate/internal/stream"
	"tidegate/internal/topic"
	"tidegate/internal/wire"
)

// TestAStreamThatHasEndedCountsForNothing: neither for its address nor at its topics.
func TestAStreamThatHasEndedCountsForNothing(t *testing.T) {
	t.Parallel()
	const from = "X-Forwarded-For: 203.0.113.1"
	rules := peer.New(peer.Options{})
	var hub *topic.Hub
	r := setup(t, sockets, func(o *gateway.Options) {
		hub, o.From, o.Limits = o.Topics, rules, limit.New(limit.Options{PerAddress: 1, Peers: rules})
	})
	atTopic := func() int {
		members, _ := hub.Members("chat:1") // an error: there is no such topic any more
		return len(members)
	}
	for round := range 3 {
		c, token := r.accepted("/x", from)
		r.subscribe(token, `["chat:1"]`)
		if n := atTopic(); n != 1 {
			t.Errorf("round %d: %d streams are at the topic, want 1", round, n)
		}
		if got := r.open("/x", from).reply(); !strings.HasPrefix(got.Body, "retry: ") { // and not the backend's answer
			t.Errorf("round %d: a second stream of the address gets %d %q, want to come back later", round, got.Status, got.Body)
		}
		c.leave()
		r.backend.wantDisconnect(token, wire.ClientClosed, "")
		if n := atTopic(); n != 0 {
			t.Errorf("round %d: %d streams are at the topic when the only one has ended", round, n)
		}
	}
}

// nowhere is a stream that takes everything.
type nowhere struct{}

func (nowhere) Push(*stream.Batch, *stream.Frame) error            { return nil }
func (nowhere) PushAll(*stream.Batch, []stream.Item) error         { return nil }
func (nowhere) Merge([]stream.Item) error                          { return nil }
func (nowhere) End(*stream.Batch, wire.Ending, *stream.Frame) bool { return false }
func (nowhere) HasEvents() bool                                    { return false }

// TestADirectEventFollowsWhatWasPublishedBefore: an event of a large topic is on its way
// to thousands of streams when it is answered. What is sent to one of them then must not
// overtake it. In a batch the event begins its way only at the end.
func TestADirectEventFollowsWhatWasPublishedBefore(t *testing.T) {
	t.Parallel()
	var hub *topic.Hub
	r := setup(t, sockets, func(o *gateway.Options) { hub = o.Topics })
	c, token := r.accepted("/x")
	r.subscribe(token, `["chat:1"]`)
	for range 3000 {
		m := topic.NewMember(nowhere{}, "")
		if _, err := hub.Attach(t.Context(), m, []string{"chat:1"}, topic.FromDefault); err != nil {
			t.Fatal(err)
		}
		hub.Open(m)
		t.Cleanup(func() { hub.Leave(m) })
	}
	r.batch(`{"topic":"chat:1","event":{"data":"first"}}` + "\n" + `{"token":"` + token + `","event":{"data":"second"}}`)
	c.until("data: second")
	if text := c.until("data: first"); strings.Index(text, "data: first") > strings.Index(text, "data: second") {
		t.Errorf("the direct event came first: %q", text)
	}
}
