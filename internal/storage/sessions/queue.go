package sessions

import (
	"context"
	"slices"
	"sync"
	"time"

	"tidegate/internal/backoff"
)

// recordKey names a record: the node, and a hash of the token.
type recordKey struct {
	node string
	hash [16]byte
}

// change is a record that is to be written or deleted.
type change struct {
	key    recordKey
	record []byte        // nil: delete it
	done   chan struct{} // closed when the change was made, or never will be

	busy        bool // being written now
	tried       bool // it was, and the record may be there
	deleteAfter bool // delete the record once it is known to be there
	gone        bool // not to be done any more
}

// queue holds the changes that have not been made yet. A record has one change at a time:
// its outcome is known before the next begins, so that a deleted record cannot come back.
// Puts and deletes have a line each, and take turns: a delete, which makes room, never
// waits for a put, which needs it.
type queue struct {
	maxPuts int
	wake    chan struct{} // size 1: there may be something to do

	mu          sync.Mutex
	changes     map[recordKey]*change // guarded by mu, like all below
	putLine     line
	deleteLine  line
	puts        int // changes with a record, in line or being made
	deletes     int
	lastDeleted bool          // the last change that was begun was a delete
	room        chan struct{} // closed when there is room for a record again; nil while there is
	longest     time.Duration // of a pause
	empty       chan struct{} // closed when nothing is left; nil while nobody waits
}

// line is the changes of one kind that wait, first in first out. While the engine is
// away, all wait and few are tried.
type line struct {
	changes []*change
	gone    int // of those, as cancel left them
	busy    int
	paused  time.Time // nothing is done before this
	misses  int       // pauses in a row
}

func newQueue(maxPuts int) *queue {
	return &queue{
		maxPuts: maxPuts, wake: make(chan struct{}, 1),
		changes: map[recordKey]*change{}, longest: maxPause,
	}
}

// put queues a record and returns a channel that is closed when it has been written. If
// there is no room it returns false, and a channel that is closed when there may be.
func (q *queue) put(key recordKey, record []byte) (<-chan struct{}, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if c := q.changes[key]; c != nil { // a token is recorded once
		return c.done, true
	}
	if q.puts >= q.maxPuts {
		if q.room == nil {
			q.room = make(chan struct{})
		}
		return q.room, false
	}
	q.puts++
	return q.add(&change{key: key, record: record}), true
}

// delete queues the deletion of a record. It returns nil if most others wait for theirs.
func (q *queue) delete(key recordKey, most int) *change {
	q.mu.Lock()
	defer q.mu.Unlock()
	c := q.changes[key]
	switch {
	case c == nil && q.deletes >= most:
		return nil
	case c == nil:
		q.deletes++
		c = &change{key: key}
		q.add(c)
	case c.record != nil && !c.busy && !c.tried:
		q.cancel(c)
	case c.record != nil:
		c.deleteAfter = true
	}
	return c
}

// cancel finishes a change that is in line. The change stays there until next skips it,
// unless there are too many: next comes slowly while the engine is away.
func (q *queue) cancel(c *change) {
	c.gone = true
	q.finish(c)
	q.checkEmpty()
	line := q.lineOf(c)
	if line.gone++; line.gone > max(1024, len(line.changes)/2) {
		line.changes = slices.DeleteFunc(line.changes, func(c *change) bool { return c.gone })
		line.gone = 0
	}
}

func (q *queue) lineOf(c *change) *line {
	if c.record == nil {
		return &q.deleteLine
	}
	return &q.putLine
}

func (q *queue) add(c *change) <-chan struct{} {
	c.done = make(chan struct{})
	q.changes[c.key] = c
	line := q.lineOf(c)
	line.changes = append(line.changes, c)
	q.notify()
	return c.done
}

// finish drops a change that was made, or never will be. q.mu is held.
func (q *queue) finish(c *change) {
	delete(q.changes, c.key)
	close(c.done)
	if c.record == nil {
		q.deletes--
	} else if q.puts--; q.room != nil {
		close(q.room)
		q.room = nil
	}
}

func (q *queue) checkEmpty() {
	if q.empty != nil && len(q.changes) == 0 {
		close(q.empty)
		q.empty = nil
	}
}

func (q *queue) notify() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// waiting is how many records are to be written, and to be deleted.
func (q *queue) waiting() (puts, deletes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.puts, q.deletes
}

// dispatch hands out what is to be done, until ctx ends.
func (q *queue) dispatch(ctx context.Context, due chan<- *change) {
	defer close(due)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		c, wait := q.next()
		if c != nil {
			select {
			case due <- c:
				continue
			case <-ctx.Done():
				return
			}
		}
		timer.Reset(wait)
		select {
		case <-q.wake:
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
}

// next takes what is to be done next, or says how long nothing will be.
func (q *queue) next() (*change, time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	first, second := &q.deleteLine, &q.putLine
	if q.lastDeleted {
		first, second = second, first
	}
	c, wait := first.next()
	if c == nil {
		var other time.Duration
		c, other = second.next()
		wait = min(wait, other)
	}
	if c == nil {
		return nil, wait
	}
	q.lastDeleted = c.record == nil
	return c, 0
}

// next is queue.next for one line.
func (l *line) next() (*change, time.Duration) {
	for len(l.changes) > 0 && l.changes[0].gone {
		l.changes = l.changes[1:]
		l.gone--
	}
	if len(l.changes) == 0 {
		l.changes = nil // frees the memory of a long line
		return nil, time.Hour
	}
	if l.misses > 0 && l.busy >= probes {
		return nil, time.Hour // until one of those comes back
	}
	if wait := time.Until(l.paused); wait > 0 {
		return nil, wait
	}
	c := l.changes[0]
	l.changes[0] = nil
	l.changes = l.changes[1:]
	c.busy = true
	l.busy++
	return c, 0
}

// resolve notes how a change went. If again, its outcome is unknown and it has to be made
// again; if failed, it will never be made.
func (q *queue) resolve(c *change, again, failed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	defer q.notify()
	line := q.lineOf(c)
	c.busy = false
	line.busy--
	switch now := time.Now(); {
	case !again:
		line.misses, line.paused = 0, time.Time{}
	case !now.Before(line.paused): // changes that were made together count as one failure
		line.misses++
		line.paused = now.Add(backoff.Exponential(line.misses, firstPause, q.longest))
	}
	if again {
		c.tried = true
		line.changes = append(line.changes, c)
		return
	}
	q.finish(c)
	// What is refused now may have been written by a try without an answer.
	if c.deleteAfter && (!failed || c.tried) {
		q.deletes++
		q.add(&change{key: c.key})
	}
	q.checkEmpty()
}

// resume ends pauses: the engine has answered.
func (q *queue) resume() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.putLine.paused, q.deleteLine.paused = time.Time{}, time.Time{}
	q.notify()
}

// hurry shortens pauses, for the end, and returns a channel that is closed when nothing is
// left.
func (q *queue) hurry() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.longest, q.putLine.paused, q.deleteLine.paused = firstPause, time.Time{}, time.Time{}
	q.notify()
	empty := make(chan struct{})
	q.empty = empty
	q.checkEmpty()
	return empty
}
