package topic_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"tidegate/internal/topic"
)

// late makes an open stream that has had "live" of one topic and then joins
// others, whose past is behind it.
func late(t *testing.T, h *topic.Hub, lastID string, topics ...string) (*sink, *topic.Member) {
	t.Helper()
	s, m := connect(t, h, lastID, topic.FromDefault, "first")
	h.Open(m)
	publish(t, h, "first", "live")
	attach(t, h, m, topic.FromDefault, topics...)
	return s, m
}

// TestALateReplayIsResumedInItsMiddle cuts a stream after each byte while it is
// given the past of a topic that it joined late.
func TestALateReplayIsResumedInItsMiddle(t *testing.T) {
	t.Parallel()
	h := newHub(topic.Retention{Events: 100, Replay: topic.ReplayAll})
	publish(t, h, "task", "1", "2", "3", "4")
	s, m := late(t, h, "", "task")
	publish(t, h, "task", "5")
	publish(t, h, "first", "live too")
	h.Leave(m)
	want := "live 1 2 3 4 5 live too"
	whole := s.bytes()
	if got := s.got(t); got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
	from := bytes.Index(whole, []byte("data: 1")) // before it, no id speaks of the topic
	for cut := from; cut <= len(whole); cut++ {
		had, id := read(t, whole[:cut])
		if id == h.ID(5, 0) && len(had) == 1 {
			continue // nor in the first block itself
		}
		rest, m := connect(t, h, id, topic.FromDefault, "first", "task")
		h.Leave(m)
		var words []string
		for _, ev := range had {
			words = append(words, ev.Data)
		}
		if got := strings.TrimSpace(strings.Join(words, " ") + " " + rest.got(t)); got != want {
			t.Fatalf("cut at %d of %d, id %q: got %q in all, want %q", cut, len(whole), id, got, want)
		}
	}
}

func TestALateReplayEndsWithAPlainID(t *testing.T) {
	t.Parallel()
	h := newHub(topic.Retention{Events: 100, Replay: topic.ReplayAll})
	publish(t, h, "task", "1", "2")
	s, m := late(t, h, "", "task")
	publish(t, h, "unrelated", "x")
	if got, want := s.lastID(t), h.ID(3, 0); got != want {
		t.Errorf("last id %q, want the plain %q", got, want)
	}
	publish(t, h, "task", "3")
	if got, want := s.lastID(t), h.ID(5, 0); got != want {
		t.Errorf("last id after a live event %q, want %q", got, want)
	}
	h.Leave(m)
}

func TestALateReplaySharesTheFramesOfTheLog(t *testing.T) {
	t.Parallel()
	h := newHub(topic.Retention{Events: 100, Replay: topic.ReplayAll})
	publish(t, h, "task", strings.Repeat("x", 10_000))
	s, _ := late(t, h, "", "task")
	again, _ := connect(t, h, "", topic.FromDefault, "task")
	shared := again.frames[0].Frame.Block()
	for _, f := range s.frames {
		if b := f.Frame.Block(); len(b) > 5000 && &b[len(b)-1] != &shared[len(shared)-1] {
			t.Errorf("a late replay copied an event of %d bytes", f.Frame.Len())
		}
	}
}

func TestLateTopicsBeyondWhatAnIDCanNameLeadToAReset(t *testing.T) {
	t.Parallel()
	for _, n := range []int{topic.MaxLate, topic.MaxLate + 1} {
		h := newHub(topic.Retention{Events: 100, Replay: topic.ReplayAll})
		names := make([]string, n)
		for i := range names {
			names[i] = fmt.Sprint("task:", i)
			publish(t, h, names[i], "old", "new")
		}
		s, m := late(t, h, "", names...)
		h.Leave(m)
		middle := s.bytes()[:bytes.LastIndex(s.bytes(), []byte("id: "))] // all but the plain id at the end
		events, id := read(t, middle)
		if len(events) != 1+2*n {
			t.Fatalf("%d topics: %d events, want %d", n, len(events), 1+2*n)
		}
		if n > topic.MaxLate && !strings.HasSuffix(id, "-~") {
			t.Errorf("%d late topics: the id %.60q… names them", n, id)
		}
		again, m := connect(t, h, id, topic.FromDefault, append(names, "first")...)
		h.Leave(m)
		got := again.got(t)
		if fits := n <= topic.MaxLate; fits && got != "" || !fits && !strings.HasPrefix(got, "reset ") {
			t.Errorf("%d late topics: back with %.60q… got %.60q…", n, id, got)
		}
		if _, ok := h.Place(s.lastID(t), ""); !ok {
			t.Errorf("%d late topics: the last id %q leads nowhere", n, s.lastID(t))
		}
	}
}

// TestAnIDThatCannotSayWhereAllLateTopicsAreLeadsToAReset: two topics are joined
// late by a client that has more of one than of the other.
func TestAnIDThatCannotSayWhereAllLateTopicsAreLeadsToAReset(t *testing.T) {
	t.Parallel()
	h := newHub(topic.Retention{Events: 100, Replay: topic.ReplayAll})
	publish(t, h, "b", "b1")
	publish(t, h, "a", "a1", "a2")
	publish(t, h, "b", "b2")
	s, m := late(t, h, "", "a") // has live, and a1 of a; b is new to it
	h.Leave(m)
	_, id := read(t, s.bytes()[:bytes.Index(s.bytes(), []byte("data: a2"))])
	publish(t, h, "b", "b3")

	s, m = late(t, h, id, "a", "b")
	h.Leave(m)
	if got, want := s.got(t), "live a2 b3"; got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
	// After a2 an id for both would say that b is where a is, before b2.
	_, id = read(t, s.bytes()[:bytes.Index(s.bytes(), []byte("data: b3"))])
	if got, want := resume(t, h, id, "b"), "reset b1 b2 b3"; got != want {
		t.Errorf("back with %q: got %q, want %q", id, got, want)
	}
	if got := resume(t, h, s.lastID(t), "b"); got != "" {
		t.Errorf("back with the last id: got %q, want nothing", got)
	}
}

func TestTopicsAttachedOneByOneBeforeOpenAreOneReplay(t *testing.T) {
	t.Parallel()
	h := newHub(topic.Retention{Events: 100, Replay: topic.ReplayAll})
	publish(t, h, "a", "1")
	publish(t, h, "b", "2")
	publish(t, h, "a", "3")
	publish(t, h, "b", "4")
	s, m := connect(t, h, "", topic.FromDefault, "a")
	publish(t, h, "a", "5")
	attach(t, h, m, topic.FromDefault, "nothing here")
	attach(t, h, m, topic.FromDefault, "b")
	h.Open(m)
	if got, want := s.got(t), "1 2 3 4 5"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	whole := s.bytes()
	for cut := range len(whole) + 1 {
		had, id := read(t, whole[:cut])
		rest, m := connect(t, h, id, topic.FromDefault, "b", "a")
		more, _ := read(t, rest.bytes())
		h.Leave(m)
		if len(had)+len(more) != 5 {
			t.Fatalf("cut at %d: %d events before, %d after, want 5", cut, len(had), len(more))
		}
	}
}
