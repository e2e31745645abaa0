package eventlog

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tidegate/internal/storage/natstest"
	"tidegate/internal/topic"
)

// The server that leads the log of three replicas is killed while two nodes publish. Nothing
// is lost, repeated, or out of order, and no client gets a reset.
func TestLeaderThatIsKilledLosesNothing(t *testing.T) {
	t.Parallel()
	servers := natstest.StartCluster(t, 3)
	var nodes []*logNode
	for i := range 2 {
		e := openURL(t, servers.URLs()...)
		nodes = append(nodes, runLog(t, e, makeEV(t, e, 3), Options{
			Node:   func() string { return fmt.Sprint("node", i) },
			Others: func() []string { return []string{fmt.Sprint("node", 1-i)} },
		}))
	}
	info, err := nodes[0].info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	leader := slices.IndexFunc(servers.Servers, func(p *natstest.Process) bool { return p.Name == info.Cluster.Leader })
	var wg sync.WaitGroup
	var outage time.Duration
	wg.Go(func() {
		nodes[0].hub.until(t, "some events", func(h *fakeHub) bool { return len(h.events) >= 100 })
		servers.Kill(leader)
		killed := time.Now()
		count := len(nodes[0].hub.all())
		nodes[0].hub.until(t, "more events", func(h *fakeHub) bool { return len(h.events) >= count+20 })
		outage = time.Since(killed)
	})
	answered := hammer(t, nodes, 4, 4, 60, nil)
	wg.Wait()
	t.Logf("%s was killed; 20 more events after %v", info.Cluster.Leader, outage)
	for i, n := range nodes {
		n.hub.until(t, "all events", func(h *fakeHub) bool { return len(h.events) >= len(answered) })
		checkOrder(t, fmt.Sprint("node", i), n.hub.all(), answered)
		if len(n.hub.rewound) > 0 {
			t.Errorf("node %d was rewound to %v", i, n.hub.rewound)
		}
		t.Logf("node %d: %+v", i, n.Stats())
	}
	checkReplicaReads(t, nodes[0])
}

func checkReplicaReads(t *testing.T, n *logNode) {
	t.Helper()
	for k := range 4 {
		name := fmt.Sprint("topic", k)
		want := slices.DeleteFunc(n.hub.all(), func(e topic.Stored) bool { return e.Topic != name })
		got, err := readAll(n.Log, name, 1, 1<<40)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("Read(%s) gives %d events, want %d: %v", name, len(got), len(want), err)
		}
		// What was just answered is there to be read.
		data := strings.Repeat("x", k+1)
		stored := n.mustAppend(t, name, data)
		if e, ok, err := n.Last(t.Context(), name); err != nil || !ok || e.Seq != stored.Seq || e.Data != data {
			t.Errorf("Last(%s) = %+v, %v, %v", name, e, ok, err)
		}
		got, err = readAll(n.Log, name, stored.Seq, stored.Seq+1)
		if err != nil || len(got) != 1 || got[0].Data != data {
			t.Errorf("Read(%s) of the newest = %+v, %v", name, got, err)
		}
	}
}
