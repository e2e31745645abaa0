package topic_test

import (
	"context"
	"testing"
	"testing/synctest"

	"tidegate/internal/stream"
	"tidegate/internal/topic"
)

// wide makes a hub in which a topic of two streams is wide already, and three
// open streams at the topic "wide".
func wide(t *testing.T, most int) (*topic.Hub, []*sink, []*topic.Member) {
	t.Helper()
	h := newHub(keepAll)
	h.FanOutOver(2, most)
	var sinks []*sink
	var members []*topic.Member
	for range 3 {
		s, m := connect(t, h, "", topic.FromDefault, "wide")
		h.Open(m)
		sinks, members = append(sinks, s), append(members, m)
	}
	return h, sinks, members
}

func wantGot(t *testing.T, what string, s *sink, want string) {
	t.Helper()
	if got := s.got(t); got != want {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func TestAnEventOfALargeTopicIsAnsweredBeforeItIsQueued(t *testing.T) {
	t.Parallel()
	h, s, _ := wide(t, 100)
	r, err := h.Publish(ctx, topic.Publication{Topic: "wide", HasEvent: true, Data: "1"})
	if err != nil || r.Receivers != 3 || r.ID != h.ID(1, 0) {
		t.Errorf("Publish = %+v, %v; want three receivers", r, err)
	}
	if info, err := h.Info(ctx, "wide"); err != nil || info.Events != 1 {
		t.Errorf("the log holds %d events, %v; want the one that was answered", info.Events, err)
	}
	wantGot(t, "before a step", s[0], "")
	h.Advance()
	wantGot(t, "after one step, the first", s[0], "1")
	wantGot(t, "after one step, the second", s[1], "")
	h.Advance()
	h.Advance()
	wantGot(t, "after three steps", s[2], "1")
	if n := h.FanningOut(); n != 0 {
		t.Errorf("%d events are on their way, want none", n)
	}
}

// TestNothingOvertakesAnEventOnItsWay is about all that can be queued for a
// stream meanwhile.
func TestNothingOvertakesAnEventOnItsWay(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		do   func(t *testing.T, h *topic.Hub, m *topic.Member)
		want string
	}{
		{"a live event of another topic", func(t *testing.T, h *topic.Hub, m *topic.Member) {
			attach(t, h, m, topic.FromDefault, "narrow")
			publish(t, h, "wide", "2")
			publish(t, h, "narrow", "3")
		}, "1 2 3"},
		{"the past of another topic", func(t *testing.T, h *topic.Hub, m *topic.Member) {
			publish(t, h, "past", "2")
			attach(t, h, m, topic.FromEarliest, "past")
		}, "1 2"},
		{"the end of another topic", func(t *testing.T, h *topic.Hub, m *topic.Member) {
			attach(t, h, m, topic.FromDefault, "narrow")
			closeTopic(t, h, "narrow")
		}, "1"},
		{"the end of its topic", func(t *testing.T, h *topic.Hub, _ *topic.Member) { closeTopic(t, h, "wide") }, "1"},
		{"that it leaves the topic", func(_ *testing.T, h *topic.Hub, m *topic.Member) { h.Detach(m, []string{"wide"}) }, "1"},
		{"what is sent to it alone", func(_ *testing.T, h *topic.Hub, m *topic.Member) {
			b := stream.NewBatch()
			h.DeliverPending(b, m)
			b.Flush()
		}, "1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h, s, m := wide(t, 100)
			publish(t, h, "wide", "1")
			tt.do(t, h, m[2])
			wantGot(t, "before it was its turn", s[2], tt.want)
			for h.FanningOut() > 0 {
				h.Advance()
			}
			wantGot(t, "when all had their turn", s[2], tt.want)
		})
	}
}

func TestWhoComesWhileAnEventIsOnItsWayHasItOnce(t *testing.T) {
	t.Parallel()
	h, s, m := wide(t, 100)
	publish(t, h, "wide", "1")
	h.Advance()
	late, _ := connect(t, h, "", topic.FromDefault, "wide")
	h.Leave(m[0])
	for h.FanningOut() > 0 {
		h.Advance()
	}
	wantGot(t, "who came late", late, "1")
	for i := range s {
		wantGot(t, "who was there", s[i], "1")
	}
	if info, _ := h.Info(ctx, "wide"); info.Streams != 3 {
		t.Errorf("%d streams at the topic, want 3", info.Streams)
	}
}

// TestWhoLeavesWhileAnEventIsOnItsWayTakesItFromNobody: the last stream must not move to
// a place that the event has passed.
func TestWhoLeavesWhileAnEventIsOnItsWayTakesItFromNobody(t *testing.T) {
	t.Parallel()
	h, s, m := wide(t, 100)
	publish(t, h, "wide", "1")
	h.Advance()
	h.Leave(m[0])
	for h.FanningOut() > 0 {
		h.Advance()
	}
	wantGot(t, "the last stream", s[2], "1")
	publish(t, h, "wide", "2") // and the places are right again
	for h.FanningOut() > 0 {
		h.Advance()
	}
	wantGot(t, "the second stream", s[1], "1 2")
	wantGot(t, "the last stream", s[2], "1 2")
}

// TestEventsOnTheirWayAreBounded: who publishes more than that helps.
func TestEventsOnTheirWayAreBounded(t *testing.T) {
	t.Parallel()
	h, s, _ := wide(t, 2)
	publish(t, h, "wide", "1", "2", "3", "4", "5")
	if n := h.FanningOut(); n != 2 {
		t.Errorf("%d events are on their way, want 2", n)
	}
	wantGot(t, "the last stream", s[2], "1 2 3 4")
}

// TestEventsThatWaitForTheSameStreamGoTogether: a step gives a stream all that is
// on its way to it.
func TestEventsThatWaitForTheSameStreamGoTogether(t *testing.T) {
	t.Parallel()
	h, s, _ := wide(t, 100)
	publish(t, h, "wide", "1", "2", "3")
	h.Advance()
	wantGot(t, "the first stream after one step", s[0], "1 2 3")
	wantGot(t, "the second stream after one step", s[1], "")
}

func TestRunSpreadsEverything(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, s, _ := wide(t, 100)
		done := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = h.Run(ctx); close(done) }()
		publish(t, h, "wide", "1", "2", "3")
		synctest.Wait()
		wantGot(t, "the last stream", s[2], "1 2 3")
		cancel()
		<-done
	})
}
