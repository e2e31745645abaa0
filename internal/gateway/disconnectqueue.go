package gateway

import (
	"container/heap"
	"time"
)

// delivery is one disconnect on its way.
type delivery struct {
	body     callback
	order    uint64
	since    time.Time
	after    time.Time // not before
	attempts int
	at       int // index in items; -1 while it is being told
	previous *delivery
	next     *delivery
	of       *addressPart // of its address; nil for one that is not limited
	older    *delivery    // of the same address
	younger  *delivery
}

// link makes an item the youngest.
func (d *disconnects) link(item *delivery) {
	d.join(item)
	if item.previous = d.last; d.last == nil {
		d.first = item
	} else {
		d.last.next = item
	}
	d.last = item
}

// disown takes out what is still to be told of streams of a node, for others to
// tell.
func (d *disconnects) disown(node *identity) {
	d.mu.Lock()
	defer d.mu.Unlock()
	node.disowned.Store(true)
	for item := d.first; item != nil; {
		next := item.next
		if item.body.node == node && item.at >= 0 {
			heap.Remove(&d.items, item.at)
			d.unlink(item)
			d.call.requests.Release(item.body.request)
		}
		item = next
	}
	d.checkDone()
}

// unlink takes an item out of the order of age.
func (d *disconnects) unlink(item *delivery) {
	d.part(item)
	if item.previous == nil {
		d.first = item.next
	} else {
		item.previous.next = item.next
	}
	if item.next == nil {
		d.last = item.previous
	} else {
		item.next.previous = item.previous
	}
	item.previous, item.next = nil, nil
}

func (d *disconnects) depth() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.items) + d.out
}

func (d *disconnects) checkDone() {
	if d.done != nil && len(d.items)+d.out == 0 {
		close(d.done)
		d.done = nil
	}
}

// next takes what is due, or says how long nothing will be.
func (d *disconnects) next() (item *delivery, wait time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.items) == 0 {
		return nil, time.Hour
	}
	if d.misses > 0 && d.out >= probes {
		return nil, time.Hour // until one of those that are out comes back
	}
	if !d.steady() {
		return nil, unsteadyPause
	}
	now, due := time.Now(), d.items[0].after
	if d.paused.After(due) {
		due = d.paused
	}
	if due.After(now) {
		return nil, due.Sub(now)
	}
	d.out++
	return heap.Pop(&d.items).(*delivery), 0
}

// deliveries is a heap by when an item is due, then by age.
type deliveries []*delivery

func (d deliveries) Len() int { return len(d) }

func (d deliveries) Less(i, j int) bool {
	if !d[i].after.Equal(d[j].after) {
		return d[i].after.Before(d[j].after)
	}
	return d[i].order < d[j].order
}

func (d deliveries) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].at, d[j].at = i, j
}

// Push implements heap.Interface.
func (d *deliveries) Push(x any) {
	item := x.(*delivery)
	item.at = len(*d)
	*d = append(*d, item)
}

// Pop implements heap.Interface.
func (d *deliveries) Pop() any {
	old := *d
	item := old[len(old)-1]
	old[len(old)-1] = nil
	*d = old[:len(old)-1]
	item.at = -1
	return item
}
