package topic_test

import (
	"errors"
	"net/http"
	"testing"

	"tidegate/internal/stream"
	"tidegate/internal/topic"
	"tidegate/internal/wire"
)

var keepAll = topic.Retention{Events: 100, Replay: topic.ReplayAll}

var topicClosed = wire.Ending{Reason: wire.ServerClosed, Detail: wire.DetailTopicClosed}

func TestAClosedTopicTakesNoMoreEvents(t *testing.T) {
	t.Parallel()
	h := newHub(keepAll)
	r, err := h.Publish(ctx, topic.Publication{Topic: "a", HasEvent: true, Data: "last", Close: true})
	if err != nil || r.ID == "" {
		t.Fatalf("close with an event: %+v, %v", r, err)
	}
	for _, p := range []topic.Publication{{Topic: "a", HasEvent: true, Data: "more"}, {Topic: "a", Close: true}, {Topic: "a"}} {
		if _, err := h.Publish(ctx, p); !errors.Is(err, topic.ErrClosed) {
			t.Errorf("Publish(%+v): %v, want ErrClosed", p, err)
		}
	}
	if e := wire.ErrorOf(topic.ErrClosed); e.Status != http.StatusConflict || e.Code != wire.CodeTopicClosed {
		t.Errorf("ErrClosed answers %d %s", e.Status, e.Code)
	}
	if info, _ := h.Info(ctx, "a"); !info.Closed || info.Events != 1 {
		t.Errorf("Info = %+v, want it closed with one event", info)
	}
}

func TestTheLastTopicEndsAnOpenStreamAfterItsLastEvent(t *testing.T) {
	t.Parallel()
	h := newHub(keepAll)
	s, m := connect(t, h, "", topic.FromDefault, "a", "b")
	h.Open(m)
	closeTopic(t, h, "a")
	if s.ending != nil {
		t.Fatalf("ended with %+v while a topic is left", *s.ending)
	}
	r, err := h.Publish(ctx, topic.Publication{Topic: "b", HasEvent: true, Data: "last", Close: true})
	if err != nil || r.Receivers != 1 {
		t.Fatalf("close b: %+v, %v; want one receiver", r, err)
	}
	if s.ending == nil || *s.ending != topicClosed {
		t.Fatalf("ending %v, want %+v", s.ending, topicClosed)
	}
	if got := s.got(t); got != "last" {
		t.Errorf("got %q, want the last event", got)
	}
	if got := h.Topics(m); len(got) != 0 {
		t.Errorf("still at %q", got)
	}
}

func TestAClosedTopicEndsAStreamThatComesLater(t *testing.T) {
	t.Parallel()
	h := newHub(keepAll)
	publish(t, h, "a", "1")
	closeTopic(t, h, "a")

	s, m := connect(t, h, "", topic.FromDefault, "a")
	if s.ending != nil {
		t.Error("a stream whose callback is pending was ended")
	}
	if finished := h.Open(m); finished || s.ending == nil || s.got(t) != "1" {
		t.Errorf("pending: finished %v, ending %v, got %q; want the event and the end", finished, s.ending, s.got(t))
	}

	s, m = connect(t, h, "", "")
	h.Open(m)
	attach(t, h, m, topic.FromDefault, "a")
	if s.ending == nil || s.got(t) != "1" {
		t.Errorf("open: ending %v, got %q; want the event and the end", s.ending, s.got(t))
	}
}

// TestWhoComesBackWithTheLastIDOfAClosedTopicIsFinished covers the answer 204,
// which stops EventSource for good.
func TestWhoComesBackWithTheLastIDOfAClosedTopicIsFinished(t *testing.T) {
	t.Parallel()
	h := newHub(keepAll)
	first := publish(t, h, "a", "1")[0]
	s, m := connect(t, h, "", topic.FromDefault, "a")
	h.Open(m)
	closeTopic(t, h, "a") // an id and no event
	h.Leave(m)
	last := s.lastID(t)

	for _, tt := range []struct {
		name, id string
		topics   []string
		want     bool
		got      string
	}{
		{"last id", last, []string{"a"}, true, ""},
		{"a later id of another topic", publish(t, h, "other", "x")[0], []string{"a"}, true, ""},
		{"before the close without event", first, []string{"a"}, false, ""},
		{"no id", "", []string{"a"}, false, "1"},
		{"an id of another process", topic.New(topic.Options{}).ID(99, 0), []string{"a"}, false, "reset 1"},
		{"with a topic that is open", last, []string{"a", "open"}, false, ""},
		{"with no topic", last, nil, false, ""},
	} {
		s, m := connect(t, h, tt.id, topic.FromDefault, tt.topics...)
		if got := h.Open(m); got != tt.want {
			t.Errorf("%s: Open() = %v, want %v", tt.name, got, tt.want)
		}
		if got := s.got(t); got != tt.got {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.got)
		}
		h.Leave(m)
	}
}

func TestADirectEventIsNotLostToAFinishedTopic(t *testing.T) {
	t.Parallel()
	h := newHub(keepAll)
	last := publish(t, h, "a", "1")[0]
	closeTopic(t, h, "a")
	s, m := connect(t, h, h.ID(2, 0), topic.FromDefault, "a")
	if err := s.PushAll(nil, []stream.Item{{Frame: stream.FrameOf([]byte("data: for you\n\n"), 0), Kind: stream.Direct}}); err != nil {
		t.Fatalf("Push: %v", err)
	}
	if h.Open(m) || s.got(t) != "for you" || s.ending == nil {
		t.Errorf("after %q: got %q, ending %v; want the direct event, then the end", last, s.got(t), s.ending)
	}
}

// TestLeavingATopicIsNotItsEnd: nothing was closed, so nothing ends.
func TestLeavingATopicIsNotItsEnd(t *testing.T) {
	t.Parallel()
	h := newHub(keepAll)
	s, m := connect(t, h, h.ID(0, 0), topic.FromDefault, "a")
	h.Detach(m, []string{"a"})
	if h.Open(m) || s.ending != nil {
		t.Errorf("a stream that left its topic before it was opened: ending %v", s.ending)
	}
	attach(t, h, m, topic.FromDefault, "b")
	h.Detach(m, []string{"b"})
	if s.ending != nil {
		t.Errorf("a stream that left its topic: ending %v", s.ending)
	}
	publish(t, h, "b", "x")
	attach(t, h, m, topic.FromLatest, "c")
	publish(t, h, "c", "still here")
	if got := s.got(t); got != "still here" {
		t.Errorf("got %q", got)
	}
}

func TestASecondSubscribeToAClosedTopicRepeatsNothing(t *testing.T) {
	t.Parallel()
	h := newHub(keepAll)
	publish(t, h, "a", "1")
	closeTopic(t, h, "a")
	s, m := connect(t, h, "", topic.FromDefault, "a", "a", "b")
	attach(t, h, m, topic.FromDefault, "a")
	h.Open(m)
	attach(t, h, m, topic.FromEarliest, "a", "b")
	publish(t, h, "b", "2")
	closeTopic(t, h, "b")
	attach(t, h, m, topic.FromDefault, "b")
	if got := s.got(t); got != "1 2" {
		t.Errorf("got %q, want each event once", got)
	}
}

func TestUnsubscribeMakesASecondSubscribeCount(t *testing.T) {
	t.Parallel()
	h := newHub(keepAll)
	publish(t, h, "a", "1")
	publish(t, h, "b", "2")
	closeTopic(t, h, "b")
	s, m := connect(t, h, "", topic.FromDefault, "a", "b")
	h.Open(m)
	h.Detach(m, []string{"b"})
	attach(t, h, m, topic.FromEarliest, "b")
	if got := s.got(t); got != "1 2 2" {
		t.Errorf("got %q, want b again", got)
	}
}

func TestDeleteForgetsAndEnds(t *testing.T) {
	t.Parallel()
	h := newHub(keepAll)
	id := publish(t, h, "a", "old")[0]
	publish(t, h, "a", "missed")
	s, m := connect(t, h, "", topic.FromDefault, "a")
	h.Open(m)
	if err := h.Delete(ctx, "a"); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	if s.ending == nil || *s.ending != topicClosed {
		t.Errorf("ending %v, want %+v", s.ending, topicClosed)
	}
	if err := h.Delete(ctx, "a"); !errors.Is(err, topic.ErrNotFound) {
		t.Errorf("second Delete: %v, want ErrNotFound", err)
	}
	if st := h.Stats(); st.Topics != 0 || st.Bytes != 0 || st.Dropped[topic.DropDeleted] != 2 {
		t.Errorf("Stats() = %+v, want nothing held and 2 dropped as deleted", st)
	}
	publish(t, h, "a", "new")
	if got := resume(t, h, "", "a"); got != "new" {
		t.Errorf("a newcomer to the topic that begins anew got %q, want no reset", got)
	}
	if got := resume(t, h, id, "a"); got != "reset new" {
		t.Errorf("who was there before got %q, want a reset", got)
	}
	if got := resume(t, h, s.lastID(t), "a"); got != "new" {
		t.Errorf("who had everything got %q, want what is new", got)
	}
}

func TestDeleteOfAClosedTopicOpensItsNameAgain(t *testing.T) {
	t.Parallel()
	h := newHub(keepAll)
	publish(t, h, "a", "1")
	closeTopic(t, h, "a")
	if err := h.Delete(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	publish(t, h, "a", "2")
	if got := resume(t, h, "", "a"); got != "2" {
		t.Errorf("got %q", got)
	}
}
