// Package membership is which nodes there are. Each node holds a lease in a bucket of
// NATS, and is alive while it does. [Nodes] keeps the lease of this process, watches the
// others', and carries requests from node to node. It also says which nodes died with
// sessions still on record.
package membership

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/storage/nats"
	"tidegate/internal/wire"
)

// Keys of the bucket, and the beginnings of their values. A node is alive as long as
// its lease is there. It is registered as long as sessions of it may be on record.
const (
	leaseKeys        = "lease."
	registrationKeys = "roster."

	heldByNode      = "node:" // a lease: by the node itself,
	heldBySuccessor = "heir:" // or by the node that takes over its sessions
)

// Options configure [Nodes]. The zero value of a field stands for its default.
type Options struct {
	// Alone says that no other process can reach the engine. Leases that are there at
	// the start then belong to former processes and are deleted, and the node is never
	// cut off.
	Alone bool
	// CutOff is called when the other nodes may soon take this one for dead, with the
	// name that it had until now. It ends all streams of that name within LeaseTTL -
	// CutOffAfter, and does not report their ends: the node that takes them over does.
	// This node goes on under its new name when CutOff returns.
	CutOff func(node string)

	LeaseTTL    time.Duration // default 20s, whole seconds: after it a silent node counts as dead
	RenewEvery  time.Duration // default 3s
	CutOffAfter time.Duration // default 15s, at most 3/4 of LeaseTTL: without a renewal for so long, the node is cut off
	AskTimeout  time.Duration // default 5s, for Ask and for the handler
	MaxAsks     int           // default 256 requests of other nodes being answered; more get 503
}

func (o Options) withDefaults() Options {
	o.LeaseTTL = max(cmp.Or(o.LeaseTTL, 20*time.Second).Round(time.Second), time.Second)
	o.RenewEvery = cmp.Or(o.RenewEvery, 3*time.Second)
	o.CutOffAfter = min(cmp.Or(o.CutOffAfter, 15*time.Second), o.LeaseTTL*3/4)
	o.AskTimeout = cmp.Or(o.AskTimeout, 5*time.Second)
	o.MaxAsks = cmp.Or(o.MaxAsks, 256)
	if o.CutOff == nil {
		o.CutOff = func(string) {}
	}
	return o
}

// Nodes is the membership of this process: its own lease, and its view of the other
// nodes. [Open] makes it. All methods may be called concurrently, Run once. It satisfies
// the gateway's Peers.
type Nodes struct {
	e      *nats.Engine
	opts   Options
	log    *slog.Logger
	bucket leaseBucket

	self    atomic.Pointer[nodeIdentity]
	changes chan struct{} // size 1: leases or registrations have changed
	slots   chan struct{} // one for each request being answered

	mu          sync.Mutex
	view        view            // guarded by mu
	formerNames map[string]bool // guarded by mu: one for each time that this node was cut off

	asked, answered, refused, cutOffs atomic.Uint64
}

// nodeIdentity is the name of a node until it is cut off, and its lease.
type nodeIdentity struct {
	name    string
	joined  atomic.Bool               // it has had its lease once
	renewed atomic.Pointer[time.Time] // when the lease was; not a number, which changes of the clock would shift
}

// Stats count what Nodes have done since they were made.
type Stats struct {
	Others   int    // alive now
	Asked    uint64 // requests to other nodes
	Answered uint64 // requests of other nodes, with those refused
	Refused  uint64 // because of MaxAsks
	CutOffs  uint64
}

// newNodes makes the node of this process. All nodes share the bucket; it must have a
// LimitMarkerTTL.
func newNodes(e *nats.Engine, kv jetstream.KeyValue, opts Options) *Nodes {
	opts = opts.withDefaults()
	n := &Nodes{
		e: e, opts: opts, log: e.Log().With("component", "nodes"),
		bucket:      leaseBucket{js: e.JetStream(), kv: kv, ttl: opts.LeaseTTL},
		formerNames: map[string]bool{}, changes: make(chan struct{}, 1), slots: make(chan struct{}, opts.MaxAsks),
	}
	n.self.Store(&nodeIdentity{name: nats.RandomName()})
	return n
}

// Open makes the nodes' bucket unless it is there, and the node of this process. ctx
// bounds that. The error is one of the engine.
func Open(ctx context.Context, e *nats.Engine, opts Options) (*Nodes, error) {
	kv, err := e.NodeBucket(ctx)
	if err != nil {
		return nil, err
	}
	return newNodes(e, kv, opts), nil
}

// Node is the name of this process now: 8 lowercase letters and digits. It changes when
// the node is cut off.
func (n *Nodes) Node() string { return n.self.Load().name }

// Stats gives the counts so far.
func (n *Nodes) Stats() Stats {
	return Stats{
		Others: len(n.Others()), Asked: n.asked.Load(), Answered: n.answered.Load(),
		Refused: n.refused.Load(), CutOffs: n.cutOffs.Load(),
	}
}

// Run holds the node's lease, answers requests of other nodes with handler, and watches
// the other nodes, until ctx ends. Then it gives the lease back, so that others take over
// at once what is still on record; the streams must have ended before. handler is called
// concurrently; its context ends after AskTimeout, or with ctx. Run returns an error only
// if the engine's connection has been closed.
func (n *Nodes) Run(ctx context.Context, handler func(context.Context, wire.PeerRequest) wire.PeerAnswer) error {
	watching, stop := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() { n.watch(watching) })
	defer watch.Wait()
	defer stop()

	current, err := n.openResponder(ctx, n.Node(), handler)
	if err != nil {
		return err
	}
	defer func() { current.close() }()
	for {
		why := n.hold(ctx)
		if ctx.Err() != nil {
			return nil
		}
		next := nats.RandomName()
		n.cutOff(n.Node(), next, why)
		// Nodes that read the new name can send requests to it.
		opened, err := n.openResponder(ctx, next, handler)
		if err != nil {
			return err
		}
		n.rename(next)
		current.close()
		current = opened
	}
}

// cutOff ends the streams of the node's old name.
func (n *Nodes) cutOff(old, next string, why error) {
	n.cutOffs.Add(1)
	n.log.Error("cut off from the other nodes: ending all streams", "node", old, "next", next, "why", why)
	begun := time.Now()
	n.opts.CutOff(old)
	if took := time.Since(begun); took > n.opts.LeaseTTL-n.opts.CutOffAfter {
		n.log.Warn("ending streams took longer than the lease: another node may have reported their ends before", "node", old, "took", took)
	}
}

func (n *Nodes) rename(next string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.formerNames[n.Node()] = true
	n.self.Store(&nodeIdentity{name: next})
}

// hold gets the lease of the node's name and keeps it. It returns nil when ctx ends, and
// the reason when the lease is gone.
func (n *Nodes) hold(ctx context.Context) error {
	self := n.self.Load()
	held := &lease{store: n.bucket, key: leaseKeys + self.name, value: heldByNode + rand.Text(), times: n.times()}
	held.onRenewed = func(at time.Time) { self.renewed.Store(&at) }
	if n.opts.Alone {
		held.times.patience = 0
		if !n.retry(ctx, "drop leases of earlier lives", n.dropLeases) {
			return nil
		}
	}
	for {
		if !n.retry(ctx, "get a lease", held.acquire) {
			return nil
		}
		self.joined.Store(true)
		n.log.InfoContext(ctx, "joined", "node", self.name)
		n.notifyChanged()
		err := held.keep(ctx)
		if ctx.Err() != nil {
			n.release(ctx, held)
			return nil
		}
		if !n.opts.Alone {
			return err
		}
		n.log.Warn("lost the lease although no other process can be there: getting it again", "node", self.name, "error", err)
	}
}

func (n *Nodes) times() leaseTimes {
	return leaseTimes{every: n.opts.RenewEvery, patience: n.opts.CutOffAfter, attempt: n.opts.CutOffAfter / 5}
}

// release gives a lease back. That only saves time: the lease runs out anyway.
func (n *Nodes) release(ctx context.Context, held *lease) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), held.times.attempt)
	defer cancel()
	if err := n.bucket.release(ctx, held.key, held.revision); err != nil {
		n.log.Warn("the lease could not be given back and will run out", "key", held.key, "error", err)
	}
}

// retry does something until it succeeds, every RenewEvery. It reports false if ctx ends
// before that.
func (n *Nodes) retry(ctx context.Context, what string, do func(context.Context) error) bool {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for tries := 0; ; tries++ {
		select {
		case <-ctx.Done():
			return false
		case <-pause.C:
		}
		err := do(ctx)
		if err == nil {
			return true
		}
		if tries == 0 && ctx.Err() == nil {
			n.log.Warn("not possible yet: "+what, "error", err)
		}
		pause.Reset(n.opts.RenewEvery)
	}
}

// dropLeases deletes all leases: no process is there to hold them.
func (n *Nodes) dropLeases(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, n.opts.CutOffAfter)
	defer cancel()
	keys, err := n.bucket.kv.ListKeysFiltered(ctx, leaseKeys+"*")
	if err != nil {
		return fmt.Errorf("list leases: %w", err)
	}
	var all error
	for key := range keys.Keys() {
		all = errors.Join(all, n.bucket.kv.Purge(ctx, key, jetstream.PurgeTTL(n.opts.LeaseTTL)))
	}
	return errors.Join(all, ctx.Err()) // if ctx ended, so did the list, too early
}
