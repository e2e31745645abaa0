package membership

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// view is what the bucket says of the nodes.
type view struct {
	leases        map[string]leaseSeen
	registrations map[string]registration
	ended         map[string]bool // leases that have run out or were given back: there is a marker
}

// leaseSeen is a lease that was made or renewed.
type leaseSeen struct {
	at     time.Time
	byNode bool // not by its successor
}

// registration says that sessions of a node may be on record.
type registration struct {
	revision uint64
	drained  bool
}

func newView() view {
	return view{leases: map[string]leaseSeen{}, registrations: map[string]registration{}, ended: map[string]bool{}}
}

// apply enters one change of the bucket. It reports whether new work appeared: a node
// may have died.
func (v view) apply(entry jetstream.KeyValueEntry) bool {
	there := entry.Operation() == jetstream.KeyValuePut
	if node, ok := strings.CutPrefix(entry.Key(), leaseKeys); ok {
		v.ended[node] = !there
		if there {
			v.leases[node] = leaseSeen{at: time.Now(), byNode: strings.HasPrefix(string(entry.Value()), heldByNode)}
		} else {
			delete(v.leases, node)
		}
		return !there
	}
	if node, ok := strings.CutPrefix(entry.Key(), registrationKeys); ok {
		if there {
			v.registrations[node] = registration{revision: entry.Revision(), drained: string(entry.Value()) == registeredDrained}
		} else {
			delete(v.registrations, node)
			delete(v.ended, node)
		}
		return there
	}
	return false
}

// Others lists the other nodes that are alive, sorted, without asking. It may be behind by
// the time that a message takes, or by LeaseTTL for a node that died.
func (n *Nodes) Others() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	self := n.Node() // not before: a former name goes to n.formerNames under the lock
	var others []string
	for node, lease := range n.view.leases {
		if lease.byNode && node != self && !n.formerNames[node] && n.fresh(lease) {
			others = append(others, node)
		}
	}
	slices.Sort(others)
	return others
}

// aliveTimeout bounds [Nodes.Alive].
const aliveTimeout = 3 * time.Second

// Alive asks which nodes hold a lease, this one among them, and lists them sorted. Among
// them may be dead ones whose sessions are being taken over.
func (n *Nodes) Alive(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, aliveTimeout)
	defer cancel()
	nodes := []string{}
	keys, err := n.bucket.kv.ListKeysFiltered(ctx, leaseKeys+"*")
	if err != nil {
		return nodes, err
	}
	for key := range keys.Keys() {
		nodes = append(nodes, strings.TrimPrefix(key, leaseKeys))
	}
	slices.Sort(nodes)
	return nodes, ctx.Err() // if ctx ended, so did the list, without an error
}

// fresh reports whether a lease may still be held. While the engine is away nothing says
// that one has run out, so the time since the last renewal counts too.
func (n *Nodes) fresh(lease leaseSeen) bool {
	return time.Since(lease.at) < n.opts.LeaseTTL+n.opts.RenewEvery
}

// alive reports whether a node is among the others.
func (n *Nodes) alive(node string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	lease, ok := n.view.leases[node]
	return ok && lease.byNode && !n.formerNames[node] && n.fresh(lease)
}

// Unknown reports whether a node is not this one and has neither a registration nor a
// lease, as far as is known here.
func (n *Nodes) Unknown(node string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, registered := n.view.registrations[node]
	_, held := n.view.leases[node]
	return node != n.Node() && !registered && !held
}

// First reports whether this node does the work that one of all nodes does. For a while
// two nodes may be first, or none.
func (n *Nodes) First() bool {
	self, others := n.Node(), n.Others()
	return n.MayRecord(self) && (len(others) == 0 || self < others[0])
}

// Steady reports whether this node is in touch with the others, so that none of them
// is about to take it for dead. A node without a lease has nothing on record.
func (n *Nodes) Steady() bool {
	self := n.self.Load()
	if n.opts.Alone || !self.joined.Load() {
		return true
	}
	renewed := self.renewed.Load()
	return renewed != nil && time.Since(*renewed) < 2*n.opts.RenewEvery+n.opts.RenewEvery/2
}

// Changed gets a value when leases or registrations have changed, at most one at a
// time. One goroutine may wait for it.
func (n *Nodes) Changed() <-chan struct{} { return n.changes }

// changed wakes whoever waits at [Nodes.Changed].
func (n *Nodes) notifyChanged() {
	select {
	case n.changes <- struct{}{}:
	default:
	}
}
