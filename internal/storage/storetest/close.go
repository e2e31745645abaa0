package storetest

import (
	"fmt"
	"sync"
	"testing"

	"tidegate/internal/topic"
)

func ending(name, data string) topic.Entry {
	e := text(name, data)
	e.Close = true
	return e
}

var closeCases = []testCase{
	{"WhatComesBehindTheEndIsRefused", func(t *testing.T, c Config) {
		p, n := open(t, c)
		n.each(text("a", "1"), ending("a", "end"))
		for range 3 {
			if r := n.try(text("a", "late"))[0]; !isClosed(r) {
				t.Errorf("an event behind the end was answered %+v, want ErrClosed", r)
			}
		}
		results := n.try(text("a", "late"), text("b", "1"), text("a", "later"))
		if !isClosed(results[0]) || results[1].Err != nil || !isClosed(results[2]) {
			t.Errorf("a batch was answered %+v, want the events at a refused", results)
		}
		n.endsWith("a", "end", c.LateRefusals)
		n = n.again(p)
		n.endsWith("a", "end", false)
		n.verify("b")
	}},
	{"AnEndWithoutAnEvent", func(t *testing.T, c Config) {
		p, n := open(t, c)
		n.each(text("a", "1"), topic.Entry{Topic: "a", Close: true})
		n = n.again(p)
		e, ok, err := n.store.Last(within(t), "a")
		if err != nil || !ok || !e.Close || e.HasEvent || e.Data != "" || e.Number != 2 {
			t.Errorf("Last = %s, %v, %v; want the end", show(e), ok, err)
		}
	}},
	{"ARefusedEventHasNoKey", func(t *testing.T, c Config) {
		_, n := open(t, c)
		n.each(ending("a", "end"))
		for range 2 {
			r := n.try(keyed("a", "late", "0.k"))[0]
			if last, _, _ := n.store.Last(within(t), "a"); !isClosed(r) && (!r.Repeat || r.Seq <= last.Seq) {
				t.Errorf("answered %+v, want ErrClosed or the repeat of something behind the end", r)
			}
		}
	}},
	{"OneOfManyEndsAtTheSameTimeCounts", func(t *testing.T, c Config) {
		p, n := open(t, c)
		var all sync.WaitGroup
		var mu sync.Mutex
		ended, refused := 0, 0
		for i := range 12 {
			all.Go(func() {
				e := text("a", fmt.Sprint(i))
				e.Close = i%3 == 0
				r := n.try(e)[0]
				mu.Lock()
				defer mu.Unlock()
				switch {
				case isClosed(r):
					refused++
				case r.Err != nil:
					t.Errorf("event %d: %v", i, r.Err)
				case e.Close:
					ended++
				}
			})
		}
		all.Wait()
		if ended != 1 {
			t.Errorf("%d ends were taken, want one", ended)
		}
		applied := n.rec.of("a")
		if len(applied) != 12-refused || !applied[len(applied)-1].Close {
			t.Errorf("%d events count, and %d were refused of 12", len(applied), refused)
		}
		n = n.again(p)
		if err := sameEvents(n.read("a"), applied); err != nil {
			t.Errorf("after it was opened again: %v", err)
		}
		n.chain("a")
	}},
	{"AClosedTopicMayBeDeleted", func(t *testing.T, c Config) {
		p, n := open(t, c)
		n.each(ending("a", "end"))
		gone := n.publish(topic.Entry{Topic: "a", Delete: true})[0]
		if err := n.store.Purge(within(t), "a", gone.Seq); err != nil {
			t.Fatalf("Purge = %v", err)
		}
		n.each(text("a", "new"))
		n = n.again(p)
		n.each(text("a", "newer"))
		if got := data(withoutDeletions(n.read("a"))); got != "new newer" {
			t.Errorf("stored is %q, want new newer", got)
		}
	}},
}

// endsWith checks that a topic ends with its end.
func (n *node) endsWith(name, end string, late bool) {
	n.t.Helper()
	events := n.read(name)
	if late { // what a hub refuses when it reads the topic back
		for i, e := range events {
			if e.Close {
				events = events[:i+1]
				break
			}
		}
	}
	if len(events) == 0 || !events[len(events)-1].Close || events[len(events)-1].Data != end {
		n.t.Errorf("%q is %q, want it to end with %q", name, data(events), end)
	}
	if late {
		return
	}
	e, ok, err := n.store.Last(within(n.t), name)
	if err != nil || !ok || !e.Close || e.Data != end {
		n.t.Errorf("Last(%q) = %s, %v, %v; want its end %q", name, show(e), ok, err, end)
	}
}

// withoutDeletions leaves out what says that a topic was deleted.
func withoutDeletions(events []topic.Stored) (all []topic.Stored) {
	for _, e := range events {
		if !e.Delete {
			all = append(all, e)
		}
	}
	return all
}
