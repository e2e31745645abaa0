package gateway_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"tidegate/internal/gateway"
	"tidegate/internal/wire"
)

// TestX38StatusHasEveryReasonOfEveryNode: one node reports all that
// keeps any from being ready, beside what storage finds.
func TestX38StatusHasEveryReasonOfEveryNode(t *testing.T) {
	t.Parallel()
	reasons := map[string][]string{nodeB: {"JetStream does not answer"}, nodeC: nil}
	rigs := cluster(t, sockets, func(o *gateway.Options) {
		node := o.Peers.Node()
		o.Health = func() []string { return reasons[node] }
		o.Warn = func() []string { return []string{"servers do not sync"} }
		o.Status = func(context.Context) wire.ClusterStatus {
			return wire.ClusterStatus{Mode: "external", Health: []string{"stream EV: no answer"}, Streams: []wire.StreamStatus{}, Nodes: []string{}}
		}
	}, nodeA, nodeB, nodeC)
	rigs[2].gateway.StopReady()
	ask := func(r *rig) (s wire.ClusterStatus) {
		got := r.call(http.MethodGet, "/internal/cluster", "", "")
		if err := json.Unmarshal([]byte(got.Body), &s); err != nil {
			t.Fatalf("%v: %s", err, got.Body)
		}
		slices.Sort(s.Health)
		return s
	}
	got := ask(rigs[0])
	want := []string{"node " + nodeB + ": JetStream does not answer", "node " + nodeC + ": draining", "stream EV: no answer"}
	if !slices.Equal(got.Health, want) || got.Node != nodeA || !slices.Equal(got.Warnings, []string{"servers do not sync"}) {
		t.Errorf("status of a: %+v, want problems %q", got, want)
	}
	if got := ask(rigs[1]); !slices.Contains(got.Health, "JetStream does not answer") || len(got.Health) != 3 {
		t.Errorf("status of b: %q", got.Health)
	}
	ready := rigs[0].call(http.MethodGet, "/readyz", "", "")
	if ready.Status != http.StatusOK || !strings.Contains(ready.Body, `"warnings":["servers do not sync"]`) {
		t.Errorf("a warning keeps it from being ready: %d %s", ready.Status, ready.Body)
	}
}
