package storetest

import (
	"fmt"
	"sync"
	"testing"

	"tidegate/internal/topic"
)

var predecessorCases = []testCase{
	{"OfOneByOne", func(t *testing.T, c Config) {
		p, n := open(t, c)
		n.each(texts("a", numbered("", 5)...)...)
		n.each(texts("b", numbered("", 5)...)...)
		n.chain("a")
		n.chain("b")
		n = n.again(p)
		n.each(texts("a", numbered("again", 5)...)...)
		n.chain("a")
		n.counted("a", 10)
		n.counted("b", 5)
	}},
	{"WithinABatch", func(t *testing.T, c Config) {
		_, n := open(t, c)
		n.each(texts("a", "0")...)
		n.publish(text("a", "1"), text("b", "1"), text("a", "2"), text("b", "2"), text("a", "3"))
		for _, name := range []string{"a", "b"} {
			for _, e := range n.read(name) {
				if !e.PrevKnown {
					t.Errorf("%s: the predecessor is not known", show(e))
				}
			}
			n.chain(name)
		}
		n.counted("a", 4)
		n.counted("b", 2)
	}},
	{"BehindARepeatInTheSameBatch", func(t *testing.T, c Config) {
		_, n := open(t, c)
		first := text("a", "1")
		first.Key = "0.k"
		n.publish(first)
		n.publish(first, text("a", "2"), text("a", "3"))
		n.chain("a")
		n.counted("a", 3)
	}},
	{"OfConcurrentPublishers", func(t *testing.T, c Config) {
		p, n := open(t, c)
		const publishers, events = 8, 12
		var all sync.WaitGroup
		for i := range publishers {
			all.Go(func() {
				for j := range events {
					if i%2 == 0 {
						n.publish(text("a", fmt.Sprint(i, ".", j)))
					} else {
						n.publish(texts("a", fmt.Sprint(i, ".", j, "."), fmt.Sprint(i, ".", j, "+"))...)
					}
				}
			})
		}
		all.Wait()
		const want = publishers/2*events + publishers/2*events*2
		n.verify("a")
		n.chain("a")
		if got := len(n.rec.of("a")); got != want {
			t.Errorf("%d events were applied, want %d", got, want)
		}
		n = n.again(p)
		n.chain("a")
		if got := len(n.read("a")); got != want {
			t.Errorf("%d events are stored, want %d", got, want)
		}
	}},
	{"OfAPublisherThatKnowsLess", func(t *testing.T, c Config) {
		_, n := open(t, c)
		stale := n.entry(text("a", "late"))
		n.each(texts("a", "1", "2")...)
		n.tryOne(stale) // Prev is 0, and there are two
		n.chain("a")
		n.each(text("a", "3"))
		n.chain("a")
		n.verify("a")
	}},
	{"BehindADeletion", func(t *testing.T, c Config) {
		_, n := open(t, c)
		n.each(texts("a", "1", "2")...)
		gone := n.publish(topic.Entry{Topic: "a", Delete: true})[0]
		n.publish(texts("a", "3", "4")...)
		for _, e := range n.read("a") {
			if e.Seq > gone.Seq && e.DeletedTo != gone.Seq {
				t.Errorf("%s: want it born at %d", show(e), gone.Seq)
			}
		}
		n.chain("a")
	}},
}

// chain checks what the events of a topic say of those before them. What is read
// must be the whole topic, but for its oldest events.
func (n *node) chain(name string) {
	n.t.Helper()
	if err := chained(n.read(name), true); err != nil {
		n.t.Errorf("%q: %v", name, err)
	}
}

// chained checks predecessors. complete says that nothing between the events is
// missing.
func chained(events []topic.Stored, complete bool) error {
	for i, e := range events {
		switch {
		case e.Delete:
			continue
		case e.Prev >= e.Seq:
			return fmt.Errorf("the predecessor of %s is not before it", show(e))
		case i == 0:
			continue
		}
		switch before := events[i-1].Seq; {
		case e.PrevKnown && e.Prev < before:
			return fmt.Errorf("%s: its predecessor is said to be known, and is at %d", show(e), before)
		case complete && e.PrevKnown && e.Prev > before:
			return fmt.Errorf("%s: there is nothing between it and %d", show(e), before)
		}
	}
	return nil
}

// counted checks that the newest event of a topic has a number.
func (n *node) counted(name string, want uint64) {
	n.t.Helper()
	e, ok, err := n.store.Last(within(n.t), name)
	if err != nil || !ok || e.Number != want {
		n.t.Errorf("the newest event of %q is %s, %v, %v; want the number %d", name, show(e), ok, err, want)
	}
}
