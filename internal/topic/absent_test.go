package topic_test

import (
	"fmt"
	"strings"
	"testing"

	"tidegate/internal/topic"
	"tidegate/internal/wire"
)

// absent is what a backend has for topics that do not exist.
func absent(names ...string) (all []wire.AbsentTopic) {
	for _, name := range names {
		all = append(all, wire.AbsentTopic{Topic: name, Events: []wire.Event{{Name: "error", Data: name + "?"}, {Name: "connection_close", Data: name + "!"}}})
	}
	return all
}

// arrive connects a client as a backend does that knows nothing of some topics, and
// opens its stream.
func arrive(t testing.TB, h *topic.Hub, lastID string, r topic.Request) (s *sink, m *topic.Member, finished bool) {
	t.Helper()
	s, m = connect(t, h, lastID, "")
	if _, _, err := h.AttachTo(ctx, m, r); err != nil {
		t.Fatalf("attach: %v", err)
	}
	return s, m, h.Open(m)
}

// eachHub runs a test with a hub in memory, and with one that has a store.
func eachHub(t *testing.T, opts topic.Options, test func(t *testing.T, h *topic.Hub)) {
	t.Run("memory", func(t *testing.T) { t.Parallel(); test(t, topic.New(opts)) })
	t.Run("store", func(t *testing.T) { t.Parallel(); test(t, newFakeStore().start(opts, 0)) })
}

func TestX11AnAbsentTopicStoresNothing(t *testing.T) {
	t.Parallel()
	eachHub(t, durable, func(t *testing.T, h *topic.Hub) {
		publish(t, h, "all:other", "1")
		before := h.Stats()
		s, m, finished := arrive(t, h, "", topic.Request{Absent: absent("all:a")})
		if got := s.got(t); got != "all:a? all:a!" || finished || s.ending == nil || s.ending.Reason != wire.ServerClosed {
			t.Errorf("got %q, finished: %v, ending %+v; want both events, and the end", got, finished, s.ending)
		}
		h.Leave(m)
		for ev := range strings.SplitSeq(strings.TrimSpace(string(s.bytes())), "\n\n") {
			if !strings.HasPrefix(ev, "id: ") {
				t.Errorf("an event without an id: %q", ev)
			}
		}
		// It comes back.
		s2, m2, finished := arrive(t, h, s.lastID(t), topic.Request{Absent: absent("all:a")})
		if got := s2.got(t); got != "" || !finished {
			t.Errorf("back with %q: got %q, finished: %v; want 204", s.lastID(t), got, finished)
		}
		h.Leave(m2)
		if after := h.Stats(); after.Topics != before.Topics || after.Events != before.Events || after.Published != before.Published {
			t.Errorf("stats before %+v, after %+v", before, after)
		}
		// The topic comes to exist.
		publish(t, h, "all:a", "1", "2")
		s3, _, finished := arrive(t, h, s.lastID(t), topic.Request{Absent: absent("all:a")})
		if got := s3.got(t); got != "1 2" || finished {
			t.Errorf("back when the topic exists: got %q, finished: %v; want all of it", got, finished)
		}
		publish(t, h, "all:a", "3")
		if got := s3.got(t); got != "1 2 3" || s3.ending != nil {
			t.Errorf("got %q, ending %v; want it to go on", got, s3.ending)
		}
	})
}

// TestX11BesideOtherTopicsTheFirstEventComes, and the stream stays open.
func TestX11BesideOtherTopicsTheFirstEventComes(t *testing.T) {
	t.Parallel()
	eachHub(t, durable, func(t *testing.T, h *topic.Hub) {
		publish(t, h, "all:b", "1")
		for what, attach := range map[string]func(m *topic.Member) error{
			"in one call": func(m *topic.Member) error {
				_, _, err := h.AttachTo(ctx, m, topic.Request{Topics: []string{"all:b"}, Absent: absent("all:a")})
				return err
			},
			"in two": func(m *topic.Member) error {
				_, _, err := h.AttachTo(ctx, m, topic.Request{Absent: absent("all:a")})
				if err == nil {
					_, err = h.Attach(ctx, m, []string{"all:b"}, "")
				}
				return err
			},
		} {
			s, m := connect(t, h, "", "")
			if err := attach(m); err != nil {
				t.Fatal(err)
			}
			if finished := h.Open(m); finished || s.ending != nil || s.got(t) != "1 all:a?" {
				t.Errorf("%s: got %q, finished: %v, ending %v; want the first event beside the other topic's", what, s.got(t), finished, s.ending)
			}
			id := s.lastID(t)
			h.Leave(m)
			s, m, _ = arrive(t, h, id, topic.Request{Topics: []string{"all:b"}, Absent: absent("all:a")})
			if got := s.got(t); got != "" {
				t.Errorf("%s: back with an id that says so: got %q, want nothing twice", what, got)
			}
			h.Leave(m)
		}
	})
}

// TestX11ManyAbsentTopics come as one: first what is wrong with each, and the end
// when all has been said.
func TestX11ManyAbsentTopics(t *testing.T) {
	t.Parallel()
	eachHub(t, topic.Options{Namespaces: durable.Namespaces, MaxTopics: 2}, func(t *testing.T, h *topic.Hub) {
		var all []string
		for i := range 100 {
			all = append(all, fmt.Sprint("all:", i))
		}
		s, m, finished := arrive(t, h, "", topic.Request{Absent: absent(all...)})
		want := strings.Join(all, "? ") + "? " + strings.Join(all, "! ") + "!"
		if got := s.got(t); got != want || finished || s.ending == nil {
			t.Errorf("got %q, want %q, and the end", got, want)
		}
		h.Leave(m)
		// Cut before it received all, it receives it again.
		_, part := read(t, s.bytes()[:len(s.bytes())/2])
		s2, m, finished := arrive(t, h, part, topic.Request{Absent: absent(all...)})
		if s2.got(t) != want || finished {
			t.Errorf("cut half-way: got %q, finished: %v", s2.got(t), finished)
		}
		h.Leave(m)
		// The order does not matter, but which they are does.
		if s3, m, finished := arrive(t, h, s.lastID(t), topic.Request{Absent: absent(append(all[50:], all[:50]...)...)}); !finished || s3.got(t) != "" {
			t.Errorf("in another order: finished %v, got %q", finished, s3.got(t))
		} else {
			h.Leave(m)
		}
		if s4, m, finished := arrive(t, h, s.lastID(t), topic.Request{Absent: absent(all[1:]...)}); finished || s4.got(t) == "" {
			t.Errorf("others: finished %v, got %q; want 204 for each", finished, s4.got(t))
		} else {
			h.Leave(m)
		}
		if st := h.Stats(); st.Topics != 0 || st.Events != 0 || st.Published != 0 {
			t.Errorf("Stats() = %+v, want nothing", st)
		}
	})
}

// TestX11ATopicThatComesWhileTheCallbackIsPending is attached to, not missed.
func TestX11ATopicThatComesWhileTheCallbackIsPending(t *testing.T) {
	t.Parallel()
	eachHub(t, durable, func(t *testing.T, h *topic.Hub) {
		s, m := connect(t, h, "", "")
		if _, names, err := h.AttachTo(ctx, m, topic.Request{Absent: absent("all:a", "all:b")}); err != nil || len(names) != 2 {
			t.Fatal(names, err)
		}
		publish(t, h, "all:a", "1")
		if h.Open(m) {
			t.Error("finished")
		}
		publish(t, h, "all:a", "2")
		if got := s.got(t); got != "1 all:b? 2" || s.ending != nil {
			t.Errorf("got %q, ending %v; want the topic that came, and of the other one that it is absent", got, s.ending)
		}
	})
}

// TestX11AnOpenStreamIsToldAtOnce: there it is known what else it follows.
func TestX11AnOpenStreamIsToldAtOnce(t *testing.T) {
	t.Parallel()
	eachHub(t, durable, func(t *testing.T, h *topic.Hub) {
		s, m, _ := arrive(t, h, "", topic.Request{Topics: []string{"all:b"}})
		if _, _, err := h.AttachTo(ctx, m, topic.Request{Absent: absent("all:a")}); err != nil || s.got(t) != "all:a?" || s.ending != nil {
			t.Errorf("beside another topic: %v, got %q, ending %v", err, s.got(t), s.ending)
		}
		s, m, _ = arrive(t, h, "", topic.Request{})
		if _, _, err := h.AttachTo(ctx, m, topic.Request{Absent: absent("all:a")}); err != nil || s.got(t) != "all:a? all:a!" || s.ending == nil {
			t.Errorf("alone: %v, got %q, ending %v", err, s.got(t), s.ending)
		}
	})
}

// TestX11WhatOnlyTheStoreHasIsNotAbsent: it was evicted here, or another node's.
func TestX11WhatOnlyTheStoreHasIsNotAbsent(t *testing.T) {
	t.Parallel()
	s := newFakeStore()
	h := s.start(durable, 0)
	publish(t, h, "all:a", "1", "2")
	closeTopic(t, h, "all:a")
	h = s.start(durable, 0) // which knows of nothing
	c, _, finished := arrive(t, h, "", topic.Request{Absent: absent("all:a", "all:b")})
	if got := c.got(t); got != "1 2 all:b?" && got != "1 2  all:b?" || finished || c.ending == nil {
		t.Errorf("got %q, finished: %v, ending %v; want the closed topic, what is absent, and the end", got, finished, c.ending)
	}
	s.away = true
	h = s.start(durable, 0)
	_, m := connect(t, h, "", "")
	if _, _, err := h.AttachTo(ctx, m, topic.Request{Absent: absent("all:a")}); err == nil {
		t.Error("while the store is away a topic was taken for absent")
	}
	if n := h.Stats().Topics; n != 0 {
		t.Errorf("%d topics, want none", n)
	}
}

// TestX42OverrideIsNeverToldThatThereIsNoMore: it has asked for a stream.
func TestX42OverrideIsNeverToldThatThereIsNoMore(t *testing.T) {
	t.Parallel()
	eachHub(t, durable, func(t *testing.T, h *topic.Hub) {
		ids := publish(t, h, "all:a", "1")
		closeTopic(t, h, "all:a")
		s, _, finished := arrive(t, h, "", topic.Request{Topics: []string{"all:a"}})
		id := s.lastID(t)
		if finished || id == ids[0] {
			t.Fatalf("first: finished %v, last id %q", finished, id)
		}
		if _, _, finished := arrive(t, h, id, topic.Request{Topics: []string{"all:a"}, From: topic.FromLatest}); !finished {
			t.Error("without override the client does not learn that there is no more")
		}
		for _, from := range []string{topic.FromLatest, topic.FromEarliest} {
			s, _, finished := arrive(t, h, id, topic.Request{Topics: []string{"all:a"}, From: from, Override: true})
			if finished || s.ending == nil {
				t.Errorf("override with %s: finished %v, ending %v; want a stream that ends", from, finished, s.ending)
			}
		}
	})
}

// TestX11MadeUpNamesLeaveTheTombstonesOfOthers: a client that comes back to a topic
// that is gone learns that, whatever others ask for.
func TestX11MadeUpNamesLeaveTheTombstonesOfOthers(t *testing.T) {
	t.Parallel()
	s := newFakeStore()
	s.first = 2 // something has been dropped: of a name that is not known the store has to be asked
	opts := durable
	opts.Namespaces = map[string]topic.Retention{"all": {Events: 1, Replay: topic.ReplayAll}}
	h := s.start(opts, 0)
	publish(t, h, "all:a", "1")
	for i := range topic.MaxTombstones + 10 {
		_, m, _ := arrive(t, h, "", topic.Request{Topics: []string{fmt.Sprint("all:made up ", i)}, Absent: absent(fmt.Sprint("all:other ", i))})
		h.Leave(m)
	}
	if n := h.Tombstones(); n > 10 {
		t.Errorf("%d tombstones, want none for names that were made up", n)
	}
	if st := h.Stats(); st.Topics != 1 {
		t.Errorf("%d topics, want the one", st.Topics)
	}
}
