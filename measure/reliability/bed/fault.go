package bed

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Fault is something that can be done to a [Bed].
type Fault string

// The faults. All but the first need a cluster.
const (
	KillProcess Fault = "kill-gateway" // kill -9 of a gateway, or of the one process
	KillBackend Fault = "kill-backend" // kill -9 of a backend
	KillLeader  Fault = "kill-leader"  // kill -9 of the NATS server that leads the stream of events
	RestartAll  Fault = "restart-all"  // every node in turn, in order, as at an upgrade
	CutGateway  Fault = "cut-gateway"  // a gateway can reach nobody, and nobody it
	CutEngine   Fault = "cut-engine"   // a gateway cannot reach NATS, but clients can reach it
	CutNATS     Fault = "cut-nats"     // a NATS server can reach nobody
)

// Faults lists what can be done to the bed.
func (b *Bed) Faults() []Fault {
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

// Inject does one fault and returns when everything is ready again. down is how long
// what was cut off stays so. what says what was done.
func (b *Bed) Inject(ctx context.Context, f Fault, random *rand.Rand, down time.Duration) (what string, err error) {
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

func (b *Bed) inject(ctx context.Context, f Fault, random *rand.Rand, down time.Duration) (what string, err error) {
	one := func(of []*node) *node { return of[random.IntN(len(of))] }
	switch f {
	case KillProcess:
		n := one(b.gateways)
		return "killed " + n.Name(), again(ctx, n)
	case KillBackend:
		n := one(b.backends)
		return "killed " + n.Name(), again(ctx, n)
	case KillLeader:
		n := b.leader(ctx)
		if n == nil {
			n = one(b.nats)
			return "killed " + n.Name() + " (no leader is known)", again(ctx, n)
		}
		return "killed " + n.Name() + ", the leader", again(ctx, n)
	case RestartAll:
		return "restarted all in turn", b.restartAll(ctx)
	case CutGateway:
		return b.cut(ctx, one(b.gateways), down)
	case CutNATS:
		return b.cut(ctx, one(b.nats), down)
	case CutEngine:
		return b.part(ctx, one(b.gateways), down)
	}
	return "", fmt.Errorf("unknown fault %q; there are %v", f, b.Faults())
}

func again(ctx context.Context, n *node) error {
	if err := n.Kill(); err != nil {
		return err
	}
	return n.Start(ctx)
}

func (b *Bed) restartAll(ctx context.Context) error {
	for _, n := range b.all() {
		one, cancel := context.WithTimeout(ctx, 60*time.Second)
		err := n.Stop(one)
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

// cut takes a node off for a while. Without namespaces it is stopped as it is,
// which others see as the same silence; it does not see theirs.
func (b *Bed) cut(ctx context.Context, n *node, down time.Duration) (string, error) {
	off := func(off bool) error { return b.net.cut(context.WithoutCancel(ctx), n.place, off) }
	how := "cut off " + n.Name()
	if b.net.bridge == "" {
		how = "suspended " + n.Name() + " (a stand-in for cutting it off)"
		off = func(off bool) error {
			if off {
				return n.Suspend()
			}
			return n.Resume()
		}
	}
	return fmt.Sprintf("%s for %s", how, down.Round(time.Millisecond)), during(ctx, off, n, down)
}

func (b *Bed) part(ctx context.Context, n *node, down time.Duration) (string, error) {
	var places []int
	for _, other := range b.nats {
		places = append(places, other.place)
	}
	off := func(off bool) error { return b.net.part(context.WithoutCancel(ctx), n.place, places, off) }
	return fmt.Sprintf("cut %s off from NATS for %s", n.Name(), down.Round(time.Millisecond)), during(ctx, off, n, down)
}

// during does something for a while and undoes it.
func during(ctx context.Context, off func(bool) error, n *node, down time.Duration) error {
	if err := off(true); err != nil {
		return err
	}
	timer := time.NewTimer(down)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return errors.Join(off(false), n.Wait(ctx))
}
