package topic_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/internal/topic"
)

// counting is a store that counts how often it is asked when an event was stored.
type counting struct {
	*fakeStore
	mu    sync.Mutex
	asked int // guarded by mu
}

func (s *counting) Time(ctx context.Context, seq uint64) (int64, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	return s.fakeStore.Time(ctx, seq)
}

// sealed makes a hub with a store that knows the secret of ids.
func sealed(back int, data ...string) (*topic.Hub, *counting) {
	s := &counting{fakeStore: newFakeStore()}
	s.start(durable, 0)
	for _, d := range data {
		s.take(topic.Entry{Topic: "all:a", HasEvent: true, Data: d, Number: s.head() + 1, Prev: s.head()})
	}
	opts := durable
	opts.Store, opts.Generation = s, "teststor"
	s.hub = topic.New(opts)
	s.hub.Key("secret")
	floor := len(data) - back
	var at int64
	if floor > 0 {
		at = timeAt(uint64(floor))
	}
	s.hub.Begin(uint64(floor)+1, at, "")
	s.hub.Apply(s.events[floor:])
	return s.hub, s
}

// TestX15AnIDThatWasMadeUpCostsNothing: it is not looked up, and not waited for.
func TestX15AnIDThatWasMadeUpCostsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, s := sealed(1, "1", "2", "3")
		begin := time.Now()
		id := h.ID(2, timeAt(2))
		end := id[len(id)-8:]
		for _, forged := range []string{
			"teststor-zzzz-cwyvpelhb803", "teststor-zzzz-cwyvpelhb803" + end, h.ID(99, timeAt(99))[:len(id)-8], // of the future
			"teststor-2-cwyvpelhb804" + end, "teststor-1-cwyvpelhb803", strings.Replace(id, "-2-", "-1-", 1), // of the past
			id[:len(id)-1] + "!", id + "a", id[:len(id)-8] + "_", id + "_aaaaaaa", strings.ToUpper(id),
		} {
			m := topic.NewMember(&sink{}, forged)
			h.CatchUp(ctx, m)
			c, _ := connect(t, h, forged, topic.FromDefault, "all:a")
			if got := c.got(t); got != "reset 1 2 3" {
				t.Errorf("with %q received %q, want a reset", forged, got)
			}
		}
		if s.asked != 0 || time.Since(begin) != 0 {
			t.Errorf("the store was asked %d times, and it took %v; want neither", s.asked, time.Since(begin))
		}
		c, _ := connect(t, h, id, topic.FromDefault, "all:a")
		if got := c.got(t); got != "3" {
			t.Errorf("with the true id received %q, want 3", got)
		}
	})
}

// TestX15AfterARestoreNobodyIsHeldUp: the ids of clients are true, and of a future
// that the backup has not seen.
func TestX15AfterARestoreNobodyIsHeldUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, s := sealed(3, "1", "2", "3")
		begin := time.Now()
		m := topic.NewMember(&sink{}, h.ID(1000, timeAt(1000)))
		h.CatchUp(ctx, m)
		attach(t, h, m, topic.FromDefault, "all:a")
		c, _ := connect(t, h, h.ID(1000, timeAt(1000)), topic.FromDefault, "all:a")
		if got := c.got(t); got != "reset 1 2 3" || time.Since(begin) != 0 {
			t.Errorf("received %q after %v, want a reset at once", got, time.Since(begin))
		}
		if s.asked != 1 {
			t.Errorf("the store was asked %d times, want once for all", s.asked)
		}
		// What the store has since, it is asked for.
		time.Sleep(time.Second)
		for range 10 {
			s.take(topic.Entry{Topic: "all:x", HasEvent: true, Data: "x"})
		}
		m = topic.NewMember(&sink{}, h.ID(13, timeAt(13)))
		var waiting sync.WaitGroup
		waiting.Go(func() { h.CatchUp(ctx, m) })
		synctest.Wait()
		h.Apply(s.events[3:])
		waiting.Wait()
		attach(t, h, m, topic.FromDefault, "all:a")
		if _, ok := h.Place(h.ID(13, timeAt(13)), ""); !ok || s.asked != 2 {
			t.Errorf("an id of what has come since: %v, after %d looks", ok, s.asked)
		}
	})
}

// TestX15WhoIsAheadIsWaitedForBeforehand, and not while a callback waits.
func TestX15WhoIsAheadIsWaitedForBeforehand(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, s := sealed(1, "1")
		next := s.take(topic.Entry{Topic: "all:a", HasEvent: true, Data: "2", Number: 2, Prev: 1}) // another node's
		id, begin := h.ID(2, timeAt(2)), time.Now()
		m := topic.NewMember(&sink{}, id)
		if _, err := h.Attach(ctx, m, []string{"all:a"}, ""); !errors.Is(err, topic.ErrUnavailable) || time.Since(begin) != 0 {
			t.Errorf("attach without a wait before: %v after %v, want ErrUnavailable at once", err, time.Since(begin))
		}
		h.CatchUp(ctx, m) // which never ends well
		if took := time.Since(begin); took > 3*time.Second {
			t.Errorf("waited for %v", took)
		}
		var waiting sync.WaitGroup
		for range 100 {
			waiting.Go(func() {
				s := &sink{}
				m := topic.NewMember(s, id)
				h.CatchUp(ctx, m)
				attach(t, h, m, topic.FromDefault, "all:a")
				if got := s.got(t); got != "" {
					t.Errorf("received %q, want nothing: the client has had it", got)
				}
			})
		}
		synctest.Wait()
		h.Apply(s.events[1:2])
		waiting.Wait()
		if next.Seq != 2 {
			t.Error(next)
		}
	})
}

// TestX15SoManyWaitForWhatIsAhead: one more is not kept waiting.
func TestX15SoManyWaitForWhatIsAhead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, s := sealed(1, "1")
		s.take(topic.Entry{Topic: "all:a", HasEvent: true, Data: "2", Number: 2, Prev: 1}) // another node's
		comes := func() { h.CatchUp(ctx, topic.NewMember(&sink{}, h.ID(2, timeAt(2)))) }
		var waiting sync.WaitGroup
		for range 1024 {
			waiting.Go(comes)
		}
		synctest.Wait()
		begin := time.Now()
		if comes(); time.Since(begin) != 0 {
			t.Errorf("one more waits for %v", time.Since(begin))
		}
		h.Apply(s.events[1:2])
		waiting.Wait()
		if time.Since(begin) != 0 {
			t.Errorf("the others wait for %v after it came", time.Since(begin))
		}
	})
}

// TestX15IDsOfBeforeThereWereSealsHold for as long as it is remembered when their
// events were stored.
func TestX15IDsOfBeforeThereWereSealsHold(t *testing.T) {
	t.Parallel()
	h, s := sealed(2, "1", "2", "3")
	bare := func(seq uint64) string { id := h.ID(seq, timeAt(seq)); return id[:len(id)-8] }
	c, _ := connect(t, h, bare(2), topic.FromDefault, "all:a")
	if got := c.got(t); got != "3" {
		t.Errorf("one that is remembered: received %q, want 3", got)
	}
	c, _ = connect(t, h, bare(1), topic.FromDefault, "all:a")
	if got := c.got(t); got != "reset 1 2 3" || s.asked != 0 {
		t.Errorf("one that is not: received %q after %d looks, want a reset without", got, s.asked)
	}
}

// TestX15AllNodesAndProcessesSealAlike: a client may come back to any.
func TestX15AllNodesAndProcessesSealAlike(t *testing.T) {
	t.Parallel()
	a, _ := sealed(1, "1", "2")
	b, _ := sealed(2, "1", "2")
	if a.ID(2, timeAt(2)) != b.ID(2, timeAt(2)) {
		t.Error("two nodes give one event two ids")
	}
	b.Key("other")
	if a.ID(2, timeAt(2)) == b.ID(2, timeAt(2)) {
		t.Error("another secret makes the same seals")
	}
}

// TestX15EveryKindOfIDIsSealed: those of events, of late ones, of blocks without
// one, and of what is said of absent topics.
func TestX15EveryKindOfIDIsSealed(t *testing.T) {
	t.Parallel()
	h, _ := sealed(3, "1", "2", "3")
	publish(t, h, "all:b", "4")
	s, m, _ := arrive(t, h, "", topic.Request{Topics: []string{"all:c"}})
	publish(t, h, "all:c", "5")
	attach(t, h, m, topic.FromEarliest, "all:a", "all:b")
	if _, _, err := h.AttachTo(ctx, m, topic.Request{Absent: absent("all:none")}); err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(s.bytes())) {
		id, ok := strings.CutPrefix(strings.TrimSpace(line), "id: ")
		if !ok {
			continue
		}
		n++
		if _, ok := h.Place(id, ""); !ok {
			t.Errorf("id %q does not hold", id)
		}
		for i := range id {
			if changed := id[:i] + string(rune(id[i]^1)) + id[i+1:]; id[i] != '_' {
				if _, ok := h.Place(changed, ""); ok {
					t.Errorf("id %q was changed to %q, and holds", id, changed)
				}
			}
		}
	}
	if n < 7 {
		t.Errorf("%d ids in %q", n, s.bytes())
	}
}

// FuzzSealedID holds that no id without a true seal is taken for one of this hub.
func FuzzSealedID(f *testing.F) {
	h, _ := sealed(3, "1", "2", "3")
	for _, id := range []string{h.ID(2, timeAt(2)), h.ID(99, timeAt(99)), "teststor-2-cwyvpelhb803", "teststor-0_aaaaaaa", "_aaaaaaa", "teststor-2.~1_aaaaaaa"} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		if _, ok := h.Place(id, ""); ok && len(id) >= 8 && id[len(id)-8] == '_' {
			body := id[:len(id)-8]
			if body != h.ID(2, timeAt(2))[:len(h.ID(2, timeAt(2)))-8] && body != h.ID(99, timeAt(99))[:len(h.ID(99, timeAt(99)))-8] {
				t.Errorf("%q was taken", id)
			}
		}
	})
}

// TestIDsOfALogThatWasTakenOverHold, however old their events are: they had no seals
// where the log was before.
func TestIDsOfALogThatWasTakenOverHold(t *testing.T) {
	t.Parallel()
	_, s := sealed(1, "1", "2", "3")
	opts := durable
	opts.Store, opts.Generation, opts.Unsealed = s, "teststor", 2
	h := topic.New(opts)
	s.hub = h
	h.Key("secret")
	h.Begin(s.head()+1, timeAt(s.head()), "")
	bare := func(seq uint64) string { id := h.ID(seq, timeAt(seq)); return id[:len(id)-8] }
	for id, want := range map[string]string{bare(1): "2 3", bare(2): "3", bare(2)[:len(bare(2))-1]: "reset 1 2 3"} {
		c, _ := connect(t, h, id, topic.FromDefault, "all:a")
		if got := c.got(t); got != want {
			t.Errorf("%s: received %q, want %q", id, got, want)
		}
	}
}
