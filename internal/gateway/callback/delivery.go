package callback

import (
	"container/heap"
	"time"
)

// delivery is one disconnect in the queue.
type delivery struct {
	message  Message
	order    uint64 // by age
	since    time.Time
	after    time.Time // not to be tried before
	attempts int
	index    int // in items; -1 while it is in progress

	older, younger           *delivery
	share                    *addressShare // of its address; nil: not limited
	shareOlder, shareYounger *delivery
}

// link makes an item the youngest. The caller holds mu.
func (q *Queue) link(item *delivery) {
	q.linkShare(item)
	if item.older = q.youngest; q.youngest == nil {
		q.oldest = item
	} else {
		q.youngest.younger = item
	}
	q.youngest = item
}

// unlink takes an item out of the order of age. The caller holds mu.
func (q *Queue) unlink(item *delivery) {
	q.unlinkShare(item)
	if item.older == nil {
		q.oldest = item.younger
	} else {
		item.older.younger = item.younger
	}
	if item.younger == nil {
		q.youngest = item.older
	} else {
		item.younger.older = item.older
	}
	item.older, item.younger = nil, nil
}

// Disown removes a node's pending disconnects, and refuses those that come later;
// another node delivers them. Callbacks in progress are not cancelled.
func (q *Queue) Disown(node *Node) {
	for _, m := range q.takeAll(node) {
		q.opts.Disowned(m)
	}
}

// takeAll marks a node, and takes out what waits for its streams.
func (q *Queue) takeAll(node *Node) (taken []*Message) {
	q.mu.Lock()
	defer q.mu.Unlock()
	node.disowned.Store(true)
	for item := q.oldest; item != nil; {
		next := item.younger
		if item.message.Node == node && item.index >= 0 {
			heap.Remove(&q.items, item.index)
			q.unlink(item)
			taken = append(taken, &item.message)
		}
		item = next
	}
	q.checkDone()
	return taken
}

// Depth is how many disconnects wait or are in progress.
func (q *Queue) Depth() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.items) + q.active
}

// checkDone ends drain if nothing is left. The caller holds mu.
func (q *Queue) checkDone() {
	if q.done != nil && len(q.items)+q.active == 0 {
		close(q.done)
		q.done = nil
	}
}

// next takes what is due, or says how long nothing will be. It takes mu itself.
func (q *Queue) next() (item *delivery, wait time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.items) == 0 {
		return nil, time.Hour
	}
	if q.failures > 0 && q.active >= probes {
		return nil, time.Hour // until one of those in progress ends
	}
	if !q.opts.Ready() {
		return nil, suspendedPause
	}
	now, due := time.Now(), q.items[0].after
	if q.pausedUntil.After(due) {
		due = q.pausedUntil
	}
	if due.After(now) {
		return nil, due.Sub(now)
	}
	q.active++
	return heap.Pop(&q.items).(*delivery), 0
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
	d[i].index, d[j].index = i, j
}

// Push implements heap.Interface.
func (d *deliveries) Push(x any) {
	item := x.(*delivery)
	item.index = len(*d)
	*d = append(*d, item)
}

// Pop implements heap.Interface.
func (d *deliveries) Pop() any {
	old := *d
	item := old[len(old)-1]
	old[len(old)-1] = nil
	*d = old[:len(old)-1]
	item.index = -1
	return item
}
