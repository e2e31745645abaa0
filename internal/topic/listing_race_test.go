package topic_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"tidegate/internal/topic"
)

// TestX31APageThatHasMoreIsFull lists topics while others come and go: names that
// have vanished since they were taken leave no empty page behind which there is more.
func TestX31APageThatHasMoreIsFull(t *testing.T) {
	t.Parallel()
	h := newHub(keepAll)
	live, stop := context.WithCancel(t.Context())
	defer stop()
	churned := make(chan struct{})
	go func() { // ends with live; the test waits for it
		defer close(churned)
		for live.Err() == nil {
			m := topic.NewMember(&sink{}, "")
			attach(t, h, m, topic.FromDefault, names("t:", 50)...)
			h.Leave(m)
		}
	}()
	for full := 0; full < 5_000; {
		limit := 1 + full%3
		infos, more := h.List(ctx, topic.Filter{Limit: limit})
		if len(infos) > limit || more && len(infos) < limit {
			t.Errorf("after %d pages: %d topics of at most %d, and more: %v", full, len(infos), limit, more)
			break
		}
		if more {
			full++
		}
	}
	stop()
	<-churned
}

// TestX31ATopicInDoubtIsListed: storage has to be asked of its newest event, and
// if it does not answer the topic is listed all the same.
func TestX31ATopicInDoubtIsListed(t *testing.T) {
	t.Parallel()
	s := newFakeStore()
	h := s.start(durable, 0)
	publish(t, h, "all:a", "1")
	publish(t, h, "all:b", "2", "3")
	h = s.start(durable, 0)
	late := s.elsewhere("all:b", "4")
	late.PrevKnown = false // its publisher was overtaken
	h.Apply([]topic.Stored{late})
	s.away = true
	infos, more := h.List(ctx, topic.Filter{Limit: 10})
	if len(infos) != 1 || more || infos[0].Topic != "all:b" || !infos[0].Unsure {
		t.Errorf("while the store is away: %+v, more: %v; want all:b, unsure", infos, more)
	}
	s.away = false
	infos, _ = h.List(ctx, topic.Filter{Limit: 10})
	if len(infos) != 1 || infos[0].Unsure || infos[0].Appended != 3 {
		t.Errorf("when it is back: %+v; want all:b, sure, with 3 events", infos)
	}
}

// TestX33ARepeatedSubscribeToAClosedTopicLeavesNothing: the topic was evicted, so
// the repeat opens its log anew to see that it is over.
func TestX33ARepeatedSubscribeToAClosedTopicLeavesNothing(t *testing.T) {
	t.Parallel()
	s := newFakeStore()
	opts := durable
	opts.MaxBytes = 100
	h := s.start(opts, 0)
	_, m := connect(t, h, "", topic.FromDefault, "all:open", "all:a")
	publish(t, h, "all:a", "1")
	closeTopic(t, h, "all:a")
	publish(t, h, "all:open", names("something that takes the place ", 20)...)
	before := h.Stats().Topics
	for range 3 {
		attach(t, h, m, topic.FromDefault, "all:a")
	}
	if n := h.Stats().Topics; n != before {
		t.Errorf("%d topics after the repeats, want %d as before", n, before)
	}
	h.Leave(m)
	if n := h.Stats().Topics; n > 1 {
		t.Errorf("%d topics when the stream has left, want only the one that holds events", n)
	}
}

// TestX33ARefusedSubscribeLeavesNothing: nor do a refusal and a detached topic.
func TestX33ARefusedSubscribeLeavesNothing(t *testing.T) {
	t.Parallel()
	s := newFakeStore()
	opts := durable
	opts.MaxTopics = 3
	h := s.start(opts, 0)
	publish(t, h, "all:a", "1")
	s.away = true
	h = s.start(opts, 0)
	for i := range 10 {
		_, m := connect(t, h, "", "")
		if _, err := h.Attach(ctx, m, []string{fmt.Sprint("all:", i)}, topic.FromDefault); !errors.Is(err, topic.ErrUnavailable) {
			t.Fatalf("attach %d: %v, want ErrUnavailable", i, err)
		}
		h.Leave(m)
	}
	if n := h.Stats().Topics; n != 0 {
		t.Errorf("%d topics, want none", n)
	}
}
