package task

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// kind says what an event is to the outbox.
type kind int

const (
	kindStarted kind = iota
	kindProgress
	kindRetrying // the end of an attempt that is not the last
	kindEnd      // the terminal event
	kindShortEnd // the same without its payload
	kindClose
)

// The last parts of the keys of events that a log has once.
var keys = map[kind]string{kindStarted: "started", kindEnd: "end", kindClose: "close"}

// item is an event in an outbox.
type item struct {
	Event
	kind     kind
	run      int           // of kindRetrying: the run that it ends
	progress *lastProgress // of kindProgress; nil in a repeated log
	until    time.Time     // it is left out later: it may be in the log, and its Key not be known any more; zero is never
}

// key is the last part of the key of an event that is not progress.
func (it item) key() string {
	if it.kind == kindRetrying {
		return strconv.Itoa(it.run) + ":retry"
	}
	return keys[it.kind]
}

// outbox holds the events of one task that are not known to be in its log yet,
// in order. Only Progress is subject to its bounds: the first event and the last
// two always fit.
type outbox struct {
	// Set once.
	id                  string // of the task
	maxEvents, maxBytes int
	total               *atomic.Int64 // bytes of data in the outboxes of all tasks

	mu        sync.Mutex
	queue     []item
	bytes     int  // of data in queue
	run       int  // number of the run, for keys
	reports   int  // progress events that were put in, for keys
	started   bool // task_started was put in, or never will be
	held      bool // no progress is taken for now: the task may be about to end
	sealed    bool // the last event was put in
	complete  bool // all was published after it was sealed
	repeating bool // the whole log was put in once more, and is not out yet
	dropped   bool // nothing is published any more: the task was deleted
	lost      bool // or, if this is set too, another process writes its log
	last      *lastProgress
	room      chan struct{} // of size 1; wakes the one Progress that waits

	pumping  bool               // a pump is at work: it alone takes from queue
	stopPump context.CancelFunc // ends the pump's context
	idle     chan struct{}      // closed when the pump ends; nil if none waits for it
}

// lastProgress is the latest progress, as Get shows it and as it was published.
type lastProgress struct {
	info ProgressInfo // Data is part of the event
	at   time.Time
}

// put appends it, unless nothing is published any more. The caller holds mu.
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
	o.total.Add(int64(n))
}

// begin opens the outbox for the progress of a run, and puts in its first events. It
// reports whether the caller must start the pump, as the methods below do.
func (o *outbox) begin(run int, first []item) (wake bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.run, o.started = run, true
	for _, it := range first {
		if it.kind == kindProgress {
			o.putProgress(it)
		} else {
			o.put(it, it.key())
		}
	}
	return !o.pumping
}

// putProgress appends a progress event. The caller holds mu.
func (o *outbox) putProgress(it item) {
	o.reports++
	o.put(it, strconv.Itoa(o.run)+":"+strconv.Itoa(o.reports))
	o.last = it.progress
}

// verdict is what became of an event that was offered.
type verdict int

const (
	taken   verdict = iota
	refused         // the task is over
	full            // wait for room
)

// offer puts in a progress event if there is room, else it says what to wait for.
func (o *outbox) offer(it item) (v verdict, wake bool, room <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sealed || o.dropped {
		return refused, false, nil
	}
	if o.held || len(o.queue) >= o.maxEvents || len(o.queue) > 0 && o.bytes+len(it.Data) > o.maxBytes {
		if o.room == nil {
			o.room = make(chan struct{}, 1)
		}
		return full, false, o.room
	}
	o.putProgress(it)
	return taken, !o.pumping, nil
}

// hold lets Progress wait, so that what the record says of it is the latest. It
// ends with release or seal.
func (o *outbox) hold() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.held = true
}

func (o *outbox) release() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.held = false
	o.wakeProgress()
}

// seal puts in the last events, if any; nothing may follow. The first event is put
// before them if it is given and was not put in before.
func (o *outbox) seal(started *item, end []item) (wake bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if started != nil && !o.started {
		o.put(*started, keys[kindStarted])
	}
	o.started, o.sealed = true, true
	for _, it := range end {
		o.put(it, it.key())
	}
	o.wakeProgress()
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
	if !o.repeating {
		o.repeating = true
		for i, it := range log {
			o.put(it, "r"+strconv.Itoa(i+1))
		}
	}
	if o.idle == nil {
		o.idle = make(chan struct{})
	}
	return o.idle, nil
}

// repeated is the outcome of repeat once the pump has ended.
func (o *outbox) repeated() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.dropped:
		return ErrNotFound
	case o.repeating:
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

// wakeProgress lets a waiting Progress look again. The caller holds mu.
func (o *outbox) wakeProgress() {
	if o.room != nil {
		select {
		case o.room <- struct{}{}:
		default:
		}
	}
}
