package cluster

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// watchRefresh is how often the bucket is read anew, for the case that something
	// was missed.
	watchRefresh = 5 * time.Minute
	// watchPatience is how long it may take until the bucket has been read.
	watchPatience = 10 * time.Second

	rosterLive    = "live"
	rosterDrained = "drained" // all that was recorded has been dealt with
)

// picture is what the bucket says of the nodes.
type picture struct {
	leases map[string]sighting
	roster map[string]rosterEntry
	ended  map[string]bool // leases that have run out or were given back: there is a marker
}

// sighting is a lease that was made or renewed.
type sighting struct {
	at   time.Time
	node bool // by the node itself, not by one that deals with what it left
}

// rosterEntry says that streams of a node may be on record.
type rosterEntry struct {
	revision uint64
	drained  bool
	ended    bool // of bereft: its lease has ended, and has not just vanished
}

func newPicture() picture {
	return picture{leases: map[string]sighting{}, roster: map[string]rosterEntry{}, ended: map[string]bool{}}
}

// apply enters one change of the bucket. It reports whether there is something
// to look after now that was not before.
func (p picture) apply(entry jetstream.KeyValueEntry) bool {
	there := entry.Operation() == jetstream.KeyValuePut
	if node, ok := strings.CutPrefix(entry.Key(), leaseKeys); ok {
		p.ended[node] = !there
		if there {
			p.leases[node] = sighting{at: time.Now(), node: strings.HasPrefix(string(entry.Value()), heldByNode)}
		} else {
			delete(p.leases, node)
		}
		return !there
	}
	if node, ok := strings.CutPrefix(entry.Key(), rosterKeys); ok {
		if there {
			p.roster[node] = rosterEntry{revision: entry.Revision(), drained: string(entry.Value()) == rosterDrained}
		} else {
			delete(p.roster, node)
			delete(p.ended, node)
		}
		return there
	}
	return false
}

// Others lists the other nodes that are alive, sorted. It asks nobody: it may be
// behind by the time that a message takes or, for one that ended without giving
// its lease back, by LeaseTTL.
func (n *Nodes) Others() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	self := n.Node() // not before: a name that is given up goes to n.past under the lock
	var others []string
	for node, lease := range n.seen.leases {
		if lease.node && node != self && !n.past[node] && n.fresh(lease) {
			others = append(others, node)
		}
	}
	slices.Sort(others)
	return others
}

// fresh tells whether a lease cannot have run out, as far as can be told here:
// while the engine is away, nobody says that it has.
func (n *Nodes) fresh(s sighting) bool {
	return time.Since(s.at) < n.opts.LeaseTTL+n.opts.RenewEvery
}

// alive tells whether a node is among the others.
func (n *Nodes) alive(node string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	lease, ok := n.seen.leases[node]
	return ok && lease.node && !n.past[node] && n.fresh(lease)
}

// bereft lists the nodes on the roster that nobody seems to have a lease of.
// Whether that is so, only the attempt to get the lease can tell.
func (n *Nodes) bereft() map[string]rosterEntry {
	n.mu.Lock()
	defer n.mu.Unlock()
	self := n.Node() // not before: a name that is given up goes to n.past under the lock
	found := map[string]rosterEntry{}
	for node, entry := range n.seen.roster {
		if lease, held := n.seen.leases[node]; node != self && (!held || !n.fresh(lease)) {
			entry.ended = n.seen.ended[node]
			found[node] = entry
		}
	}
	return found
}

// stranger tells whether a node is not this one, is not on the roster and has no
// lease, as far as is known here.
func (n *Nodes) stranger(node string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, enrolled := n.seen.roster[node]
	_, held := n.seen.leases[node]
	return node != n.Node() && !enrolled && !held
}

// foremost tells whether this node is the one that does what one of all is to do.
// There may be two for a while, or none.
func (n *Nodes) foremost() bool {
	self, others := n.Node(), n.Others()
	return n.mayRecord(self) && (len(others) == 0 || self < others[0])
}

// watch keeps n.seen as the bucket is, until ctx ends.
func (n *Nodes) watch(ctx context.Context) {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for misses := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
		err := n.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			misses = 0
			pause.Reset(0)
			continue
		}
		if misses++; misses == 1 {
			n.log.Warn("the other nodes cannot be watched for now", "error", err)
		}
		pause.Reset(n.opts.RenewEvery)
	}
}

var errWatchEnded = errors.New("watch of the nodes' bucket ended")

// follow watches the bucket for a while. It returns nil when it is time to read
// the bucket anew.
func (n *Nodes) follow(ctx context.Context) error {
	life, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	connection := n.e.nc.Stats().Reconnects
	slow := time.AfterFunc(watchPatience, func() { cancel(context.DeadlineExceeded) })
	defer slow.Stop()
	w, err := n.bucket.kv.WatchAll(life)
	if err != nil {
		return errors.Join(err, context.Cause(life))
	}
	defer func() {
		_ = w.Stop() // it fails only if the watch has ended already
		drainWatch(w)
	}()
	tick := time.NewTicker(n.opts.RenewEvery)
	defer tick.Stop()
	old := time.NewTimer(watchRefresh)
	defer old.Stop()
	target, complete := newPicture(), false
	for {
		select {
		case entry, ok := <-w.Updates():
			switch {
			case !ok:
				return errWatchEnded
			case entry == nil: // all that there was
				slow.Stop()
				complete = true
				n.show(target)
			case complete:
				n.update(entry)
			default:
				target.apply(entry)
			}
		case <-tick.C:
			if n.e.nc.Stats().Reconnects != connection {
				return nil
			}
		case <-old.C:
			return nil
		case <-life.Done():
			return context.Cause(life)
		}
	}
}

// show replaces what was seen.
func (n *Nodes) show(p picture) {
	n.mu.Lock()
	n.seen = p
	n.mu.Unlock()
	n.changed()
}

func (n *Nodes) update(entry jetstream.KeyValueEntry) {
	n.mu.Lock()
	more := n.seen.apply(entry)
	n.mu.Unlock()
	if more {
		n.changed()
	}
}

// drainWatch lets a stopped watch end: it may be about to tell of one more change.
func drainWatch(w jetstream.KeyWatcher) {
	patience := time.NewTimer(watchPatience)
	defer patience.Stop()
	for {
		select {
		case _, ok := <-w.Updates():
			if !ok {
				return
			}
		case <-patience.C:
			return
		}
	}
}
