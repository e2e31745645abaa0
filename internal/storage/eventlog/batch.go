package eventlog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"tidegate/internal/topic"
)

// appending is one AppendAll. Its events are in flight together, and all that is
// done for them is done by the goroutine that has called it, when it hears of
// them, except for what has to be asked of the server beside.
type appendBatch struct {
	l       *Log
	ctx     context.Context
	entries []topic.Entry
	results []topic.Result
	lanes   map[string]*lane // by topic; nil for a single event
	wake    chan struct{}    // size 1: changed is not empty
	changed []*inflightEvent // guarded by the lock of inflight

	// Of those that are on their way now.
	events  []*inflightEvent
	left    int // not answered yet
	reply   string
	updates []update
	timer   *time.Timer // nil before the first due
	timerAt time.Time   // when it goes off; zero: it does not
	asked   chan topicResult
	asking  sync.WaitGroup
}

// lane is the events of one topic, which take turns.
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
	duplicate  bool      // the server knew its id
	seq        uint64    // where the server said it is
	passedTurn bool      // the next one of its topic has had its turn
}

type appendState int

const (
	queued       appendState = iota
	sent                     // the server has not answered
	paused                   // it is published again
	acknowledged             // the tail has not come to it
	inquiring                // something is asked of the server
	counting                 // other nodes have not told of their streams
	answered
)

// topicResult is what was found out about an event.
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

// some stores the next events, and returns how many they are.
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

// take lines up as many events as may be on their way together.
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

// start waits for room for the events and enters them. On an error none is entered.
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

// hear goes on with an event of which something has become known.
func (a *appendBatch) onUpdate(n update) {
	w := n.event
	came := n.resolved && n.err == nil // whatever was answered to a try
	if n.answer != nil && !came && (w.state == sent || w.state == paused) {
		a.answer(w, *n.answer)
	}
	if n.resolved && (w.state == sent || w.state == paused || w.state == acknowledged) {
		a.onResolved(w, n)
	}
	if n.counted && w.state == counting {
		a.finish(w, topic.Result{Appended: a.l.inflight.total(w)})
	}
}

// answer takes what the server has said.
func (a *appendBatch) answer(w *inflightEvent, ack pubAck) {
	if ack.err != nil {
		if w.state == sent { // else it is of a try that was given up
			a.tryFailed(w, ack.err)
		}
		return
	}
	w.state, w.duplicate, w.seq = acknowledged, ack.duplicate, ack.seq
	if !ack.duplicate || a.entries[w.number].Key == "" { // else it may be another one's
		a.passTurn(w, topic.Result{Appended: topic.Appended{Seq: ack.seq}})
	}
}

// settled is when the tail has come to an event, or is past it.
func (a *appendBatch) onResolved(w *inflightEvent, n update) {
	e := a.entries[w.number]
	switch {
	case n.err == nil:
		a.l.tally.add(func(s *Stats) { s.Appends++ })
		a.passTurn(w, topic.Result{Appended: a.l.inflight.total(w)})
		w.state, w.due = counting, time.Now().Add(a.l.opts.countWait)
		if n.counted {
			a.finish(w, topic.Result{Appended: a.l.inflight.total(w)})
			return
		}
		a.wakeAt(w.due)
	case e.Key != "" && w.duplicate && errors.Is(n.err, errPassed):
		a.ask(w, func() topic.Result {
			got, err := a.l.repeat(a.ctx, w.seq, e)
			return topic.Result{Appended: got, Err: err}
		})
	case a.l.inflight.total(w).Seq != 0: // the hub has refused it
		a.ask(w, func() topic.Result {
			a.l.removeRefused(a.ctx, a.l.inflight.total(w).Seq)
			return topic.Result{Err: n.err}
		})
	default:
		a.finish(w, topic.Result{Err: n.err})
	}
}

// maxInquiries bounds what is asked of the server at once, beside events.
const maxInquiries = 16

// ask finds out about an event beside the others.
func (a *appendBatch) ask(w *inflightEvent, find func() topic.Result) {
	w.state = inquiring
	if a.asked == nil {
		a.asked = make(chan topicResult)
	}
	a.asking.Go(func() {
		a.l.inquiries <- struct{}{}
		r := find()
		<-a.l.inquiries
		a.asked <- topicResult{w, r} // wait takes it: the event is not answered before
	})
}

// finish answers an event.
func (a *appendBatch) finish(w *inflightEvent, r topic.Result) {
	w.state = answered
	a.results[w.number] = r
	a.left--
	a.l.quota.leave(1, w.size)
	a.passTurn(w, r)
}

// tookTurn has the next event of the topic have its turn, once.
func (a *appendBatch) passTurn(w *inflightEvent, r topic.Result) {
	switch {
	case w.lane == nil:
	case w.passedTurn && topic.Retryable(r.Err): // it was lost after it had been stored
		w.lane.Took(r)
	case !w.passedTurn:
		w.passedTurn = true
		w.lane.Took(r)
		a.next(w.lane)
	}
}

// next begins the next event of a topic, or refuses all that are left.
func (a *appendBatch) next(l *lane) {
	for len(l.rest) > 0 {
		w := l.rest[0]
		l.rest = l.rest[1:]
		if w.state != queued {
			continue // it was given up
		}
		err := l.Refused()
		if err == nil {
			a.begin(w)
			return
		}
		w.passedTurn = true
		a.finish(w, topic.Result{Err: err})
	}
}

func (a *appendBatch) begin(w *inflightEvent) {
	e := a.entries[w.number]
	if w.lane != nil {
		if err := w.lane.Refused(); err != nil {
			a.finish(w, topic.Result{Err: err})
			return
		}
		w.lane.Next(&e)
	}
	w.try = newTry(e, w.ref)
	a.publish(w)
}

// publish sends an event to the server, which answers later.
func (a *appendBatch) publish(w *inflightEvent) {
	w.state, w.due = sent, time.Now().Add(tryTimeout)
	msg := w.try.message(a.l.e)
	err := a.l.fits(msg)
	if err == nil {
		msg.Reply = a.reply + w.ref.number()
		err = a.l.e.Conn().PublishMsg(msg)
	}
	if err != nil {
		a.tryFailed(w, err)
		return
	}
	a.wakeAt(w.due)
}

// tryFailed is when a try was not stored, or nobody knows.
func (a *appendBatch) tryFailed(w *inflightEvent, err error) {
	verdict, err := a.l.again(&w.try, err)
	switch {
	case verdict == tryNow:
		a.publish(w)
	case verdict == tryLater:
		w.state, w.failure, w.due = paused, err, time.Now().Add(tryPause)
		a.wakeAt(w.due)
	default:
		a.fail(w, err)
	}
}

// fail answers an event that is not stored, or not known to be.
func (a *appendBatch) fail(w *inflightEvent, err error) {
	if !w.try.unanswered {
		err = withFullCode(err)
	}
	a.finish(w, topic.Result{Err: err})
}

// wakeAt has tick called at a time, or before.
func (a *appendBatch) wakeAt(due time.Time) {
	switch {
	case a.timer == nil:
		a.timer = time.NewTimer(time.Until(due))
	case !a.timerAt.IsZero() && !due.Before(a.timerAt):
		return
	default:
		a.timer.Reset(time.Until(due))
	}
	a.timerAt = due
}

// tick goes on with the events whose time has come.
func (a *appendBatch) tick(now time.Time) {
	a.timerAt = time.Time{}
	for _, w := range a.events {
		over := !now.Before(w.due)
		switch {
		case w.state != sent && w.state != paused && w.state != counting:
		case !over:
			a.wakeAt(w.due)
		case w.state == sent:
			a.tryFailed(w, errUnanswered)
		case w.state == paused:
			a.publish(w)
		default:
			a.l.tally.add(func(s *Stats) { s.CountTimeouts++ })
			a.l.inflight.markSilent(w)
			a.finish(w, topic.Result{Appended: a.l.inflight.total(w)})
		}
	}
}

// giveUp answers all events with what is known of them when the caller's time is
// over, or it has gone.
func (a *appendBatch) abandon(cause error) {
	for _, w := range a.events {
		switch w.state {
		case queued:
			w.passedTurn = true
			a.finish(w, topic.Result{Err: fmt.Errorf("store event: %w", cause)})
		case sent:
			w.passedTurn = true
			a.finish(w, topic.Result{Err: fmt.Errorf("store event: %w", cause)})
		case paused:
			w.passedTurn = true
			a.fail(w, fmt.Errorf("store event: %w: %w", cause, w.failure))
		case acknowledged:
			a.finish(w, topic.Result{Err: cause})
		case counting: // that the caller has gone says nothing of the nodes
			a.finish(w, topic.Result{Appended: a.l.inflight.total(w)})
		}
	}
}
