package topic

import (
	"context"
	"sync"
	"time"

	"tidegate/internal/heap"
)

// DropReason is the bound by which an event was dropped from its log.
type DropReason string

// The reasons.
const (
	DropEvents  DropReason = "events"  // the namespace's count
	DropBytes   DropReason = "bytes"   // the namespace's bytes
	DropAge     DropReason = "age"     // the namespace's age
	DropMemory  DropReason = "memory"  // Options.MaxBytes, over all topics
	DropIdle    DropReason = "idle"    // Options.Idle; the store still has them
	DropDeleted DropReason = "deleted" // the topic was deleted
)

// DropReasons lists them all.
func DropReasons() []DropReason {
	return []DropReason{DropEvents, DropBytes, DropAge, DropMemory, DropIdle, DropDeleted}
}

// trim applies all bounds after an append to l.
func (h *Hub) trim(l *log, now time.Time) {
	for why := l.exceeded(now); why != ""; why = l.exceeded(now) {
		h.drop(l, why)
	}
	h.makeRoom()
}

// About how many bytes an event and a topic take besides the text: pointers, unused memory,
// and for a topic its name in the maps.
const (
	eventCost = 176
	topicCost = 640
)

// memory is about how many bytes all that is held takes.
func (h *Hub) memory() int64 {
	return h.bytes + h.bytes/16 + int64(h.events)*eventCost + int64(h.nonEmpty)*topicCost
}

// makeRoom applies the bound over all topics.
func (h *Hub) makeRoom() {
	for h.events > 1 && h.memory() > h.opts.MaxBytes {
		// The log that was used most recently drops events last.
		oldest := h.recent.front()
		h.drop(oldest, DropMemory)
		if oldest.held() == 0 && oldest.streams() == 0 && h.opts.Store == nil {
			oldest.forgotten = oldest.last
		}
		h.release(oldest)
	}
}

// drop removes the oldest event of l. If it is removed only to free memory, the store, if
// there is one, keeps it.
func (h *Hub) drop(l *log, why DropReason) {
	e := h.pop(l)
	if (why == DropMemory || why == DropIdle) && h.opts.Store != nil {
		l.cold, l.before = e.seq+1, e.seq
	} else {
		l.lose(e.seq)
	}
	h.dropped[why]++
}

// pop removes the oldest event of l.
func (h *Hub) pop(l *log) event {
	e := l.pop()
	h.bytes -= int64(e.frame.Len())
	h.events--
	if l.held() == 0 {
		h.nonEmpty--
		h.recent.remove(l)
	}
	return e
}

// empty drops all that l holds.
func (h *Hub) empty(l *log, why DropReason) {
	for l.held() > 0 {
		h.drop(l, why)
	}
}

// maxPause bounds how much longer than its age an event is kept in a quiet log.
const maxPause = time.Second

// Run fans events of large topics out, and drops events that reach their age, until ctx
// ends.
func (h *Hub) Run(ctx context.Context) error {
	var fanningOut sync.WaitGroup
	fanningOut.Go(func() { h.runFanOuts(func() bool { return ctx.Err() != nil }) })
	defer fanningOut.Wait()
	defer func() {
		h.mu.Lock() // otherwise runFanOuts may check before, and wait after
		defer h.mu.Unlock()
		h.fanOuts.some.Broadcast()
	}()
	tick := time.NewTicker(maxPause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			for h.expire(now) || h.leaveIdle(now) {
			}
		}
	}
}

// expireStep bounds the logs that are checked under one hold of the lock.
const expireStep = 256

// expire drops events that are too old, and reports whether there may be more.
func (h *Hub) expire(now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.keys.expire(now)
	for range expireStep {
		if h.expiry.Len() == 0 || h.expiry.First().expires > now.UnixNano() {
			return false
		}
		l := h.expiry.First()
		for l.exceeded(now) == DropAge {
			h.drop(l, DropAge)
		}
		h.expiry.update(l)
		h.release(l)
	}
	return true
}

// idleStep bounds the events that are dropped under one hold of the lock.
const idleStep = 4096

// leaveIdle leaves topics to the store that were not used for Options.Idle, and reports
// whether there may be more.
func (h *Hub) leaveIdle(now time.Time) bool {
	if h.opts.Idle <= 0 || h.opts.Store == nil {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	enough := h.events - idleStep
	for range expireStep {
		l := h.recent.front()
		if l == nil || l.used+int64(h.opts.Idle) > now.UnixNano() {
			return false
		}
		if l.streams() > 0 || l.pins > 0 {
			h.recent.touch(l, now)
			continue
		}
		h.empty(l, DropIdle)
		h.release(l)
		if h.events < enough {
			break
		}
	}
	return true
}

// expiries orders logs by when their oldest event expires. A key may be too early, if its
// event was dropped for another reason; expire corrects it then.
type expiries struct{ heap.Heap[*log] }

// Before implements [heap.Item].
func (l *log) Before(other *log) bool { return l.expires < other.expires }

// update moves l to where its oldest event belongs. A log with a key that is too early
// stays where it is, so that appends cost nothing.
func (h *expiries) update(l *log) {
	due, ok := l.due()
	switch {
	case !ok:
		h.Remove(l)
	case !l.InHeap():
		l.expires = due
		h.Push(l)
	case l.expires <= time.Now().UnixNano():
		l.expires = due
		h.Fix(l)
	}
}

// recency lists the logs that hold events, least recently used first: appended to, or read
// back. It is linked through the logs, so moving one allocates nothing.
type recency struct{ root log }

func (l *recency) init() { l.root.prev, l.root.next = &l.root, &l.root }

// front is the least recently used log, nil if there is none.
func (l *recency) front() *log {
	if l.root.next == &l.root {
		return nil
	}
	return l.root.next
}

// touch makes a log the most recently used one.
func (l *recency) touch(t *log, now time.Time) {
	t.used = now.UnixNano()
	if t.next != nil {
		l.remove(t)
	}
	last := l.root.prev
	last.next, t.prev, t.next, l.root.prev = t, last, &l.root, t
}

func (l *recency) remove(t *log) {
	t.prev.next, t.next.prev = t.next, t.prev
	t.prev, t.next = nil, nil
}
