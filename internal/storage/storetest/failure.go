package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"tidegate/internal/topic"
)

var failureCases = []testCase{
	{"FailedWritesAreReported", func(t *testing.T, c Config) {
		p, n := open(t, c)
		n.needFailures()
		n.each(texts("a", "1", "2")...)
		answered := n.answers("a", 2)
		n.in.FailWrites(true)
		for i := range 5 {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			for _, r := range n.tryIn(ctx, n.entries(text("a", fmt.Sprint("failed", i)), text("b", "failed"))...) {
				if r.Err == nil {
					t.Errorf("round %d: an event that cannot be written was answered %+v", i, r.Appended)
				}
			}
			cancel()
		}
		if got := data(n.read("a")); len(got) < 3 || got[:3] != "1 2" && got[:4] != "1 2 " {
			t.Errorf("stored is %q, want 1 2 first", got)
		}
		n.in.FailWrites(false)
		n.untilStored(text("a", "3"), answered)
		n.each(texts("a", "4", "5")...)
		for _, e := range n.rec.of("a") {
			answered[e.Seq] = "a " + e.Data
		}
		n.verify("a", "b")
		n.chain("a")
		n = n.again(p)
		n.holds(answered)
		n.chain("a")
	}},
	{"WhatWasAnsweredSurvivesAKill", func(t *testing.T, c Config) {
		p, n := open(t, c)
		if n.in.Kill == nil {
			t.Skip("the log cannot be killed")
		}
		answered := make(map[uint64]string)
		for round := range 5 {
			for i := range 20 {
				name := fmt.Sprint("t:", i%3)
				for _, r := range n.publish(texts(name, fmt.Sprint(round, ".", i), fmt.Sprint(round, ".", i, "b"))...) {
					e, _ := n.rec.at(r.Seq)
					answered[r.Seq] = name + " " + e.Data
				}
			}
			n.kill()
			n = p.start(t)
			n.holds(answered)
		}
		n = n.again(p)
		n.holds(answered)
	}},
	{"AKeySurvivesAKill", func(t *testing.T, c Config) {
		p, n := open(t, c)
		if n.in.Kill == nil {
			t.Skip("the log cannot be killed")
		}
		first := n.publish(keyed("a", "1", "0.k"))[0]
		end := n.publish(ending("b", "end"))[0]
		n.kill()
		n = p.start(t)
		n.repeats(keyed("a", "1", "0.k"), first)
		n.lastIs("b", end.Seq, false)
		if r := n.try(text("b", "late"))[0]; !isClosed(r) {
			t.Errorf("an event behind the end was answered %+v", r)
		}
	}},
	{"ALogThatWentBackHasOtherTimes", func(t *testing.T, c Config) {
		p, n := open(t, c)
		if p.Save == nil {
			t.Skip("the log cannot go back")
		}
		n.each(texts("a", "1", "2")...)
		kept := n.rec.all()
		n.stop()
		p.Save(t)
		n = p.start(t)
		n.each(texts("a", "3", "4")...)
		n.each(texts("b", "5")...)
		lost := n.rec.all()
		n.stop()
		p.Restore(t)
		n = p.start(t)
		n.wantData("a", "1 2")
		n.each(texts("a", "new", "newer")...)
		n.each(texts("a", "newest")...)
		for _, e := range kept {
			n.wantTime(e.Seq, e.At, true)
		}
		for _, e := range lost {
			if e.Seq <= kept[len(kept)-1].Seq {
				continue
			}
			if at, exact, err := n.store.Time(within(t), e.Seq); err != nil || exact && at == e.At {
				t.Errorf("Time(%d) = %d, %v, %v: that of an event that was lost", e.Seq, at, exact, err)
			}
		}
		n.chain("a")
	}},
}

func (n *node) needFailures() {
	n.t.Helper()
	if n.in.FailWrites == nil {
		if t, ok := n.t.(interface{ Skip(...any) }); ok {
			t.Skip("writes cannot be made to fail")
		}
	}
}

// answers gives the topic's applied events, which were answered.
func (n *node) answers(name string, count int) map[uint64]string {
	n.t.Helper()
	all := make(map[uint64]string)
	for _, e := range n.rec.of(name) {
		all[e.Seq] = name + " " + e.Data
	}
	if len(all) != count {
		n.t.Fatalf("%d events of %q, want %d", len(all), name, count)
	}
	return all
}

// untilStored publishes until the log takes it: it goes on by itself when writes
// succeed again.
func (n *node) untilStored(e topic.Entry, answered map[uint64]string) {
	n.t.Helper()
	var last error
	late := time.Now().Add(patience)
	for i := 0; time.Now().Before(late); i++ {
		e.Data = fmt.Sprint("try", i)
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		r := n.tryIn(ctx, n.entries(e)...)[0]
		cancel()
		if r.Err == nil {
			answered[r.Seq] = e.Topic + " " + e.Data
			return
		}
		last = r.Err
		time.Sleep(20 * time.Millisecond)
	}
	n.t.Fatalf("nothing is stored within %v after writes succeed again: %v", patience, last)
}
