package topic_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"tidegate/internal/topic"
)

// spaces has a topic namespace for each kind of replay.
func spaces() map[string]topic.Retention {
	return map[string]topic.Retention{
		"all":  {Events: 3, Replay: topic.ReplayAll},
		"held": {Events: 3, Replay: topic.ReplayHeld},
		"last": {Events: 2, Replay: topic.ReplayLast},
		"none": {Events: 3, Replay: topic.ReplayNone},
	}
}

func TestResetRules(t *testing.T) {
	t.Parallel()
	other := topic.New(topic.Options{}).ID(1, 0)
	for _, tt := range []struct {
		name   string
		space  string
		events int    // published as 1, 2, 3 …
		lastID string // or
		at     int    // the event whose id the client has
		from   string
		want   string

		override bool
	}{
		{name: "newcomer, all held", space: "all", events: 3, want: "1 2 3"},
		{name: "newcomer, some gone", space: "all", events: 5, want: "reset 3 4 5"},
		{name: "newcomer asks for what is held", space: "all", events: 5, from: topic.FromEarliest, want: "3 4 5"},
		{name: "newcomer wants no past", space: "all", events: 5, from: topic.FromLatest, want: ""},
		{name: "resume within history", space: "all", events: 5, at: 4, want: "5"},
		{name: "resume at its edge", space: "all", events: 5, at: 2, want: "3 4 5"},
		{name: "resume beyond history", space: "all", events: 5, at: 1, want: "reset 3 4 5"},
		{name: "resume at the head", space: "all", events: 5, at: 5, want: ""},
		{name: "id of another process", space: "all", events: 3, lastID: other, want: "reset 1 2 3"},
		{name: "id that is none", space: "all", events: 3, lastID: "\x01\xff", want: "reset 1 2 3"},
		{name: "id from the future", space: "all", events: 3, lastID: "future", want: "reset 1 2 3"},

		// X41: who reloads gets what is held, and is not notified of what is not.
		{name: "held, newcomer", space: "held", events: 3, want: "1 2 3"},
		{name: "held, newcomer, some gone", space: "held", events: 5, want: "3 4 5"},
		{name: "held, newcomer before the first", space: "held", events: 0, want: ""},
		{name: "held, newcomer wants no past", space: "held", events: 5, from: topic.FromLatest, want: ""},
		{name: "held, earliest", space: "held", events: 5, from: topic.FromEarliest, want: "3 4 5"},
		{name: "held, resume within history", space: "held", events: 5, at: 4, want: "5"},
		{name: "held, resume beyond history", space: "held", events: 5, at: 1, want: "reset 3 4 5"},
		{name: "held, id of another process", space: "held", events: 5, lastID: other, want: "reset 3 4 5"},
		{name: "held, id that is none", space: "held", events: 2, lastID: "x", want: "reset 1 2"},

		// X42: from is for those who bring no id.
		{name: "resume, earliest is asked for", space: "all", events: 3, at: 2, from: topic.FromEarliest, want: "3"},
		{name: "resume, latest is asked for", space: "all", events: 3, at: 2, from: topic.FromLatest, want: "3"},
		{name: "resume beyond history, latest is asked for", space: "all", events: 5, at: 1, from: topic.FromLatest, want: "reset 3 4 5"},
		{name: "id of another process, latest is asked for", space: "held", events: 2, lastID: other, from: topic.FromLatest, want: "reset 1 2"},
		{name: "resume, override with earliest", space: "all", events: 3, at: 2, from: topic.FromEarliest, override: true, want: "1 2 3"},
		{name: "resume, override with latest", space: "all", events: 3, at: 2, from: topic.FromLatest, override: true, want: ""},
		{name: "newcomer, override with latest", space: "held", events: 3, from: topic.FromLatest, override: true, want: ""},

		{name: "value, newcomer", space: "last", events: 5, want: "5"},
		{name: "value, newcomer before it", space: "last", events: 0, want: ""},
		{name: "value, earliest", space: "last", events: 5, from: topic.FromEarliest, want: "4 5"},
		{name: "value, resume; superseded ones are not lost", space: "last", events: 5, at: 1, want: "4 5"},
		{name: "value, resume with the newest", space: "last", events: 5, at: 5, want: ""},
		{name: "value, id of another process", space: "last", events: 5, lastID: other, want: "5"},

		{name: "live, newcomer", space: "none", events: 5, want: ""},
		{name: "live, resume within history", space: "none", events: 5, at: 3, want: "4 5"},
		{name: "live, resume beyond history", space: "none", events: 5, at: 1, want: "reset 3 4 5"},
		{name: "live, id of another process", space: "none", events: 5, lastID: other, want: "reset 3 4 5"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := topic.New(topic.Options{Namespaces: spaces()})
			name := tt.space + ":x"
			for i := range tt.events {
				publish(t, h, name, fmt.Sprint(i+1))
			}
			id := tt.lastID
			switch {
			case tt.at > 0:
				id = h.ID(uint64(tt.at), 0)
			case id == "future":
				id = h.ID(1000, 0)
			}
			s, m := connect(t, h, id, "")
			if _, _, err := h.AttachTo(ctx, m, topic.Request{Topics: []string{name}, From: tt.from, Override: tt.override}); err != nil {
				t.Fatal(err)
			}
			publish(t, h, name, "live")
			if got, want := s.got(t), strings.TrimSpace(tt.want+" live"); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			if resets := h.Stats().Resets; resets != uint64(strings.Count(tt.want, "reset")) {
				t.Errorf("%d resets counted", resets)
			}
			h.Leave(m)
		})
	}
}

func TestAnExplicitIDIsWhereAnAttachBegins(t *testing.T) {
	t.Parallel()
	h := topic.New(topic.Options{Namespaces: spaces()})
	ids := publish(t, h, "all:x", "1", "2", "3")
	s, m := connect(t, h, ids[2], "")
	if _, _, err := h.AttachTo(ctx, m, topic.Request{Topics: []string{"all:x"}, From: ids[0], Override: true}); err != nil {
		t.Fatal(err)
	}
	if got := s.got(t); got != "2 3" {
		t.Errorf("got %q, want what is after the id that was asked for", got)
	}
	if got, want := s.lastID(t), ids[2]; got != want {
		t.Errorf("last id %q, want %q: it never goes back", got, want)
	}
	s, _ = connect(t, h, "", ids[0], "all:x")
	if got := s.got(t); got != "2 3" {
		t.Errorf("without an id: got %q, want what is after the id that was asked for", got)
	}
	s, _ = connect(t, h, "", topic.New(topic.Options{}).ID(7, 0), "all:x")
	if got := s.got(t); got != "reset 1 2 3" {
		t.Errorf("from an id of another process: got %q", got)
	}
}

func TestAWordThatIsNoIDIsRefused(t *testing.T) {
	t.Parallel()
	h := topic.New(topic.Options{Namespaces: spaces()})
	_, m := connect(t, h, "", "")
	if _, err := h.Attach(ctx, m, []string{"all:x"}, "newest"); !errors.Is(err, topic.ErrFrom) {
		t.Errorf("Attach from \"newest\": %v, want ErrFrom", err)
	}
	if st := h.Stats(); st.Topics != 0 || len(h.Topics(m)) != 0 {
		t.Errorf("after the refusal: %d topics, the stream is at %q", st.Topics, h.Topics(m))
	}
}

func TestNothingToReplaySendsAnID(t *testing.T) {
	t.Parallel()
	h := topic.New(topic.Options{Namespaces: spaces()})
	publish(t, h, "all:other", "1", "2")
	s, m := connect(t, h, "", topic.FromDefault, "all:x", "none:x")
	if got, want := string(s.bytes()), "id: "+h.ID(2, 0)+"\n\n"; got != want {
		t.Errorf("sent %q, want the block %q", got, want)
	}
	h.Leave(m)
	publish(t, h, "none:x", "missed")
	if got := resume(t, h, s.lastID(t), "none:x"); got != "missed" {
		t.Errorf("back with that id: got %q", got)
	}
}

// TestSkippedHistoryStaysSkipped: a stream is given the past of one topic and
// not of another that is newer; its id must not bring back what was skipped.
func TestSkippedHistoryStaysSkipped(t *testing.T) {
	t.Parallel()
	h := topic.New(topic.Options{Namespaces: spaces()})
	publish(t, h, "all:x", "old")
	publish(t, h, "none:x", "skipped")
	s, m := connect(t, h, "", topic.FromDefault, "all:x", "none:x")
	h.Leave(m)
	s, _ = connect(t, h, s.lastID(t), topic.FromDefault, "all:x", "none:x")
	if got := s.got(t); got != "" {
		t.Errorf("back with the last id: got %q, want nothing", got)
	}
}

// TestF11OneIDResumesAllTopics is about an id that covers one topic only.
func TestF11OneIDResumesAllTopics(t *testing.T) {
	t.Parallel()
	h := newHub(topic.Retention{Events: 1000, Replay: topic.ReplayAll})
	var names []string
	for i := range 50 {
		names = append(names, fmt.Sprint("t:", i))
	}
	s, m := connect(t, h, "", topic.FromDefault, names...)
	for i := range 500 {
		publish(t, h, names[i*7%50], fmt.Sprint(i))
	}
	h.Leave(m)
	middle := string(s.bytes()[:len(s.bytes())/2])
	events, id := read(t, []byte(middle))
	s, _ = connect(t, h, id, topic.FromDefault, names...)
	more, _ := read(t, s.bytes())
	for i, ev := range append(events, more...) {
		if ev.Data != fmt.Sprint(i) {
			t.Fatalf("event %d is %q: %d before the cut, %d after", i, ev.Data, len(events), len(more))
		}
	}
	if n := len(events) + len(more); n != 500 {
		t.Errorf("%d events over both connections, want 500", n)
	}
}

// TestF3AReplayIsNotCut is about replays that end at 1,000 events.
func TestF3AReplayIsNotCut(t *testing.T) {
	t.Parallel()
	const n = 20_000
	h := newHub(topic.Retention{Events: n, Replay: topic.ReplayAll})
	for i := range n {
		publish(t, h, "a", fmt.Sprint(i))
	}
	s, _ := connect(t, h, "", topic.FromDefault, "a")
	events, _ := read(t, s.bytes())
	if len(events) != n {
		t.Fatalf("%d events replayed, want %d", len(events), n)
	}
	for i, ev := range events {
		if ev.Data != fmt.Sprint(i) {
			t.Fatalf("event %d is %q", i, ev.Data)
		}
	}
}

// TestF2ARecentIDIsFoundInALongHistory is about ids that are not found among
// more than 10,000 events.
func TestF2ARecentIDIsFoundInALongHistory(t *testing.T) {
	t.Parallel()
	const n = 20_000
	h := newHub(topic.Retention{Events: n, Replay: topic.ReplayAll})
	ids := make([]string, n)
	for i := range n {
		ids[i] = publish(t, h, "a", fmt.Sprint(i))[0]
		publish(t, h, "b", "between")
	}
	for _, at := range []int{0, 1, n / 2, n - 1000, n - 3, n - 2, n - 1} {
		s, m := connect(t, h, ids[at], topic.FromDefault, "a")
		events, _ := read(t, s.bytes())
		if len(events) != n-1-at || len(events) > 0 && events[0].Data != fmt.Sprint(at+1) {
			t.Errorf("after event %d: %d events, want %d", at, len(events), n-1-at)
		}
		h.Leave(m)
	}
}

// TestTopicsOfOneValueGiveItsNewestEvent: a client that follows the notices to
// everybody and those to itself receives the newest of both, once.
func TestTopicsOfOneValueGiveItsNewestEvent(t *testing.T) {
	t.Parallel()
	for _, first := range []string{"v", "v:me"} {
		h := topic.New(topic.Options{Namespaces: map[string]topic.Retention{"v": {Events: 1, Replay: topic.ReplayLast}}})
		second := map[string]string{"v": "v:me", "v:me": "v"}[first]
		publish(t, h, first, "old")
		publish(t, h, second, "new")
		s, _ := connect(t, h, "", topic.FromDefault, "v", "v:me")
		if got, want := s.got(t), "new"; got != want {
			t.Errorf("published to %s, then to %s: received %q, want %q", first, second, got, want)
		}
		if got, want := s.lastID(t), h.ID(2, 0); got != want {
			t.Errorf("last id %q, want %q", got, want)
		}
		again, _ := connect(t, h, s.lastID(t), topic.FromDefault, "v", "v:me")
		if got := again.got(t); got != "" {
			t.Errorf("back again it received %q, want nothing", got)
		}
	}
}
