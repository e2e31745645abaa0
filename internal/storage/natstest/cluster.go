package natstest

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Cluster is a cluster of nats-server processes.
type Cluster struct {
	Servers []*Process

	t testing.TB
}

// StartCluster starts n servers that form a cluster, and waits until JetStream
// answers. They are killed when the test ends.
func StartCluster(t testing.TB, n int) *Cluster {
	t.Helper()
	c := &Cluster{t: t}
	for i := range n {
		p := NewProcess(t, fmt.Sprintf("n%d", i))
		p.cluster = FreeAddress(t)
		c.Servers = append(c.Servers, p)
	}
	for _, p := range c.Servers {
		p.routes = c.routes()
		p.Start(t)
	}
	c.Ready()
	return c
}

// URLs lists the servers that were started, also those that have been killed.
func (c *Cluster) URLs() []string {
	var urls []string
	for _, p := range c.Servers {
		urls = append(urls, p.URL())
	}
	return urls
}

// Kill ends server i as a crash does, and waits until it is gone.
func (c *Cluster) Kill(i int) { c.Servers[i].Kill() }

// Stop ends server i in an orderly way, so that the others know at once.
func (c *Cluster) Stop(i int) { c.Servers[i].end(syscall.SIGTERM) }

// Restart starts server i again, at the address and with the files it had.
func (c *Cluster) Restart(i int) {
	c.t.Helper()
	c.Servers[i].Start(c.t)
}

// Ready waits until JetStream answers and all servers that run are in it.
func (c *Cluster) Ready() {
	c.t.Helper()
	nc, err := natsgo.Connect(strings.Join(c.URLs(), ","), natsgo.MaxReconnects(-1), natsgo.RetryOnFailedConnect(true), natsgo.ReconnectWait(50*time.Millisecond))
	if err != nil {
		c.t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		c.t.Fatal(err)
	}
	running := 0
	for _, p := range c.Servers {
		if p.cmd != nil {
			running++
		}
	}
	Eventually(c.t, "JetStream of the cluster answers", func() bool {
		ctx, cancel := context.WithTimeout(c.t.Context(), 2*time.Second)
		defer cancel()
		cfg := jetstream.StreamConfig{Name: "ready", Subjects: []string{"test.ready"}, Replicas: min(running, 3)}
		if _, err := js.CreateOrUpdateStream(ctx, cfg); err != nil {
			return false
		}
		return js.DeleteStream(ctx, cfg.Name) == nil
	})
}

// Leader is the index of the server that leads a stream, -1 for none.
func (c *Cluster) Leader(stream string) int {
	c.t.Helper()
	nc, err := natsgo.Connect(strings.Join(c.URLs(), ","))
	if err != nil {
		return -1
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), 2*time.Second)
	defer cancel()
	s, err := js.Stream(ctx, stream)
	if err != nil || s.CachedInfo().Cluster == nil {
		return -1
	}
	for i, p := range c.Servers {
		if p.Name == s.CachedInfo().Cluster.Leader {
			return i
		}
	}
	return -1
}

// routes lists where the servers listen for each other.
func (c *Cluster) routes() []string {
	var routes []string
	for _, p := range c.Servers {
		routes = append(routes, "nats-route://"+p.cluster)
	}
	return routes
}
