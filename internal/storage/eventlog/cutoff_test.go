package eventlog

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"tidegate/internal/storage/natstest"
)

// TestStreamsOfANodeThatWasCutOffGetWhatTheyMissedOrAReset: meanwhile others publish
// more to a topic than is kept of it.
func TestStreamsOfANodeThatWasCutOffGetWhatTheyMissedOrAReset(t *testing.T) {
	t.Parallel()
	s, _ := natstest.Serve(t, t.TempDir(), 0)
	network := natstest.NewProxy(t, s.URL())
	near, far := openURL(t, s.URL()), openURL(t, network.URL)
	a := runHub(t, near, makeEV(t, near, 1), Options{})
	b := runHub(t, far, makeEV(t, far, 1), Options{Node: func() string { return "cut" }})
	b.publish(t, "few", "1")
	b.publish(t, "all", "2")
	few, all := b.connect(t, "", "few"), b.connect(t, "", "all")
	_, id := few.got(t)

	network.Freeze()
	ended := 0
	for name := range a.ev.ConsumerNames(t.Context()).Name() {
		if strings.HasPrefix(name, "tail-cut-") { // what it has sent already would come
			ended++
			if err := a.ev.DeleteConsumer(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		}
	}
	if ended != 1 {
		t.Fatalf("%d consumers of the node were ended, want one", ended)
	}
	for i := range 20 {
		a.publish(t, "few", fmt.Sprint("few", i))
		a.publish(t, "all", fmt.Sprint("all", i))
	}
	if err := a.trimOne(t.Context(), "few", 3); err != nil {
		t.Fatal(err)
	}
	network.Thaw()

	b.publish(t, "few", "on")
	b.publish(t, "all", "on")
	if got, _ := few.got(t); got != "1 reset few17 few18 few19 on" {
		t.Errorf("a stream was given %q, want a reset in front of what is left", got)
	}
	if got, _ := all.got(t); strings.Contains(got, "reset") || !strings.HasSuffix(got, "all19 on") || strings.Count(got, " ") != 21 {
		t.Errorf("a stream at a topic of which all is kept was given %q", got)
	}
	if got, _ := b.connect(t, id, "few").got(t); got != "reset few17 few18 few19 on" {
		t.Errorf("one that comes back from before was given %q, want a reset", got)
	}
}

// TestPublishersAtManyNodesCauseNoReset: they come before each other all the time,
// topics are deleted, and one node begins in the middle.
func TestPublishersAtManyNodesCauseNoReset(t *testing.T) {
	t.Parallel()
	s, _ := natstest.Serve(t, t.TempDir(), 0)
	var nodes []*hubNode
	for range 2 {
		e := openURL(t, s.URL())
		nodes = append(nodes, runHub(t, e, makeEV(t, e, 1), Options{}))
	}
	for round := range 2 {
		var clients []*client
		for _, n := range nodes {
			clients = append(clients, n.connect(t, "", "a", "b"))
		}
		var publishers sync.WaitGroup
		for i, n := range nodes {
			for k, name := range []string{"a", "b", "a"} {
				publishers.Go(func() {
					for j := range 12 {
						n.publish(t, name, fmt.Sprintf("%d/%d/%d/%d", round, i, k, j))
					}
				})
			}
		}
		publishers.Wait()
		e := openURL(t, s.URL())
		nodes = append(nodes, runHub(t, e, makeEV(t, e, 1), Options{StartBack: 5}))
		clients = append(clients, nodes[len(nodes)-1].connect(t, "", "a", "b"))
		nodes[0].publish(t, "a", "on")
		for i, n := range nodes {
			n.publish(t, "a", "on") // after which all that was before has been applied here
			if got, _ := clients[i].got(t); strings.Contains(got, "reset") {
				t.Errorf("round %d: a stream of node %d got a reset: %q", round, i, got)
			}
		}
		if err := nodes[1].hub.Delete(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
	}
}
