package task

import (
	"context"
	"slices"
)

// claim makes the caller the pump if one is needed: also when there is nothing to
// publish, but to note that all is out.
func (o *outbox) claim(stop context.CancelFunc) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.pumping || o.dropped || len(o.queue) == 0 && (o.complete || !o.sealed) {
		return false
	}
	o.pumping, o.stopPump = true, stop
	return true
}

// pumpEnd says why a pump ends.
type pumpEnd int

const (
	notEnded    pumpEnd = iota
	endIdle             // nothing to publish for now, or the service stopped
	endComplete         // the log is complete
	endDropped          // the task was deleted while the pump was at work
)

// take returns the next batch for the pump, still held: up to events events and
// bytes bytes of data, but at least one. With any pumpEnd but notEnded the pump has
// ended, and the next event needs another.
func (o *outbox) take(events, bytes int, stop bool) ([]item, pumpEnd) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.queue) == 0 || stop || o.dropped {
		return nil, o.endPump()
	}
	n := 1
	for size := len(o.queue[0].Data); n < min(len(o.queue), events); n++ {
		if size += len(o.queue[n].Data); size > bytes {
			break
		}
	}
	return slices.Clone(o.queue[:n]), notEnded
}

// endPump notes that there is no pump any more. The caller holds mu.
func (o *outbox) endPump() pumpEnd {
	o.pumping, o.stopPump = false, nil
	if o.idle != nil {
		close(o.idle)
		o.idle = nil
	}
	switch {
	case o.lost:
		return endIdle
	case o.dropped:
		return endDropped
	case o.sealed && len(o.queue) == 0:
		o.complete = true
		return endComplete
	default:
		return endIdle
	}
}

// idleForGood reports whether all is published and no pump is at work.
func (o *outbox) idleForGood() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.complete && !o.pumping && len(o.queue) == 0
}

// done removes the n oldest events: they are in the log.
func (o *outbox) done(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.dropped {
		return
	}
	for i := range n {
		o.grow(-len(o.queue[i].Data))
	}
	clear(o.queue[:n])
	o.queue = o.queue[n:]
	if len(o.queue) == 0 {
		o.queue, o.repeating = nil, false
	}
	o.wakeProgress()
}

// drop discards what is left of a deleted task. It reports whether a pump is still at
// work; drop stops that pump, which is the last to touch the log.
func (o *outbox) drop() (pumping bool) { return o.discard(false) }

// lose is drop for a task that another process has taken over. After an earlier drop
// it changes nothing: the end of the pump is still reported as that of a deleted task.
func (o *outbox) lose() { o.discard(true) }

func (o *outbox) discard(lost bool) (pumping bool) {
	o.mu.Lock()
	o.lost = lost && (o.lost || !o.dropped)
	o.dropped = true
	o.grow(-o.bytes)
	o.queue = nil
	o.wakeProgress()
	pumping = o.pumping
	stop := o.stopPump
	if o.idle != nil && !pumping {
		close(o.idle)
		o.idle = nil
	}
	o.mu.Unlock()
	if pumping {
		stop()
	}
	return pumping
}
