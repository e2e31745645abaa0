package nats

import (
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/storage/natstest"
	"tidegate/internal/wire"
)

// TestX38StatusTellsOfServersThatAreAway, of one long before NATS calls it offline;
// and a stream that has no leader keeps its row.
func TestX38StatusTellsOfServersThatAreAway(t *testing.T) {
	t.Parallel()
	c := natstest.StartCluster(t, 3)
	e := openWith(t, Options{URLs: c.URLs(), Needs: NeedLog})
	ev := func(s wire.ClusterStatus) wire.StreamStatus {
		i := slices.IndexFunc(s.Streams, func(row wire.StreamStatus) bool { return row.Name == "TIDEGATE_EV" })
		if i < 0 {
			t.Fatalf("the stream has no row in %+v", s)
		}
		return s.Streams[i]
	}
	problem := func(s wire.ClusterStatus, text string) bool {
		return slices.ContainsFunc(s.Health, func(line string) bool { return strings.Contains(line, text) })
	}
	natstest.Eventually(t, "all is well", func() bool {
		s := e.Status(natstest.Within(t))
		return len(s.Health) == 0 && ev(s).Replicas == 3 && len(ev(s).Offline) == 0
	})
	ours := e.nc.ConnectedServerName() // the last one to go
	var others []int
	for i, p := range c.Servers {
		if p.Name != ours {
			others = append(others, i)
		}
	}
	first := c.Servers[others[0]].Name
	c.Kill(others[0])
	natstest.Eventually(t, "the server that is away is named", func() bool {
		if info, err := e.StreamInfo(natstest.Within(t), "TIDEGATE_EV"); err == nil && slices.ContainsFunc(info.Cluster.Replicas, func(r *jetstream.PeerInfo) bool { return r.Offline }) {
			t.Fatal("NATS has called it offline, after more than a minute, and it was not named")
		}
		s := e.Status(natstest.Within(t))
		return problem(s, "server "+first+" is away, which has a copy of TIDEGATE_EV") && slices.Contains(ev(s).Offline, first)
	})
	c.Kill(others[1])
	natstest.Eventually(t, "the stream has no leader", func() bool {
		s := e.Status(natstest.Within(t))
		return ev(s).Error != "" && problem(s, "stream TIDEGATE_EV: ")
	})
	for i := range c.Servers { // then nobody answers
		c.Kill(i)
	}
	natstest.Eventually(t, "it is said that nobody answers", func() bool {
		s := e.Status(natstest.Within(t))
		return ev(s).Leader == "" && problem(s, "stream TIDEGATE_EV: not connected")
	})
}
