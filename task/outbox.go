package task

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
)

// kind says what an event is to the outbox.
type kind int

const (
	kindStarted kind = iota
	kindProgress
	kindEnd      // the terminal event
	kindShortEnd // the same without its payload
	kindClose
)

// item is an event in an outbox.
type item struct {
	Event
	kind kind
}

// outbox holds the events of one task that are not known to be in its log yet,
// in order. Only Progress is subject to its bounds: the first event and the last
// two always fit.
type outbox struct {
	// Set once.
	id                  string // of the task
	maxEvents, maxBytes int
	held                *atomic.Int64 // bytes of data in the outboxes of all tasks

	mu      sync.Mutex
	queue   []item
	bytes   int  // of data in queue
	count   int  // events that were ever put in, for their keys
	started bool // task_started was put in, or never will be
	sealed  bool // the last event was put in
	again   bool // the whole log was put in once more, and is not out yet
	dropped bool // the task was forgotten: nothing is published any more
	last    *lastProgress
	room    chan struct{} // of size 1; wakes the one Progress that waits

	pumping  bool               // a pump is at work: it alone takes from queue
	stopPump context.CancelFunc // ends the pump's context
	idle     chan struct{}      // closed when the pump ends; nil if nobody waits for it
}

// lastProgress is the latest progress, as Get shows it and as it was published.
type lastProgress struct {
	info  ProgressInfo // Data is part of event
	event []byte
}

// put appends it, unless nobody is to see it. The caller holds mu.
func (o *outbox) put(it item, key string) {
	if o.dropped {
		return
	}
	it.Key = o.id + ":" + key
	o.queue = append(o.queue, it)
	o.grow(len(it.Data))
}

// grow counts n bytes more, or less. The caller holds mu.
func (o *outbox) grow(n int) {
	o.bytes += n
	o.held.Add(int64(n))
}

// putNext appends it with the next key. The caller holds mu.
func (o *outbox) putNext(it item) {
	o.count++
	o.put(it, strconv.Itoa(o.count))
}

// begin puts in the first event, unless the task is over already. wake says that
// a pump is needed; so in the methods below.
func (o *outbox) begin(started item) (wake bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sealed {
		return false
	}
	o.started = true
	o.putNext(started)
	return !o.pumping
}

// verdict is what became of an event that was offered.
type verdict int

const (
	taken   verdict = iota
	refused         // the task is over
	full            // wait for room
)

// offer puts in a progress event if there is room, else it says what to wait for.
func (o *outbox) offer(event []byte, info ProgressInfo) (v verdict, wake bool, room <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sealed {
		return refused, false, nil
	}
	if len(o.queue) >= o.maxEvents || len(o.queue) > 0 && o.bytes+len(event) > o.maxBytes {
		if o.room == nil {
			o.room = make(chan struct{}, 1)
		}
		return full, false, o.room
	}
	o.putNext(item{kind: kindProgress, Event: Event{Name: EventTask, Data: event}})
	o.last = &lastProgress{info: info, event: event}
	return taken, !o.pumping, nil
}

// seal puts in the last events; nothing may follow. The first event is put before
// them if the task ran but did not come to say so itself.
func (o *outbox) seal(started *item, end []item) (wake bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if started != nil && !o.started {
		o.putNext(*started)
	}
	o.started, o.sealed = true, true
	for _, it := range end {
		o.putNext(it)
	}
	return !o.pumping
}

// repeat puts in the whole log of a final task once more, with keys of its own.
// They are the same each time, so that a repeat of the repeat is harmless too.
// It returns a channel that closes when the pump ends; then ask repeated. Before
// the log has its last event it is ErrNotFound: the repeat must not come first.
func (o *outbox) repeat(log []item) (idle <-chan struct{}, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.dropped || !o.sealed {
		return nil, ErrNotFound
	}
	if !o.again {
		o.again = true
		for i, it := range log {
			o.put(it, "r"+strconv.Itoa(i+1))
		}
	}
	if o.idle == nil {
		o.idle = make(chan struct{})
	}
	return o.idle, nil
}

// repeated tells a caller of repeat, once the pump has ended, how it went.
func (o *outbox) repeated() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.dropped:
		return ErrNotFound
	case o.again:
		return ErrStopping
	default:
		return nil
	}
}

// progress returns the latest progress, or nil.
func (o *outbox) progress() *lastProgress {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.last
}

// kept returns how many bytes stay when all is published.
func (o *outbox) kept() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.last == nil {
		return 0
	}
	return len(o.last.event)
}

// claim makes the caller the pump if one is needed.
func (o *outbox) claim(stop context.CancelFunc) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.pumping || len(o.queue) == 0 || o.dropped {
		return false
	}
	o.pumping, o.stopPump = true, stop
	return true
}

// ending says why a pump ends.
type ending int

const (
	notEnded    ending = iota
	endIdle            // nothing to publish for now, or the service stopped
	endComplete        // the log is complete
	endDropped         // the task was forgotten while the pump was at work
)

// take returns the next batch for the pump, still held: up to events events and
// bytes bytes of data, but at least one. With any ending but notEnded the pump has
// ended, and the next event needs another.
func (o *outbox) take(events, bytes int, stop bool) ([]item, ending) {
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
func (o *outbox) endPump() ending {
	o.pumping, o.stopPump = false, nil
	if o.idle != nil {
		close(o.idle)
		o.idle = nil
	}
	switch {
	case o.dropped:
		return endDropped
	case o.sealed && len(o.queue) == 0:
		return endComplete
	default:
		return endIdle
	}
}

// done forgets the n oldest events: they are in the log.
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
		o.queue, o.again = nil, false
	}
	o.wakeProgress()
}

// wakeProgress lets a waiting Progress look again. The caller holds mu.
func (o *outbox) wakeProgress() {
	if o.room != nil {
		select {
		case o.room <- struct{}{}:
		default:
		}
	}
}

// drop throws away what is left. It reports whether a pump is still at work;
// that one is told to stop, and is the last to touch the log.
func (o *outbox) drop() (pumping bool) {
	o.mu.Lock()
	o.dropped = true
	o.grow(-o.bytes)
	o.queue = nil
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
