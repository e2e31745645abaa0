package storetest

import (
	"fmt"
	"slices"
	"testing"

	"tidegate/internal/topic"
)

var catalogCases = []testCase{
	{"TopicsAreKnownByName", func(t *testing.T, c Config) {
		p, n := open(t, c)
		if _, ok := n.store.(topic.Catalog); !ok {
			t.Skip("the log is no topic.Catalog")
		}
		const topics = 2100 // more than a log may want to look at in one go
		var want []string
		var all []topic.Entry
		for i := range topics {
			name := fmt.Sprintf("a:%04d", i)
			want = append(want, name)
			all = append(all, texts(name, "x")...)
		}
		n.publish(all...)
		n.publish(texts(want[0], "y", "z")...)
		for range 2 {
			n.catalogIs(want, map[string]int{want[0]: 3, want[1]: 1, "a:unknown": 0})
			n = n.again(p)
		}
		if err := n.store.Purge(within(t), want[1], n.read(want[1])[0].Seq+1); err != nil {
			t.Fatalf("Purge = %v", err)
		}
		n.catalogIs(slices.Delete(want, 1, 2), nil)
	}},
}

// catalogIs checks the names of all topics, and how many events some of them have.
func (n *node) catalogIs(want []string, held map[string]int) {
	n.t.Helper()
	c := n.store.(topic.Catalog)
	var names []string
	c.Names(func(name string) { names = append(names, name) })
	slices.Sort(names)
	if !slices.Equal(names, want) {
		n.t.Errorf("%d names are known, want %d: %.200q", len(names), len(want), names)
	}
	for name, events := range held {
		if got := c.Held(name); got != events {
			n.t.Errorf("Held(%q) = %d, want %d", name, got, events)
		}
	}
}
