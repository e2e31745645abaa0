package topic_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/internal/topic"
)

var durable = topic.Options{Namespaces: map[string]topic.Retention{
	"all":  {Events: 100_000, Replay: topic.ReplayAll},
	"aged": {Events: 100, Age: time.Hour, Replay: topic.ReplayNone},
}}

// ids of events of a fake store.
func storeID(h *topic.Hub, seq uint64) string { return h.ID(seq, timeAt(seq)) }

func TestF1AResumeWorksAfterARestartBeforeAnyPublish(t *testing.T) {
	t.Parallel()
	s := newFakeStore()
	h := s.start(durable, 0)
	publish(t, h, "all:a", "1", "2", "3")
	h = s.start(durable, 1) // which knows of the newest event only
	c, _ := connect(t, h, storeID(h, 1), topic.FromDefault, "all:a")
	if got := c.got(t); got != "2 3" {
		t.Errorf("received %q, want 2 3", got)
	}
}

func TestF2ARecentIDIsFoundAmongManyEvents(t *testing.T) {
	t.Parallel()
	s := newFakeStore()
	h := s.start(durable, 0)
	for i := range 11_000 {
		publish(t, h, fmt.Sprint("all:", i%100), "x")
	}
	publish(t, h, "all:a", "1", "2")
	for _, back := range []int{1, 5_000, 20_000} {
		h = s.start(durable, back)
		c, _ := connect(t, h, storeID(h, 11_001), topic.FromDefault, "all:a")
		if got := c.got(t); got != "2" {
			t.Errorf("of %d events in memory: received %q, want 2", back, got)
		}
	}
}

func TestF3AReplayOf50000EventsArrivesWhole(t *testing.T) {
	t.Parallel()
	s := newFakeStore()
	h := s.start(durable, 0)
	want := make([]string, 50_000)
	for i := range want {
		want[i] = fmt.Sprint(i)
	}
	publish(t, h, "all:a", want...)
	h = s.start(durable, 10)
	c, _ := connect(t, h, "", topic.FromDefault, "all:a")
	if got := c.got(t); got != strings.Join(want, " ") {
		t.Errorf("received %d bytes of data, want %d", len(got), len(strings.Join(want, " ")))
	}
}

func TestF11OneIDResumesAllTopicsAfterARestart(t *testing.T) {
	t.Parallel()
	s := newFakeStore()
	h := s.start(durable, 0)
	publish(t, h, "all:a", "1")
	publish(t, h, "all:b", "2")
	publish(t, h, "all:a", "3")
	publish(t, h, "all:b", "4")
	h = s.start(durable, 1)
	c, _ := connect(t, h, storeID(h, 2), topic.FromDefault, "all:a", "all:b")
	if got := c.got(t); got != "3 4" {
		t.Errorf("received %q, want 3 4", got)
	}
}

// TestF17AnIDOfAnotherDeploymentShowsNothingOfThisOne: its numbers mean nothing
// here, however close they are.
func TestF17AnIDOfAnotherDeploymentShowsNothingOfThisOne(t *testing.T) {
	t.Parallel()
	s := newFakeStore()
	h := s.start(durable, 0)
	publish(t, h, "aged:a", "secret", "2")
	for _, id := range []string{"othrstor" + storeID(h, 1)[8:], h.ID(1, timeAt(1)+1), h.ID(1, 0), h.ID(99, timeAt(99))} {
		c, _ := connect(t, h, id, topic.FromDefault, "aged:a")
		if got := c.got(t); got != "reset" {
			t.Errorf("with the id %q received %q, want a reset only", id, got)
		}
	}
}

func TestAnIDFitsBetweenItsNeighboursWhenItsEventIsGone(t *testing.T) {
	t.Parallel()
	for _, back := range []int{1, 100} {
		s := newFakeStore()
		h := s.start(durable, 0)
		publish(t, h, "all:x", "1")
		publish(t, h, "all:a", "2")
		publish(t, h, "all:b", "3", "4")
		s.Purge(ctx, "all:a", 3)
		h = s.start(durable, back)
		c, _ := connect(t, h, storeID(h, 2), topic.FromDefault, "all:b")
		if got := c.got(t); got != "3 4" {
			t.Errorf("%d in memory: received %q, want 3 4", back, got)
		}
	}
}

func TestARewindNotifiesThoseWhoSawWhatIsLost(t *testing.T) {
	t.Parallel()
	s := newFakeStore()
	h := s.start(durable, 0)
	publish(t, h, "all:a", "1", "2")
	c, m := connect(t, h, "", topic.FromDefault, "all:a")
	early, em := connect(t, h, "", topic.FromLatest, "all:b")
	publish(t, h, "all:a", "3")
	h.Open(m)
	h.Open(em)
	s.events = s.events[:1]
	h.Rewind(1, "")
	publish(t, h, "all:a", "new 2")
	if got := c.got(t); got != "1 2 3 reset new 2" {
		t.Errorf("received %q, want a reset before the new event", got)
	}
	if got := early.got(t); got != "" && got != "reset" {
		t.Errorf("a stream at another topic received %q", got)
	}
	late, _ := connect(t, h, storeID(h, 3), topic.FromDefault, "all:a")
	if got := late.got(t); got != "reset 1 new 2" {
		t.Errorf("with an id from before it received %q, want reset and all that is there", got)
	}
	if got := c.lastID(t); got != storeID(h, 2) {
		t.Errorf("last id %q, want that of the new event", got)
	}
}

func TestWithoutItsStoreAHubServesWhatItHolds(t *testing.T) {
	t.Parallel()
	s := newFakeStore()
	h := s.start(durable, 0)
	publish(t, h, "all:a", "1", "2")
	h = s.start(durable, 1)
	publish(t, h, "all:b", "3", "4")
	s.away = true
	c, _ := connect(t, h, storeID(h, 3), topic.FromDefault, "all:b")
	if got := c.got(t); got != "4" {
		t.Errorf("received %q, want 4", got)
	}
	if _, err := h.Publish(ctx, topic.Publication{Topic: "all:b", HasEvent: true}); !errors.Is(err, topic.ErrUnavailable) {
		t.Errorf("publish: %v, want ErrUnavailable", err)
	}
	m := topic.NewMember(&sink{}, "")
	if _, err := h.Attach(ctx, m, []string{"all:b", "all:a"}, ""); !errors.Is(err, topic.ErrUnavailable) {
		t.Errorf("attach to what has to be read back: %v, want ErrUnavailable", err)
	}
	if got := h.Topics(m); len(got) > 0 {
		t.Errorf("it was attached to %q, want nothing", got)
	}
	s.away = false
	if _, err := h.Attach(ctx, m, []string{"all:b", "all:a"}, ""); err != nil {
		t.Errorf("attach when the store is back: %v", err)
	}
}

func TestManyWhoComeBackCostOneRead(t *testing.T) {
	t.Parallel()
	s := newFakeStore()
	h := s.start(durable, 0)
	publish(t, h, "all:a", "1", "2", "3")
	h = s.start(durable, 1)
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			c, _ := connect(t, h, storeID(h, 1), topic.FromDefault, "all:a")
			if got := c.got(t); got != "2 3" {
				t.Errorf("received %q, want 2 3", got)
			}
		})
	}
	all.Wait()
	if s.reads != 1 {
		t.Errorf("the store was read %d times, want once", s.reads)
	}
}

func TestAnEndSurvivesARestart(t *testing.T) {
	t.Parallel()
	s := newFakeStore()
	h := s.start(durable, 0)
	publish(t, h, "all:a", "1")
	if _, err := h.Publish(ctx, topic.Publication{Topic: "all:a", HasEvent: true, Data: "2", Close: true}); err != nil {
		t.Fatal(err)
	}
	publish(t, h, "all:b", "3")
	h = s.start(durable, 1)
	if _, err := h.Publish(ctx, topic.Publication{Topic: "all:a", HasEvent: true}); !errors.Is(err, topic.ErrClosed) {
		t.Errorf("publish behind the end: %v, want ErrClosed", err)
	}
	_, m := connect(t, h, storeID(h, 2), topic.FromDefault, "all:a")
	if !h.Open(m) {
		t.Error("a client that has had the end is not asked to stay away")
	}
	c, m := connect(t, h, storeID(h, 1), topic.FromDefault, "all:a")
	if h.Open(m) || c.got(t) != "2" || c.ending == nil {
		t.Errorf("received %q, ended: %v; want the end", c.got(t), c.ending != nil)
	}
}

// TestWhatMayHaveExpiredIsReportedAsLost: a hub that was started anew cannot know
// whether there was anything between a client's last event and what is left.
func TestWhatMayHaveExpiredIsReportedAsLost(t *testing.T) {
	t.Parallel()
	s := newFakeStore()
	h := s.start(durable, 0)
	publish(t, h, "all:x", "1")
	publish(t, h, "aged:a", "2") // in 2023, so it has expired by now
	publish(t, h, "all:x", "3")
	s.Purge(ctx, "aged:a", 3)
	h = s.start(durable, 1)
	c, _ := connect(t, h, storeID(h, 1), topic.FromDefault, "aged:a")
	if got := c.got(t); got != "reset" {
		t.Errorf("received %q, want a reset", got)
	}
	c, _ = connect(t, h, "", topic.FromDefault, "aged:a")
	if got := c.got(t); got != "" {
		t.Errorf("a newcomer received %q, want nothing", got)
	}
}

func TestAnIDThatAnotherNodeGaveIsWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newFakeStore()
		h := s.start(durable, 0)
		publish(t, h, "all:a", "1")
		next := topic.Stored{Entry: topic.Entry{Topic: "all:a", HasEvent: true, Data: "2", Number: 2, Prev: 1}, Seq: 2, At: timeAt(2)}
		s.events = append(s.events, next) // stored by another node, and not come here yet
		var all sync.WaitGroup
		all.Go(func() {
			c, m := connect(t, h, storeID(h, 2), "")
			h.CatchUp(ctx, m)
			attach(t, h, m, topic.FromDefault, "all:a")
			if got := c.got(t); got != "" {
				t.Errorf("received %q, want nothing: the client has had it", got)
			}
		})
		synctest.Wait()
		h.Apply([]topic.Stored{next})
		all.Wait()

		s.events = append(s.events, topic.Stored{Entry: next.Entry, Seq: 3, At: timeAt(3)})
		m := topic.NewMember(&sink{}, storeID(h, 3))
		h.CatchUp(ctx, m)
		if _, err := h.Attach(ctx, m, []string{"all:a"}, ""); !errors.Is(err, topic.ErrUnavailable) {
			t.Errorf("attach of one whose id never comes: %v, want ErrUnavailable", err)
		}
		c, _ := connect(t, h, storeID(h, 4), topic.FromDefault, "all:a")
		if got := c.got(t); got != "reset 1 2" {
			t.Errorf("with an id that there is not received %q, want a reset", got)
		}
	})
}

func TestAnEventBehindTheEndDoesNotCount(t *testing.T) {
	t.Parallel()
	s := newFakeStore()
	h := s.start(durable, 0)
	c, m := connect(t, h, "", topic.FromDefault, "all:a")
	h.Open(m)
	end := topic.Stored{Entry: topic.Entry{Topic: "all:a", HasEvent: true, Data: "end", Close: true, Number: 1}, Seq: 1, At: timeAt(1)}
	late := topic.Stored{Entry: topic.Entry{Topic: "all:a", HasEvent: true, Data: "late", Number: 1}, Seq: 2, At: timeAt(2)}
	s.events = []topic.Stored{end, late} // two nodes published at the same time
	applied := h.Apply(s.events)
	if applied[0].Err != nil || applied[0].Receivers != 1 || !errors.Is(applied[1].Err, topic.ErrClosed) {
		t.Errorf("applied %+v, want the second to be refused", applied)
	}
	if got := c.got(t); got != "end" {
		t.Errorf("received %q, want the end only", got)
	}
	again, _ := connect(t, s.start(durable, 0), "", topic.FromDefault, "all:a")
	if got := again.got(t); got != "end" {
		t.Errorf("read back: received %q, want the end only", got)
	}
}

func TestAStoreIsAskedToTrimTopics(t *testing.T) {
	t.Parallel()
	s := newFakeStore()
	opts := topic.Options{Default: topic.Retention{Events: 10, Replay: topic.ReplayAll}}
	h := s.start(opts, 0)
	for i := range 1000 {
		publish(t, h, "a", fmt.Sprint(i))
	}
	if len(s.events) > 10+256 || s.trims == 0 || s.trims > 20 {
		t.Errorf("%d events are stored after %d trims, want not many more than 10 after a few", len(s.events), s.trims)
	}
	h = s.start(opts, 1)
	c, _ := connect(t, h, "", topic.FromDefault, "a")
	if got := c.got(t); got != "reset 990 991 992 993 994 995 996 997 998 999" {
		t.Errorf("received %q, want the newest 10 behind a reset", got)
	}
}

// A store may still have what is older than a topic keeps, for one when the setting
// was made shorter.
func TestATopicThatHasExpiredCanBeReadBack(t *testing.T) {
	t.Parallel()
	s := newFakeStore()
	s.events = []topic.Stored{storedEvent(1, "aged:a", "1", 1, 0), storedEvent(2, "aged:a", "2", 2, 1), storedEvent(3, "all:b", "3", 1, 0)}
	h := s.start(durable, 1)
	if got := resume(t, h, storeID(h, 1), "aged:a"); got != "reset" {
		t.Errorf("received %q, want a reset: what was missed has expired", got)
	}
	if held := h.Stats().Events; held != 1 {
		t.Errorf("%d events held, want 1", held)
	}
}
