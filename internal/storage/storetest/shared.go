package storetest

import (
	"fmt"
	"sync"
	"testing"
)

var sharedCases = []testCase{
	{"AllNodesSeeOneOrder", func(t *testing.T, c Config) {
		p, one := open(t, c)
		if !p.Shared {
			t.Skip("the log is of one process")
		}
		nodes := []*node{one, p.start(t), p.start(t)}
		var all sync.WaitGroup
		for i, n := range nodes {
			all.Go(func() {
				for j := range 20 {
					n.publish(text("a", fmt.Sprint(i, ".", j)), text(fmt.Sprint("own:", i), fmt.Sprint(j)))
				}
			})
		}
		all.Wait()
		for _, n := range nodes {
			n.rec.until(t, "all nodes are given all events", func(r *recorder) bool { return len(r.events) == 120 })
			if err := sameEvents(n.rec.all(), nodes[0].rec.all()); err != nil {
				t.Errorf("two nodes were given different events: %v", err)
			}
			n.verify("a", "own:0", "own:1", "own:2")
			n.chain("a")
		}
	}},
	{"AnEndCountsOnAllNodes", func(t *testing.T, c Config) {
		p, one := open(t, c)
		if !p.Shared {
			t.Skip("the log is of one process")
		}
		two := p.start(t)
		e := two.entry(text("a", "late"))
		one.each(ending("a", "end"))
		if r := two.tryIn(within(t), e)[0]; !isClosed(r) {
			t.Errorf("an event behind another node's end was answered %+v", r)
		}
	}},
	{"AKeyCountsOnAllNodes", func(t *testing.T, c Config) {
		p, one := open(t, c)
		if !p.Shared {
			t.Skip("the log is of one process")
		}
		two := p.start(t)
		first := one.publish(keyed("a", "1", "0.k"))[0]
		two.repeats(keyed("a", "1", "0.k"), first)
	}},
}
