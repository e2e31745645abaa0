package storetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tidegate/internal/topic"
)

var deleteCases = []testCase{
	{"ATopicBeginsAnewBehindItsDeletion", func(t *testing.T, c Config) {
		p, n := open(t, c)
		n.each(texts("a", "1", "2")...)
		n.each(texts("b", "1", "2")...)
		gone := n.publish(topic.Entry{Topic: "a", Delete: true})[0]
		if e, ok := n.rec.at(gone.Seq); !ok || !e.Delete || e.Topic != "a" {
			t.Errorf("the hub was given %s, want the deletion", show(e))
		}
		n.lastIs("a", gone.Seq, true)
		if err := n.store.Purge(within(t), "a", gone.Seq); err != nil {
			t.Fatalf("Purge = %v", err)
		}
		for range 2 {
			if got := n.read("a"); len(got) != 1 || got[0].Seq != gone.Seq || !got[0].Delete {
				t.Errorf("what is left is %s, want the deletion at %d", seqs(got), gone.Seq)
			}
			n.lastIs("a", gone.Seq, true)
			n = n.again(p)
		}
		n.each(texts("a", "3", "4")...)
		for range 2 {
			got := withoutDeletions(n.read("a"))
			if data(got) != "3 4" || got[0].Number != 1 || got[0].DeletedTo != gone.Seq || got[1].Number != 2 {
				t.Errorf("stored is %q, want 3 4, counted from 1, and born at %d", data(got), gone.Seq)
			}
			n.chain("a")
			n = n.again(p)
		}
		if got := data(n.read("b")); got != "1 2" {
			t.Errorf("the other topic is %q, want 1 2", got)
		}
	}},
	{"ADeletionCountsBeforeThePurge", func(t *testing.T, c Config) {
		p, n := open(t, c)
		n.each(texts("a", "1", "2")...)
		gone := n.publish(topic.Entry{Topic: "a", Delete: true})[0]
		n = n.again(p)
		n.lastIs("a", gone.Seq, true)
		n.each(texts("a", "3")...)
		if err := n.store.Purge(within(t), "a", gone.Seq); err != nil {
			t.Fatalf("Purge = %v", err)
		}
		if got := data(withoutDeletions(n.read("a"))); got != "3" {
			t.Errorf("stored is %q, want 3", got)
		}
	}},
	{"PurgeDropsWhatIsBelow", func(t *testing.T, c Config) {
		p, n := open(t, c)
		at := n.each(texts("a", "1", "2", "3", "4")...)
		n.each(texts("b", "1")...)
		purge := func(name string, before uint64) {
			if err := n.store.Purge(within(t), name, before); err != nil {
				t.Errorf("Purge(%q, %d) = %v", name, before, err)
			}
		}
		purge("nothing", 1000)
		purge("a", 0)
		purge("a", at[0].Seq)
		n.wantData("a", "1 2 3 4")
		purge("a", at[2].Seq)
		n.wantData("a", "3 4")
		n = n.again(p)
		n.wantData("a", "3 4")
		purge("a", at[2].Seq) // a repeat
		n.wantData("a", "3 4")
		n.chain("a")
		purge("a", everything)
		n.wantData("a", "")
		if e, ok, err := n.store.Last(within(t), "a"); ok || err != nil {
			t.Errorf("Last = %s, %v, %v; want nothing", show(e), ok, err)
		}
		n = n.again(p)
		n.wantData("a", "")
		n.wantData("b", "1")
		n.each(texts("a", "5")...)
		n.wantData("a", "5")
	}},
}

var dropCases = []testCase{
	{"TrimKeepsTheNewest", func(t *testing.T, c Config) {
		p, n := open(t, c)
		n.publish(texts("a", numbered("", 600)...)...)
		n.publish(texts("b", numbered("", 5)...)...)
		n.store.Trim("a", 20)
		n.store.Trim("nothing", 20)
		n.store.Trim("b", 20)
		eventually(t, "the topic is trimmed", func() bool {
			return c.TrimsShow && len(n.read("a")) > 40 || n.trimmed("a", 600, 20, 40)
		})
		n.wantData("b", "0 1 2 3 4")
		n = n.again(p)
		if !n.trimmed("a", 600, 20, 40) {
			t.Errorf("%d events are back", len(n.read("a")))
		}
		n.each(texts("a", "600")...)
		if got := n.read("a"); got[len(got)-1].Data != "600" {
			t.Errorf("the newest event is %s", show(got[len(got)-1]))
		}
		n.chain("a")
		n.counted("a", 601)
	}},
	{"TrimsBesidePublishers", func(t *testing.T, c Config) {
		p, n := open(t, c)
		const rounds, batch, keep = 30, 20, 10
		for i := range rounds {
			n.publish(texts("a", numbered("", batch)...)...)
			n.store.Trim("a", keep)
			if events := n.read("a"); len(events) < keep {
				t.Errorf("round %d: %d events are left, want %d or more", i, len(events), keep)
			}
			if !c.TrimsShow {
				n.chain("a")
			}
		}
		eventually(t, "the topic is trimmed", func() bool { return len(n.read("a")) <= 2*keep })
		n = n.again(p)
		n.chain("a")
		n.counted("a", rounds*batch)
	}},
	{"WhatIsExpiredIsNotGiven", func(t *testing.T, c Config) {
		p, n := open(t, c)
		aged := text("a", "1")
		aged.Age = time.Second
		n.each(aged, text("a", "2"), text("b", "1"))
		aged.Topic = "only"
		n.each(aged)
		eventually(t, "the events have expired", func() bool { return data(n.read("a")) == "2" && len(n.read("only")) == 0 })
		eventually(t, "the topic has no newest event", func() bool {
			_, ok, err := n.store.Last(within(t), "only")
			return !ok && err == nil
		})
		n = n.again(p)
		n.wantData("a", "2")
		n.wantData("b", "1")
		n.wantData("only", "")
		n.each(text("only", "again"))
		n.wantData("only", "again")
	}},
	{"WhatExpiresWhileItIsClosed", func(t *testing.T, c Config) {
		p, n := open(t, c)
		aged := text("a", "1")
		aged.Age = time.Second
		long := text("a", "2")
		long.Age = time.Hour
		n.each(aged, long)
		n.stop()
		time.Sleep(1100 * time.Millisecond) // the age is of the wall clock
		n = p.start(t)
		eventually(t, "the event has expired", func() bool { return data(n.read("a")) == "2" })
	}},
	{"AFullLogDropsItsOldest", func(t *testing.T, c Config) {
		if c.MaxBytes == 0 {
			t.Skip("the log has no bound")
		}
		p, n := open(t, c)
		size := int(c.MaxBytes / 400)
		if c.MaxEvent > 0 {
			size = min(size, c.MaxEvent/2)
		}
		block := strings.Repeat("x", size)
		first := n.publish(text("old", "first"))[0]
		count := 3 * int(c.MaxBytes) / size
		last := make(map[string]uint64)
		for i := 0; i < count; i += 20 {
			var batch []topic.Entry
			for j := range 20 {
				batch = append(batch, text(fmt.Sprint("t:", (i+j)%10), block))
			}
			for j, r := range n.publish(batch...) {
				last[batch[j].Topic] = r.Seq
			}
		}
		for range 2 {
			discarded := n.store.Discarded()
			if discarded <= first.Seq {
				t.Errorf("Discarded = %d, want it above %d", discarded, first.Seq)
			}
			stored := 0
			for name, newest := range last {
				stored += n.wholeAbove(name, discarded, newest)
			}
			if most := 2 * int(c.MaxBytes) / size; stored > most {
				t.Errorf("%d events of %d bytes are stored, with a bound of %d bytes", stored, size, c.MaxBytes)
			}
			if n.store.Lost("old") > 0 || n.store.Lost("t:0") > 0 {
				t.Error("what was dropped for want of room counts as lost by damage")
			}
			n = n.again(p)
		}
	}},
}

// wholeAbove checks that all events of a topic are there that are not below a
// position, and gives how many are stored.
func (n *node) wholeAbove(name string, discarded, newest uint64) int {
	n.t.Helper()
	events := n.read(name)
	if len(events) == 0 || events[len(events)-1].Seq != newest {
		n.t.Errorf("%q ends with %s, want %d", name, seqs(events[max(0, len(events)-1):]), newest)
		return len(events)
	}
	if oldest := events[0]; oldest.PrevKnown && oldest.Prev >= discarded {
		n.t.Errorf("%q begins at %d, and the event before, at %d, is not below what was discarded, %d", name, oldest.Seq, oldest.Prev, discarded)
	}
	for i, e := range events[1:] {
		if e.PrevKnown && e.Prev != events[i].Seq && e.Prev >= discarded {
			n.t.Errorf("%q misses %d, which is not below what was discarded, %d", name, e.Prev, discarded)
		}
	}
	return len(events)
}

// trimmed reports whether of a topic's events, numbered from 0, the newest are there,
// and no more than most. It fails the test if less than keep are.
func (n *node) trimmed(name string, count, keep, most int) bool {
	n.t.Helper()
	events := n.read(name)
	if len(events) < keep {
		n.t.Fatalf("%d events of %q are left, want %d or more", len(events), name, keep)
	}
	for i, e := range events {
		if want := fmt.Sprint(count - len(events) + i); e.Data != want {
			n.t.Fatalf("event %d of %d is %q, want %q: what is left is not the newest", i, len(events), e.Data, want)
		}
	}
	return len(events) <= most
}

func (n *node) wantData(name, want string) {
	n.t.Helper()
	if got := data(n.read(name)); got != want {
		n.t.Errorf("%q is %q, want %q", name, got, want)
	}
}

func (n *node) lastIs(name string, seq uint64, deleted bool) {
	n.t.Helper()
	if e, ok, err := n.store.Last(within(n.t), name); err != nil || !ok || e.Seq != seq || e.Delete != deleted {
		n.t.Errorf("Last(%q) = %s, %v, %v; want %d", name, show(e), ok, err, seq)
	}
}
