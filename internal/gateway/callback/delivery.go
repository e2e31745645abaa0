package callback

import (
	"time"

	"tidegate/internal/heap"
)

// delivery is one disconnect in the queue.
type delivery struct {
	heap.Place // in items; in none while it is in progress
	message    Message
	order      uint64 // by age
	since      time.Time
	after      time.Time // not to be tried before
	attempts   int

	age     links         // among all
	share   *addressShare // of its address; nil: not limited
	inShare links         // among those of its address
}

// links are the neighbours of a delivery in an ageList.
type links struct{ older, younger *delivery }

// ageList is a linked list of deliveries, by age. of returns the links that it uses.
type ageList struct {
	oldest, youngest *delivery
	of               func(*delivery) *links
}

// add makes an item the youngest.
func (l *ageList) add(item *delivery) {
	if l.of(item).older = l.youngest; l.youngest == nil {
		l.oldest = item
	} else {
		l.of(l.youngest).younger = item
	}
	l.youngest = item
}

// remove takes an item out.
func (l *ageList) remove(item *delivery) {
	at := l.of(item)
	if at.older == nil {
		l.oldest = at.younger
	} else {
		l.of(at.older).younger = at.younger
	}
	if at.younger == nil {
		l.youngest = at.older
	} else {
		l.of(at.younger).older = at.older
	}
	*at = links{}
}

// oldestWaiting is the oldest item that is not in progress; nil if there is none.
func (l *ageList) oldestWaiting() *delivery {
	item := l.oldest
	for item != nil && !item.InHeap() { // there are few of these
		item = l.of(item).younger
	}
	return item
}

// link makes an item the youngest. The caller holds mu.
func (q *Queue) link(item *delivery) {
	q.joinShare(item)
	q.byAge.add(item)
}

// unlink takes an item out of the order of age. The caller holds mu.
func (q *Queue) unlink(item *delivery) {
	q.leaveShare(item)
	q.byAge.remove(item)
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
	for item := q.byAge.oldest; item != nil; {
		next := item.age.younger
		if item.message.Node == node && item.InHeap() {
			q.items.Remove(item)
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
	return q.items.Len() + q.active
}

// checkDone ends drain if nothing is left. The caller holds mu.
func (q *Queue) checkDone() {
	if q.done != nil && q.items.Len()+q.active == 0 {
		close(q.done)
		q.done = nil
	}
}

// next takes what is due, or says how long nothing will be. It takes mu itself.
func (q *Queue) next() (item *delivery, wait time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.items.Len() == 0 {
		return nil, time.Hour
	}
	if q.failures > 0 && q.active >= probes {
		return nil, time.Hour // until one of those in progress ends
	}
	if !q.opts.Ready() {
		return nil, suspendedPause
	}
	now, due := time.Now(), q.items.First().after
	if q.pausedUntil.After(due) {
		due = q.pausedUntil
	}
	if due.After(now) {
		return nil, due.Sub(now)
	}
	q.active++
	return q.items.Pop(), 0
}

// Before implements [heap.Item]: by when the item is due, then by age.
func (d *delivery) Before(other *delivery) bool {
	if !d.after.Equal(other.after) {
		return d.after.Before(other.after)
	}
	return d.order < other.order
}
