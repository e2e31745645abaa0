package topic_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"tidegate/internal/stream"
	"tidegate/internal/topic"
	"tidegate/internal/wire"
	"tidegate/sse"
)

func names(prefix string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprint(prefix, i)
	}
	return all
}

func TestTopicsOfOneStreamAreBounded(t *testing.T) {
	t.Parallel()
	h := newHub(keepAll)
	all := names("t:", topic.MaxTopicsPerStream)
	_, m := connect(t, h, "", topic.FromDefault, all[:9999]...)
	if _, err := h.Attach(ctx, m, []string{"x", "y"}, ""); !errors.Is(err, topic.ErrTooManyForStream) {
		t.Errorf("two beyond one place: %v, want ErrTooManyForStream", err)
	}
	if st := h.Stats(); st.Topics != 9999 {
		t.Errorf("%d topics after the refusal, want 9999: all or none", st.Topics)
	}
	attach(t, h, m, topic.FromDefault, append(slices.Clone(all), all...)...) // those it has, and repeats, do not count
	if n := len(h.Topics(m)); n != topic.MaxTopicsPerStream {
		t.Errorf("at %d topics, want %d", n, topic.MaxTopicsPerStream)
	}
	if _, err := h.Attach(ctx, m, []string{"x"}, ""); !errors.Is(err, topic.ErrTooManyForStream) {
		t.Errorf("one too many: %v, want ErrTooManyForStream", err)
	}
	h.Detach(m, []string{"t:5"})
	attach(t, h, m, topic.FromDefault, "x")
	h.Leave(m)
	if st := h.Stats(); st.Topics != 0 {
		t.Errorf("%d topics after leave, want 0", st.Topics)
	}
}

func TestTopicsAreBounded(t *testing.T) {
	t.Parallel()
	h := topic.New(topic.Options{Default: keepAll, MaxTopics: 3})
	publish(t, h, "a", "1")
	s, m := connect(t, h, "", topic.FromDefault, "b", "made up 1")
	if _, err := h.Attach(ctx, m, []string{"made up 2", "made up 3"}, ""); !errors.Is(err, topic.ErrTooManyTopics) {
		t.Errorf("Attach beyond the bound: %v, want ErrTooManyTopics", err)
	}
	attach(t, h, m, topic.FromDefault, "made up 2") // the refused attach has left its place free
	attach(t, h, m, topic.FromDefault, "a")         // and what is there can be attached to
	// X11: names that were made up keep nobody from publishing.
	publish(t, h, "c", "1")
	publish(t, h, "d", "1")
	if _, err := h.Publish(ctx, topic.Publication{Topic: "e", HasEvent: true}); !errors.Is(err, topic.ErrTooManyTopics) {
		t.Errorf("Publish beyond the bound: %v, want ErrTooManyTopics", err)
	}
	publish(t, h, "b", "those that are there go on")
	if got := s.got(t); got != "1 those that are there go on" {
		t.Errorf("got %q", got)
	}
	if e := wire.ErrorOf(topic.ErrTooManyTopics); e.Status != http.StatusServiceUnavailable || e.RetryAfter <= 0 {
		t.Errorf("ErrTooManyTopics answers %d, retry after %v", e.Status, e.RetryAfter)
	}
}

// TestX35AtTheBoundOwnPublishersAreAsGoodAsOthers: with a store a topic that nobody
// is at makes room, whoever begins a new one, and also if streams are at older ones.
func TestX35AtTheBoundOwnPublishersAreAsGoodAsOthers(t *testing.T) {
	t.Parallel()
	store := newFakeStore()
	h := store.start(topic.Options{Default: keepAll, MaxTopics: 4}, 0)
	s, m := connect(t, h, "", topic.FromEarliest, "a", "b")
	for _, name := range []string{"a", "b", "c", "d", "own"} {
		publish(t, h, name, name)
	}
	h.Apply([]topic.Stored{store.elsewhere("other", "1")})
	publish(t, h, "own:2", "1")
	attach(t, h, m, topic.FromEarliest, "c", "own") // read back from the store
	if got := s.got(t); got != "a b c own" {
		t.Errorf("got %q, want what the topics hold that had made room", got)
	}
	attach(t, h, m, topic.FromEarliest, "d", "other", "own:2")
	if _, err := h.Publish(ctx, topic.Publication{Topic: "e", HasEvent: true}); !errors.Is(err, topic.ErrTooManyTopics) {
		t.Errorf("Publish where streams are at all topics: %v, want ErrTooManyTopics", err)
	}
	h.Leave(m)
	publish(t, h, "e", "1")
}

func TestAStreamThatHasLeftIsGone(t *testing.T) {
	t.Parallel()
	h := newHub(keepAll)
	s, m := connect(t, h, "", topic.FromDefault, "a")
	h.Leave(m)
	if _, err := h.Attach(ctx, m, []string{"a"}, ""); !errors.Is(err, topic.ErrGone) {
		t.Errorf("Attach after Leave: %v, want ErrGone", err)
	}
	h.Detach(m, []string{"a"})
	publish(t, h, "a", "1")
	if got := s.got(t); got != "" {
		t.Errorf("got %q after Leave", got)
	}
}

func TestAStreamRemembersTheLatestOfItsClosedTopics(t *testing.T) {
	t.Parallel()
	h := newHub(keepAll)
	all := names("t:", topic.MaxClosedTopics+1)
	for _, name := range all {
		publish(t, h, name, name)
		closeTopic(t, h, name)
	}
	s, m := connect(t, h, "", topic.FromDefault, append([]string{"open"}, all...)...)
	had := len(s.got(t))
	attach(t, h, m, topic.FromDefault, all[len(all)-1], all[1])
	if len(s.got(t)) != had {
		t.Error("a repeat for one of the latest was not left alone")
	}
	attach(t, h, m, topic.FromDefault, all[0])
	if len(s.got(t)) == had {
		t.Error("more closed topics are remembered than the bound says")
	}
}

func TestReceiversAreThoseThatTookTheEvent(t *testing.T) {
	t.Parallel()
	h := newHub(keepAll)
	a, _ := connect(t, h, "", topic.FromDefault, "x")
	b, _ := connect(t, h, "", topic.FromDefault, "x")
	connect(t, h, "", topic.FromDefault, "x")
	a.full = true // is ended by the event
	b.End(nil, topicClosed, nil)
	r, err := h.Publish(ctx, topic.Publication{Topic: "x", HasEvent: true, Data: "1"})
	if err != nil || r.Receivers != 1 {
		t.Errorf("Publish = %+v, %v; want one receiver of three", r, err)
	}
}

func TestAStreamThatHasEndedIsLeftAlone(t *testing.T) {
	t.Parallel()
	h := newHub(keepAll)
	publish(t, h, "a", "1")
	closeTopic(t, h, "a")
	s, m := connect(t, h, "", "")
	h.Open(m)
	s.End(nil, wire.Ending{Reason: wire.ServerClosed, Detail: wire.DetailDrain}, nil)
	attach(t, h, m, topic.FromDefault, "a", "b")
	if s.got(t) != "" || s.ending.Detail != wire.DetailDrain {
		t.Errorf("got %q, ending %+v; want nothing, and the first reason", s.got(t), s.ending)
	}
	h.Leave(m)
	if st := h.Stats(); st.Topics != 1 {
		t.Errorf("%d topics, want the closed one alone", st.Topics)
	}
}

func TestAnEventNameThatDoesNotFitIsRefused(t *testing.T) {
	t.Parallel()
	h := newHub(keepAll)
	for _, name := range []string{"a\nb", "a\rb", "a\x00b"} {
		if _, err := h.Publish(ctx, topic.Publication{Topic: "a", HasEvent: true, Name: name}); !errors.Is(err, sse.ErrField) {
			t.Errorf("name %q: %v, want ErrField", name, err)
		}
	}
	if st := h.Stats(); st.Topics != 0 || st.Published != 0 {
		t.Errorf("Stats() = %+v, want nothing", st)
	}
}

func TestFramesAreSharedByAllStreams(t *testing.T) {
	t.Parallel()
	h := newHub(keepAll)
	a, _ := connect(t, h, "", topic.FromDefault, "x")
	b, _ := connect(t, h, "", topic.FromDefault, "x")
	publish(t, h, "x", "1")
	c, _ := connect(t, h, "", topic.FromDefault, "x")
	frame := func(s *sink) *byte { return &s.frames[len(s.frames)-1].Frame.Block()[0] }
	if frame(a) != frame(b) || frame(a) != frame(c) {
		t.Error("a frame was copied for a stream")
	}
	if a.frames[len(a.frames)-1].Kind != stream.Live || c.frames[0].Kind != stream.Replay {
		t.Error("live and replayed frames are of the wrong kind")
	}
}
