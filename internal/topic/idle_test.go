package topic_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/internal/topic"
)

// catalogStore knows its topics by name.
type catalogStore struct{ *fakeStore }

func (s catalogStore) Names(yield func(string)) {
	for _, e := range s.events {
		yield(e.Topic)
	}
}

func (s catalogStore) Held(name string) (n int) {
	for _, e := range s.events {
		if e.Topic == name {
			n++
		}
	}
	return n
}

// startIdle makes a hub that leaves topics to its store after a minute, and runs it
// until the test ends.
func startIdle(t *testing.T) (*topic.Hub, *fakeStore) {
	s := newFakeStore()
	opts := durable
	opts.Idle, opts.Store, opts.Generation = time.Minute, catalogStore{s}, "teststor"
	s.hub = topic.New(opts)
	s.hub.Begin(1, 0, "")
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = s.hub.Run(ctx) })
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
	return s.hub, s
}

func TestIdleTopicsAreLeftToTheStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, _ := startIdle(t)
		publish(t, h, "all:idle", "1", "2")
		publish(t, h, "all:followed", "1")
		watcher, m := connect(t, h, "", topic.FromLatest, "all:followed")
		time.Sleep(30 * time.Second)
		publish(t, h, "all:later", "1")

		time.Sleep(32 * time.Second)
		st := h.Stats()
		if st.Events != 2 || st.Dropped[topic.DropIdle] != 2 {
			t.Errorf("%d events in memory, %d left to the store; want those of the topic with a stream and of the later one, and 2", st.Events, st.Dropped[topic.DropIdle])
		}
		if got, want := listedNames(t, h), []string{"all:followed", "all:idle", "all:later"}; !slices.Equal(got, want) {
			t.Errorf("listed are %q, want %q", got, want)
		}
		if info, err := h.Info(ctx, "all:idle"); err != nil || info.Events != 0 || info.Stored != 2 || info.Appended != 2 {
			t.Errorf("Info of the idle topic is %+v, %v; want none of 2 stored events in memory", info, err)
		}

		back, _ := connect(t, h, "", topic.FromEarliest, "all:idle")
		if got := back.got(t); got != "1 2" {
			t.Errorf("a stream at the idle topic received %q, want both events", got)
		}
		publish(t, h, "all:followed", "2")
		if got := watcher.got(t); got != "2" {
			t.Errorf("the stream that was there received %q, want the new event", got)
		}
		h.Leave(m)
		time.Sleep(3 * time.Minute)
		if got := h.Stats().Events; got != 2 {
			t.Errorf("%d events in memory, want those of the topic that still has a stream", got)
		}
		publish(t, h, "all:later", "2")
		if info, err := h.Info(ctx, "all:later"); err != nil || info.Appended != 2 {
			t.Errorf("an event after the idle time is number %d, %v; want 2", info.Appended, err)
		}
	})
}

// A topic that was read back is used: it stays for another while.
func TestWhatWasReadBackIsNotIdle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, s := startIdle(t)
		publish(t, h, "all:a", "1")
		time.Sleep(2 * time.Minute)
		for range 3 {
			c, m := connect(t, h, "", topic.FromEarliest, "all:a")
			if got := c.got(t); got != "1" {
				t.Fatalf("received %q, want 1", got)
			}
			h.Leave(m)
			time.Sleep(20 * time.Second)
		}
		if s.reads != 1 {
			t.Errorf("the store was read %d times within a minute, want once", s.reads)
		}
	})
}

// More topics are idle than leave under one hold of the lock.
func TestManyIdleTopicsLeaveAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, _ := startIdle(t)
		for i := range 1000 {
			publish(t, h, "all:"+strconv.Itoa(i), "x")
		}
		time.Sleep(62 * time.Second)
		if got := h.Stats().Events; got != 0 {
			t.Errorf("%d events are still in memory", got)
		}
		if got := len(listedNames(t, h)); got != 1000 {
			t.Errorf("%d topics are listed, want 1000", got)
		}
		if _, err := h.Info(ctx, "all:unknown"); !errors.Is(err, topic.ErrNotFound) {
			t.Errorf("Info of an unknown topic: %v, want ErrNotFound", err)
		}
	})
}

func listedNames(t *testing.T, h *topic.Hub) (names []string) {
	infos, more := h.List(t.Context(), topic.Filter{Limit: 10_000})
	if more {
		t.Error("the listing has more pages than one")
	}
	for _, info := range infos {
		names = append(names, info.Topic)
	}
	return names
}
