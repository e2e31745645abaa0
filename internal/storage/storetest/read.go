package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"tidegate/internal/topic"
)

var errEnough = errors.New("storetest: enough")

var readCases = []testCase{
	{"Ranges", func(t *testing.T, c Config) {
		p, n := open(t, c)
		for i := range 40 {
			n.publish(text("a", fmt.Sprint(i)), text("b", fmt.Sprint(i)))
		}
		for range 2 {
			all := n.read("a")
			if len(all) != 40 {
				t.Fatalf("%d events, want 40", len(all))
			}
			first, mid, last := all[0].Seq, all[20].Seq, all[39].Seq
			for _, r := range [][2]uint64{
				{0, 0}, {0, 1}, {0, first}, {0, first + 1}, {first, first}, {first, last}, {first, last + 1}, {first + 1, last},
				{mid, mid + 1}, {mid + 1, mid + 2}, {mid, last}, {last, last + 1}, {last + 1, everything}, {last, 0}, {mid, first}, {1, everything},
			} {
				var want []topic.Stored
				for _, e := range all {
					if e.Seq >= r[0] && e.Seq < r[1] {
						want = append(want, e)
					}
				}
				if err := sameEvents(n.readRange("a", r[0], r[1]), want); err != nil {
					t.Errorf("[%d, %d): %v", r[0], r[1], err)
				}
			}
			n = n.again(p)
		}
	}},
	{"OfATopicThatIsNot", func(t *testing.T, c Config) {
		p, n := open(t, c)
		for range 2 {
			n.wantData("nothing", "")
			if e, ok, err := n.store.Last(within(t), "nothing"); ok || err != nil {
				t.Errorf("Last = %s, %v, %v", show(e), ok, err)
			}
			if n.store.Lost("nothing") != 0 || n.store.Discarded() != 0 {
				t.Errorf("Lost = %d, Discarded = %d, want 0", n.store.Lost("nothing"), n.store.Discarded())
			}
			if at, exact, err := n.store.Time(within(t), 1); at != 0 || exact || err != nil {
				t.Errorf("Time of an empty log = %d, %v, %v", at, exact, err)
			}
			n = n.again(p)
		}
	}},
	{"AnErrorOfTheReaderEndsIt", func(t *testing.T, c Config) {
		_, n := open(t, c)
		n.publish(texts("a", numbered("", 600)...)...)
		for _, after := range []int{1, 2, 300, 600} {
			given := 0
			err := n.store.Read(within(t), "a", 0, everything, func(topic.Stored) error {
				if given++; given == after {
					return errEnough
				}
				return nil
			})
			if !errors.Is(err, errEnough) || given != after {
				t.Errorf("after %d of %d events: %v", given, after, err)
			}
		}
	}},
	{"AReaderThatLeavesGetsAnErrorIfItHasNotAll", func(t *testing.T, c Config) {
		_, n := open(t, c)
		n.publish(texts("a", numbered("", 600)...)...)
		for _, after := range []int{0, 1, 100, 600} {
			ctx, cancel := context.WithCancel(within(t))
			if after == 0 {
				cancel()
			}
			given := 0
			err := n.store.Read(ctx, "a", 0, everything, func(topic.Stored) error {
				if given++; given == after {
					cancel()
				}
				return nil
			})
			cancel()
			if err == nil && given != 600 {
				t.Errorf("cancelled after %d: %d events of 600 and no error", after, given)
			}
		}
	}},
	{"AReaderHoldsNobodyUp", func(t *testing.T, c Config) {
		_, n := open(t, c)
		n.publish(texts("a", numbered("", 50)...)...)
		i := 0
		err := n.store.Read(within(t), "a", 0, everything, func(e topic.Stored) error {
			if i++; i%10 != 0 {
				return nil
			}
			n.publish(text("a", "new"), text("b", "new"))
			if _, _, err := n.store.Last(within(t), "b"); err != nil {
				return err
			}
			if at, exact, err := n.store.Time(within(t), e.Seq); at != e.At || !exact || err != nil {
				t.Errorf("Time(%d) = %d, %v, %v; want %d", e.Seq, at, exact, err, e.At)
			}
			n.store.Trim("b", 1)
			return n.store.Purge(within(t), "c", 1)
		})
		if err != nil {
			t.Errorf("Read = %v", err)
		}
		n.verify("a")
	}},
	{"WhatComesMeanwhileLeavesNoGap", func(t *testing.T, c Config) {
		_, n := open(t, c)
		n.publish(texts("a", numbered("", 300)...)...)
		var seen []topic.Stored
		err := n.store.Read(within(t), "a", 0, everything, func(e topic.Stored) error {
			if seen = append(seen, e); len(seen) == 1 {
				n.publish(texts("a", numbered("new", 300)...)...)
			}
			return nil
		})
		if err != nil || len(seen) < 300 {
			t.Errorf("%d events, %v", len(seen), err)
		}
		if err := sameEvents(seen, n.rec.of("a")[:len(seen)]); err != nil {
			t.Error(err)
		}
	}},
	{"Last", func(t *testing.T, c Config) {
		p, n := open(t, c)
		n.publish(text("a", "1"), text("b", "1"), text("a", "2"))
		n.each(texts("b", "2", "3")...)
		for range 2 {
			for _, name := range []string{"a", "b"} {
				all := n.read(name)
				e, ok, err := n.store.Last(within(t), name)
				if err != nil || !ok || sameEvents([]topic.Stored{e}, all[len(all)-1:]) != nil {
					t.Errorf("Last = %s, %v, %v; want %s", show(e), ok, err, show(all[len(all)-1]))
				}
			}
			n = n.again(p)
		}
	}},
	{"Time", func(t *testing.T, c Config) {
		p, n := open(t, c)
		n.publish(text("a", "1"), text("b", "2"), text("a", "3"), text("a", "4"))
		all := n.rec.all()
		for range 2 {
			for _, e := range all {
				n.wantTime(e.Seq, e.At, true)
			}
			n.wantTime(all[3].Seq+1, 0, false)
			n.wantTime(all[3].Seq+1000, 0, false)
			n = n.again(p)
		}
		b := n.read("b")[0]
		if err := n.store.Purge(within(t), "b", everything); err != nil {
			t.Fatalf("Purge = %v", err)
		}
		next := all[len(all)-1]
		for _, e := range all {
			if e.Seq > b.Seq && e.Seq < next.Seq {
				next = e
			}
		}
		for range 2 {
			if b.Seq < next.Seq {
				n.wantTime(b.Seq, next.At, false)
			}
			n = n.again(p)
		}
	}},
	{"CalledOffCallsReturn", func(t *testing.T, c Config) {
		_, n := open(t, c)
		n.publish(texts("a", "1", "2")...)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		done := make(chan struct{})
		go func() { // ends with the calls
			defer close(done)
			_, _, _ = n.store.Last(ctx, "a")
			_, _, _ = n.store.Find(ctx, keyed("a", "1", "k"), 1, everything)
			_, _, _ = n.store.Time(ctx, 1)
			_ = n.store.Purge(ctx, "b", everything)
		}()
		select {
		case <-done:
		case <-within(t).Done():
			t.Fatal("calls with a context that has ended do not return")
		}
		n.wantData("a", "1 2")
	}},
}

func (n *node) wantTime(seq uint64, at int64, exact bool) {
	n.t.Helper()
	gotAt, gotExact, err := n.store.Time(within(n.t), seq)
	if err != nil || gotAt != at || gotExact != exact {
		n.t.Errorf("Time(%d) = %d, %v, %v; want %d, %v", seq, gotAt, gotExact, err, at, exact)
	}
}
