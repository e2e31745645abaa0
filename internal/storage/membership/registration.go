package membership

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/backoff"
	"tidegate/internal/storage/nats"
)

// Values of a registration.
const (
	registeredLive    = "live"
	registeredDrained = "drained" // the sessions that were on record have been taken over
)

// DeadNode is a registered node that nobody seems to hold a lease of.
type DeadNode struct {
	Name    string
	Drained bool // its sessions have been taken over; some may have been recorded since

	leaseEnded bool // its lease was given back or has run out, and has not just vanished
	revision   uint64
}

// Dead lists the dead nodes. Only [Nodes.TakeOver] finds out whether one is dead.
func (n *Nodes) Dead() (dead []DeadNode) {
	n.mu.Lock()
	defer n.mu.Unlock()
	self := n.Node() // not before: a former name goes to n.formerNames under the lock
	for node, r := range n.view.registrations {
		if lease, held := n.view.leases[node]; node != self && (!held || !n.fresh(lease)) {
			dead = append(dead, DeadNode{Name: node, Drained: r.drained, leaseEnded: n.view.ended[node], revision: r.revision})
		}
	}
	return dead
}

// MayRecord reports whether sessions of a node may be recorded. Those of a name that
// never had a lease may not: other nodes would take it for dead.
func (n *Nodes) MayRecord(node string) bool {
	self := n.self.Load()
	return node != self.name || self.joined.Load()
}

// Register registers a node, before the first session of it is recorded.
func (n *Nodes) Register(ctx context.Context, node string) error {
	if _, err := n.bucket.kv.PutString(ctx, registrationKeys+node, registeredLive); err != nil {
		return fmt.Errorf("register node %s: %w", node, err)
	}
	return nil
}

// RegisterUnknown registers a node that sessions are on record of, if it has neither a
// registration nor a lease. It may be alive all the same: [Nodes.TakeOver] waits until
// it has noticed that it lost its lease.
func (n *Nodes) RegisterUnknown(ctx context.Context, node string) (registered bool, err error) {
	for _, key := range []string{registrationKeys + node, leaseKeys + node} {
		if _, err := n.bucket.kv.Get(ctx, key); !errors.Is(err, jetstream.ErrKeyNotFound) {
			return false, err // nil: what is known here was old
		}
	}
	if err := n.Register(ctx, node); err != nil {
		return false, err
	}
	return true, nil
}

// TakeOver has work take over the sessions of a dead node. It returns nil at once if the
// node is alive or another one does so already. While work runs this node holds the dead
// one's lease. The context of work ends when that lease is lost or cannot be renewed,
// before another node can have it.
func (n *Nodes) TakeOver(ctx context.Context, dead DeadNode, work func(context.Context) error) error {
	lease := &lease{store: n.bucket, key: leaseKeys + dead.Name, value: heldBySuccessor + rand.Text(), times: n.times()}
	if err := lease.acquire(ctx); errors.Is(err, errHeld) {
		return nil
	} else if err != nil {
		return fmt.Errorf("take over from node %s: %w", dead.Name, err)
	}
	life, stop := context.WithCancelCause(ctx)
	var keeping sync.WaitGroup
	keeping.Go(func() {
		if err := lease.keep(life); err != nil {
			stop(err)
		}
	})
	err := n.awaitCutOff(life, dead)
	waited := err == nil
	if waited {
		err = work(life)
	}
	stop(nil)
	keeping.Wait()
	// A lease that is given back says that nobody has to wait any more. If this node
	// stops before it has waited, the lease runs out.
	if waited && !errors.Is(context.Cause(life), errLost) {
		n.release(ctx, lease)
	}
	return err
}

// awaitCutOff waits for LeaseTTL where nothing says that the node's lease has ended.
// Storage may have lost the lease while the node is alive and does not know yet. After
// that time it has been cut off, as without any renewal.
func (n *Nodes) awaitCutOff(ctx context.Context, dead DeadNode) error {
	if dead.leaseEnded || n.opts.Alone {
		return nil
	}
	return backoff.Wait(ctx, n.opts.LeaseTTL)
}

// MarkDrained notes that no session of a dead node is on record. The note lasts for
// keep, for records that are still on their way. It reports false if the node
// has registered again in the meantime: then there may be more, and dead is as it is now.
func (n *Nodes) MarkDrained(ctx context.Context, dead *DeadNode, keep time.Duration) (bool, error) {
	key := registrationKeys + dead.Name
	revision, err := n.bucket.put(ctx, key, registeredDrained, keep, dead.revision)
	if err == nil {
		dead.revision = revision
		return true, nil
	}
	if !nats.IsWrongSequence(err) {
		return false, err
	}
	entry, err := n.bucket.kv.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	dead.revision = entry.Revision()
	return false, nil
}
