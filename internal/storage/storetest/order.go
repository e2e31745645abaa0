package storetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tidegate/internal/topic"
)

var orderCases = []testCase{
	{"PositionsRiseAndResultsHaveThem", func(t *testing.T, c Config) {
		_, n := open(t, c)
		var last uint64
		for i := range 40 {
			name := fmt.Sprint("t:", i%5)
			r := n.publish(text(name, fmt.Sprint(i)))[0]
			if r.Seq <= last {
				t.Errorf("event %d is at %d, and one before it at %d", i, r.Seq, last)
			}
			last = r.Seq
			e, ok := n.rec.at(r.Seq)
			if !ok || e.Data != fmt.Sprint(i) || e.Topic != name || e.At != r.At {
				t.Errorf("answered was position %d at %d; the hub was given %s there (%v)", r.Seq, r.At, show(e), ok)
			}
			if r.Receivers != 1 || r.Repeat {
				t.Errorf("answer %+v, want one receiver and no repeat", r.Appended)
			}
		}
		n.verify("t:0", "t:1", "t:2", "t:3", "t:4")
	}},
	{"WhatIsStoredIsWhatWasGiven", func(t *testing.T, c Config) {
		p, n := open(t, c)
		all := fields(n)
		n = n.again(p)
		for _, e := range all {
			compareFields(t, n.read(e.Topic), e, c)
		}
	}},
	{"ANewHubIsGivenTheSame", func(t *testing.T, c Config) {
		p, n := open(t, c)
		n.publish(texts("a", numbered("a", 20)...)...)
		n.publish(texts("b", numbered("b", 20)...)...)
		before, generation := n.rec.all(), n.rec.generation
		n = n.again(p)
		after := n.rec.all()
		held := slices.DeleteFunc(before, func(e topic.Stored) bool { return e.Seq < n.rec.floor })
		if err := sameEvents(after, held); err != nil {
			t.Errorf("after it was opened again: %v", err)
		}
		if n.rec.generation != generation || n.rec.begun != 1 {
			t.Errorf("generation %q after %q, %d times begun", n.rec.generation, generation, n.rec.begun)
		}
		if got, want := data(n.read("a")), strings.Join(numbered("a", 20), " "); got != want {
			t.Errorf("Read = %q, want %q", got, want)
		}
	}},
	{"PositionsRiseAfterItWasOpenedAgain", func(t *testing.T, c Config) {
		p, n := open(t, c)
		var last uint64
		for i := range 4 {
			for _, r := range n.publish(texts("a", numbered(fmt.Sprint(i, "."), 3)...)...) {
				if r.Seq <= last {
					t.Errorf("position %d after %d", r.Seq, last)
				}
				last = r.Seq
			}
			n = n.again(p)
		}
		if got := len(n.read("a")); got != 12 {
			t.Errorf("%d events, want 12", got)
		}
	}},
	{"NoPositionIsUsedAgainWhenTheNewestEventIsGone", func(t *testing.T, c Config) {
		p, n := open(t, c)
		last := n.each(texts("a", "1", "2")...)[1]
		if err := n.store.Purge(within(t), "a", last.Seq+1); err != nil {
			t.Fatalf("Purge = %v", err)
		}
		n = n.again(p)
		if got := n.publish(text("b", "3"))[0]; got.Seq <= last.Seq {
			t.Errorf("position %d is used again: %d was before", got.Seq, last.Seq)
		}
	}},
	{"BeginSaysWhenTheEventBeforeWasStored", func(t *testing.T, c Config) {
		p, n := open(t, c)
		n.each(texts("a", "1", "2", "3")...)
		events := n.rec.all()
		n = n.again(p)
		for _, e := range events {
			if e.Seq == n.rec.floor-1 && n.rec.floorAt != e.At {
				t.Errorf("Begin(%d, %d), want the time %d of the event before", n.rec.floor, n.rec.floorAt, e.At)
			}
		}
	}},
	{"ReceiversAreThoseOfTheHub", func(t *testing.T, c Config) {
		_, n := open(t, c)
		n.rec.mu.Lock()
		n.rec.receivers = 17
		n.rec.mu.Unlock()
		for _, r := range n.publish(text("a", "1"), text("b", "2")) {
			if r.Receivers != 17 {
				t.Errorf("%d receivers, want 17", r.Receivers)
			}
		}
	}},
}

// fields publishes events that differ in every field, and gives their entries.
func fields(n *node) []topic.Entry {
	n.t.Helper()
	all := []topic.Entry{
		{Topic: "f:0", HasEvent: true},
		{Topic: "f:1", HasEvent: true, Name: "name", Data: "data"},
		{Topic: "f:2", HasEvent: true, Data: "line\nline\r\nline\x00"},
		{Topic: "f:3", HasEvent: true, Name: "ü", Data: "日本語 \U0001F30A"},
		{Topic: "f:4", HasEvent: true, Data: "aged", Age: 90 * time.Minute},
		{Topic: "f:5", HasEvent: true, Data: "keyed", Key: "0.key"},
		{Topic: "f:6", HasEvent: true, Data: "end", Close: true},
		{Topic: "f:7", Close: true},
		{Topic: "f:8", HasEvent: true, Data: "not text \xff\xfe\x80"},
		{Topic: "f:9", HasEvent: true, Data: "aged to a part of a second", Age: 1500 * time.Millisecond * 1000},
	}
	all = n.entries(all...)
	for i := range all {
		n.tryOne(all[i])
	}
	return all
}

// tryOne publishes an entry as it is; it must be stored.
func (n *node) tryOne(e topic.Entry) topic.Result {
	n.t.Helper()
	r := n.tryIn(within(n.t), e)[0]
	if r.Err != nil {
		n.t.Fatalf("AppendAll(%+v) = %v", e, r.Err)
	}
	return r
}

// compareFields compares the only event of a topic with its entry.
func compareFields(t *testing.T, got []topic.Stored, want topic.Entry, c Config) {
	t.Helper()
	if len(got) != 1 {
		t.Errorf("%q has %d events, want one", want.Topic, len(got))
		return
	}
	e := got[0].Entry
	e.Key = want.Key
	if c.Seconds {
		want.Age = (want.Age + time.Second - 1).Truncate(time.Second)
	}
	if e != want || !got[0].PrevKnown {
		t.Errorf("stored is %s, want %+v", show(got[0]), want)
	}
}
