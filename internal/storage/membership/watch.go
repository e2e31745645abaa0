package membership

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// watchRefresh is how often the bucket is read anew, in case a change was missed.
	watchRefresh = 5 * time.Minute
	// watchPatience is how long it may take until the bucket has been read.
	watchPatience = 10 * time.Second
)

// watch keeps n.view as the bucket is, until ctx ends.
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
			n.log.Warn("the other nodes cannot be watched: trying again", "error", err)
		}
		pause.Reset(n.opts.RenewEvery)
	}
}

var errWatchEnded = errors.New("watch of the nodes' bucket ended")

// follow watches the bucket. It returns nil when it is time to read the bucket anew. That is after
// watchRefresh, or after a lost connection, since changes may have been missed.
func (n *Nodes) follow(ctx context.Context) error {
	life, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	connection := n.e.Conn().Stats().Reconnects
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
	target, complete := newView(), false
	for {
		select {
		case entry, ok := <-w.Updates():
			switch {
			case !ok:
				return errWatchEnded
			case entry == nil: // all that was there has come
				slow.Stop()
				complete = true
				n.setView(target)
			case complete:
				n.updateView(entry)
			default:
				target.apply(entry)
			}
		case <-tick.C:
			if n.e.Conn().Stats().Reconnects != connection {
				return nil
			}
		case <-old.C:
			return nil
		case <-life.Done():
			return context.Cause(life)
		}
	}
}

// setView replaces the view.
func (n *Nodes) setView(v view) {
	n.mu.Lock()
	n.view = v
	n.mu.Unlock()
	n.notifyChanged()
}

func (n *Nodes) updateView(entry jetstream.KeyValueEntry) {
	n.mu.Lock()
	more := n.view.apply(entry)
	n.mu.Unlock()
	if more {
		n.notifyChanged()
	}
}

// drainWatch lets a stopped watch end: it may be about to send one more change.
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
