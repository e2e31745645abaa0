package judge

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// order checks whether one order of a topic's events agrees with all that the records
// say about it. The records form a graph:
//
//   - each event that a client received comes after the one before it;
//   - the logical times of the run form a chain. An event comes after the time at
//     which it was begun and before the time of its answer. So an event that was
//     answered before another one was begun comes before that one.
//
// Such an order exists if and only if the graph has no cycle. The graph has about as
// many edges as received events, so the check takes linear time.
func (c *verification) order(topic int) {
	g := newGraph(c, topic)
	if cycle := g.cycle(); cycle != nil {
		c.report.fault(Disordered, "topic %d: no order agrees with all answers and all clients: %s", topic, c.describe(topic, cycle))
	}
	c.orders[topic] = nil // not needed again
}

// graph has nodes numbered from 0: first the events, then the times.
type graph struct {
	events []int32         // the event of each node
	node   map[int32]int32 // the inverse of events
	next   [][]int32
}

func newGraph(c *verification, topic int) *graph {
	g := &graph{node: map[int32]int32{}}
	for _, i := range c.ofTopic[topic] {
		g.add(i)
	}
	for _, s := range c.orders[topic] {
		for _, i := range s.events {
			g.add(i) // events without an answer are only here
		}
	}
	g.next = make([][]int32, len(g.events))
	for _, s := range c.orders[topic] {
		for k := 1; k < len(s.events); k++ {
			g.edge(g.node[s.events[k-1]], g.node[s.events[k]])
		}
	}
	g.times(c)
	return g
}

func (g *graph) add(event int32) {
	if _, there := g.node[event]; !there {
		g.node[event] = int32(len(g.events))
		g.events = append(g.events, event)
	}
}

func (g *graph) edge(from, to int32) { g.next[from] = append(g.next[from], to) }

// times adds the chain of times and connects the events to it.
func (g *graph) times(c *verification) {
	type moment struct {
		at    int64
		event int32 // node
		done  bool  // the time of the answer, else that of the first attempt
	}
	var chain []moment
	for node, i := range g.events {
		chain = append(chain, moment{c.events[i].Begin, int32(node), false})
		if c.events[i].Done != 0 {
			chain = append(chain, moment{c.events[i].Done, int32(node), true})
		}
	}
	slices.SortFunc(chain, func(a, b moment) int { return cmp.Compare(a.at, b.at) })
	for k, m := range chain {
		node := int32(len(g.next))
		g.next = append(g.next, nil)
		if k > 0 {
			g.edge(node-1, node)
		}
		if m.done {
			g.edge(m.event, node)
		} else {
			g.edge(node, m.event)
		}
	}
}

// cycle returns the nodes of a cycle, or nil. It removes nodes without predecessors
// as long as there are any. All that is left is on a cycle or behind one.
func (g *graph) cycle() []int32 {
	before := make([]int32, len(g.next))
	for _, next := range g.next {
		for _, to := range next {
			before[to]++
		}
	}
	var free []int32
	for node, n := range before {
		if n == 0 {
			free = append(free, int32(node))
		}
	}
	taken := 0
	for len(free) > 0 {
		node := free[len(free)-1]
		free = free[:len(free)-1]
		taken++
		for _, to := range g.next[node] {
			if before[to]--; before[to] == 0 {
				free = append(free, to)
			}
		}
	}
	if taken == len(g.next) {
		return nil
	}
	return g.shortest(before)
}

// shortest returns a shortest cycle through one of the nodes that are left. It walks
// backwards first, because a node that is left may be behind a cycle.
func (g *graph) shortest(before []int32) []int32 {
	previous := make([]int32, len(g.next))
	var node int32
	for from, next := range g.next {
		for _, to := range next {
			if before[from] > 0 && before[to] > 0 {
				previous[to], node = int32(from), to
			}
		}
	}
	for seen := make([]bool, len(g.next)); !seen[node]; node = previous[node] {
		seen[node] = true
	}
	return g.path(node, before)
}

// path returns a shortest path from a node of a cycle back to it.
func (g *graph) path(start int32, before []int32) []int32 {
	came := map[int32]int32{}
	for queue := []int32{start}; len(queue) > 0; queue = queue[1:] {
		for _, to := range g.next[queue[0]] {
			if _, seen := came[to]; seen || before[to] == 0 {
				continue
			}
			came[to] = queue[0]
			if to == start {
				way := []int32{start}
				for at := came[start]; at != start; at = came[at] {
					way = append(way, at)
				}
				slices.Reverse(way)
				return way
			}
			queue = append(queue, to)
		}
	}
	return nil // unreachable: start is on a cycle
}

// describe names the events of a cycle and a client that received two of them.
func (c *verification) describe(topic int, cycle []int32) string {
	g := newGraph(c, topic)
	var events []int32
	for _, node := range cycle {
		if int(node) < len(g.events) {
			events = append(events, g.events[node])
		}
	}
	var b strings.Builder
	for k, i := range events[:min(len(events), 8)] {
		if k > 0 {
			b.WriteString(" before ")
		}
		e := c.events[i]
		fmt.Fprintf(&b, "%d (times %d-%d)", e.Global, e.Begin, e.Done)
	}
	fmt.Fprintf(&b, " before %d again", c.events[events[0]].Global)
	for k, i := range events {
		if client, ok := c.witness(topic, i, events[(k+1)%len(events)]); ok {
			fmt.Fprintf(&b, "; client %d received %d before %d", client, c.events[i].Global, c.events[events[(k+1)%len(events)]].Global)
			break
		}
	}
	return b.String()
}

// witness finds a client that received one event right before another.
func (c *verification) witness(topic int, first, second int32) (client int, ok bool) {
	for _, s := range c.orders[topic] {
		for k := 1; k < len(s.events); k++ {
			if s.events[k-1] == first && s.events[k] == second {
				return s.client, true
			}
		}
	}
	return 0, false
}
