package eventlog

import (
	"context"
	"sync"
	"time"

	"tidegate/internal/topic"
)

// appendBatch is one call of AppendAll. Its events are in flight together. When something
// becomes known of one, the caller's goroutine goes on with it. Only requests that have to
// wait for the server run in goroutines of their own.
type appendBatch struct {
	l       *Log
	ctx     context.Context
	entries []topic.Entry
	results []topic.Result
	lanes   map[string]*lane // by topic; nil for a single event
	wake    chan struct{}    // size 1: changed is not empty
	changed []*inflightEvent // guarded by the lock of inflight

	// Of the events that are on their way now.
	events  []*inflightEvent
	left    int // not answered yet
	reply   string
	updates []update
	timer   *time.Timer // nil before the first due
	timerAt time.Time   // when it fires; zero: it does not
	asked   chan topicResult
	asking  sync.WaitGroup
}

// lane is the events of one topic. They are published one after the other.
type lane struct {
	topic.Sequence
	rest []*inflightEvent
}

// progress is how far an event is.
type progress struct {
	state      appendState
	try        appendTry
	lane       *lane
	size       int64
	due        time.Time // when sent, paused or counting ends
	failure    error     // of the last try
	duplicate  bool      // the server had stored its id before
	seq        uint64    // its position, as the server said
	passedTurn bool      // the next event of its topic may be published
}

type appendState int

const (
	queued       appendState = iota
	sent                     // the server has not answered
	paused                   // until it is published again
	acknowledged             // the tail has not come to it
	inquiring                // the server is asked something about it
	counting                 // other nodes have not reported their receivers
	answered
)

// topicResult is the answer to a request about an event.
type topicResult struct {
	event  *inflightEvent
	result topic.Result
}

func newAppendBatch(ctx context.Context, l *Log, entries []topic.Entry) *appendBatch {
	a := &appendBatch{
		l: l, ctx: ctx, entries: entries, results: make([]topic.Result, len(entries)), wake: make(chan struct{}, 1),
	}
	if len(entries) > 1 {
		a.lanes = make(map[string]*lane)
	}
	return a
}

// appendSome stores the next events, and returns how many.
func (a *appendBatch) appendSome(from int) int {
	n, bytes := a.take(from)
	if err := a.start(bytes); err != nil {
		for i := range n {
			a.results[from+i] = topic.Result{Err: err}
			if a.lanes != nil {
				a.events[i].lane.Took(a.results[from+i])
			}
		}
		return n
	}
	a.run()
	a.l.inflight.leave(a.events)
	return n
}

// take puts as many events into lanes as may be on their way together.
func (a *appendBatch) take(from int) (n int, bytes int64) {
	left := a.entries[from:]
	all := make([]inflightEvent, min(len(left), maxTogether))
	a.events = a.events[:0]
	for n < len(all) {
		size := a.l.quota.sizeOf(&left[n])
		if n > 0 && bytes+size > a.l.quota.most/4 {
			break
		}
		w := &all[n]
		w.owner, w.number, w.size = a, from+n, size
		if a.lanes != nil {
			name := left[n].Topic
			if a.lanes[name] == nil {
				a.lanes[name] = new(lane)
			}
			w.lane = a.lanes[name]
		}
		a.events = append(a.events, w)
		bytes += size
		n++
	}
	return n, bytes
}

// start waits for room for the events and enters them as in flight. On an error none is.
func (a *appendBatch) start(bytes int64) (err error) {
	l := a.l
	if err := l.e.Writable(); err != nil {
		return err
	}
	node := l.opts.Node()
	if err := l.listen(node); err != nil {
		return err
	}
	if a.reply, err = l.acks.open(l); err != nil {
		return err
	}
	if err := l.quota.enter(a.ctx, len(a.events), bytes); err != nil {
		return err
	}
	l.inflight.enter(a.events, node, l.opts.Others())
	return nil
}

// run publishes the events and waits until all are answered.
func (a *appendBatch) run() {
	a.left = len(a.events)
	var first []*inflightEvent // of each topic
	for _, w := range a.events {
		switch {
		case w.lane == nil:
			first = a.events
		case w.lane.rest == nil:
			w.lane.rest = make([]*inflightEvent, 0, 4)
			first = append(first, w)
		default:
			w.lane.rest = append(w.lane.rest, w)
		}
	}
	for _, w := range first {
		a.begin(w)
	}
	a.wait()
	a.asking.Wait()
	for _, w := range first {
		if w.lane != nil {
			w.lane.rest = nil
		}
	}
}

func (a *appendBatch) wait() {
	gone, alarm := a.ctx.Done(), (<-chan time.Time)(nil)
	for a.left > 0 {
		if a.timer != nil {
			alarm = a.timer.C
		}
		select {
		case <-a.wake:
			a.updates = a.l.inflight.updates(a, a.updates[:0])
			for _, n := range a.updates {
				a.onUpdate(n)
			}
		case r := <-a.asked:
			a.finish(r.event, r.result)
		case <-alarm:
			a.tick(time.Now())
		case <-gone:
			gone = nil
			a.abandon(context.Cause(a.ctx))
		}
	}
	clear(a.updates)
	if a.timer != nil {
		a.timer.Stop()
		a.timer, a.timerAt = nil, time.Time{}
	}
}
