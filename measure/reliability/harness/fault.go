package harness

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Fault is a kind of failure that a [Deployment] can inject into itself.
type Fault string

// The faults. All but the first need a cluster.
const (
	KillProcess Fault = "kill-gateway" // kill -9 of a gateway or of the one process
	KillBackend Fault = "kill-backend" // kill -9 of a backend
	KillLeader  Fault = "kill-leader"  // kill -9 of the NATS server that leads the event stream
	RestartAll  Fault = "restart-all"  // an orderly restart of each node in turn, as in an upgrade
	CutGateway  Fault = "cut-gateway"  // a gateway loses the network
	CutEngine   Fault = "cut-engine"   // a gateway loses NATS but not its clients
	CutNATS     Fault = "cut-nats"     // a NATS server loses the network
)

// Faults returns the kinds that this deployment allows.
func (b *Deployment) Faults() []Fault {
	faults := []Fault{KillProcess}
	if b.opts.Command != Cluster {
		return faults
	}
	faults = append(faults, KillBackend, KillLeader, RestartAll, CutGateway, CutNATS)
	if b.net.bridge != "" {
		faults = append(faults, CutEngine)
	}
	return faults
}

// Inject injects one fault and returns when all nodes are ready again. A node that
// it cuts off stays cut off for down. what describes the fault for the output.
func (b *Deployment) Inject(ctx context.Context, f Fault, random *rand.Rand, down time.Duration) (what string, err error) {
	if what, err = b.inject(ctx, f, random, down); err != nil {
		return what, err
	}
	for _, n := range b.all() {
		if err := n.Wait(ctx); err != nil {
			return what, err
		}
	}
	return what, nil
}

func (b *Deployment) inject(ctx context.Context, f Fault, random *rand.Rand, down time.Duration) (what string, err error) {
	pick := func(from []*node) *node { return from[random.IntN(len(from))] }
	switch f {
	case KillProcess:
		n := pick(b.gateways)
		return "killed " + n.Name(), killAndStart(ctx, n)
	case KillBackend:
		n := pick(b.backends)
		return "killed " + n.Name(), killAndStart(ctx, n)
	case KillLeader:
		n := b.leader(ctx)
		if n == nil {
			n = pick(b.nats)
			return "killed " + n.Name() + " (no leader is known)", killAndStart(ctx, n)
		}
		return "killed " + n.Name() + ", the leader", killAndStart(ctx, n)
	case RestartAll:
		return "restarted all in turn", b.restartAll(ctx)
	case CutGateway:
		return b.cut(ctx, pick(b.gateways), down)
	case CutNATS:
		return b.cut(ctx, pick(b.nats), down)
	case CutEngine:
		return b.part(ctx, pick(b.gateways), down)
	}
	return "", fmt.Errorf("unknown fault %q; choose from %v", f, b.Faults())
}

func killAndStart(ctx context.Context, n *node) error {
	if err := n.Kill(); err != nil {
		return err
	}
	return n.Start(ctx)
}

func (b *Deployment) restartAll(ctx context.Context) error {
	for _, n := range b.all() {
		stopping, cancel := context.WithTimeout(ctx, 60*time.Second)
		err := n.Stop(stopping)
		cancel()
		if err != nil && !slices.Contains(b.nats, n) {
			return err
		}
		if err := n.Start(ctx); err != nil {
			return err
		}
	}
	return nil
}

// cut takes a node off the network for a while. Without namespaces it suspends the
// process: the others see the same silence, but the node does not see theirs.
func (b *Deployment) cut(ctx context.Context, n *node, down time.Duration) (string, error) {
	set := func(off bool) error { return b.net.cut(context.WithoutCancel(ctx), n.place, off) }
	how := "cut off " + n.Name()
	if b.net.bridge == "" {
		how = "suspended " + n.Name() + " (a stand-in for cutting it off)"
		set = func(off bool) error {
			if off {
				return n.Suspend()
			}
			return n.Resume()
		}
	}
	return fmt.Sprintf("%s for %s", how, down.Round(time.Millisecond)), during(ctx, set, n, down)
}

// part takes a gateway off from the NATS servers only.
func (b *Deployment) part(ctx context.Context, n *node, down time.Duration) (string, error) {
	var places []int
	for _, other := range b.nats {
		places = append(places, other.place)
	}
	set := func(off bool) error { return b.net.part(context.WithoutCancel(ctx), n.place, places, off) }
	return fmt.Sprintf("cut %s off from NATS for %s", n.Name(), down.Round(time.Millisecond)), during(ctx, set, n, down)
}

// during sets a condition for a while, clears it, and waits until n is ready.
func during(ctx context.Context, set func(bool) error, n *node, down time.Duration) error {
	if err := set(true); err != nil {
		return err
	}
	timer := time.NewTimer(down)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return errors.Join(set(false), n.Wait(ctx))
}
