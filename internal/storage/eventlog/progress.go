package eventlog

import (
	"errors"
	"fmt"
	"time"

	"tidegate/internal/topic"
)

// onUpdate goes on with an event of which something has become known.
func (a *appendBatch) onUpdate(n update) {
	w := n.event
	came := n.resolved && n.err == nil // whatever the answer to a try was
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

// answer takes the server's answer.
func (a *appendBatch) answer(w *inflightEvent, ack pubAck) {
	if ack.err != nil {
		if w.state == sent { // else the answer is to an earlier try
			a.tryFailed(w, ack.err)
		}
		return
	}
	w.state, w.duplicate, w.seq = acknowledged, ack.duplicate, ack.seq
	if !ack.duplicate || a.entries[w.number].Key == "" { // else the position may be another event's
		a.passTurn(w, topic.Result{Appended: topic.Appended{Seq: ack.seq}})
	}
}

// onResolved is called when the tail has applied an event, or is past it.
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

// maxInquiries bounds the requests about events that are under way at once.
const maxInquiries = 16

// ask runs a request about an event in another goroutine.
func (a *appendBatch) ask(w *inflightEvent, find func() topic.Result) {
	w.state = inquiring
	if a.asked == nil {
		a.asked = make(chan topicResult)
	}
	a.asking.Go(func() {
		a.l.inquiries <- struct{}{}
		r := find()
		<-a.l.inquiries
		a.asked <- topicResult{w, r} // wait receives it: it does not return before the event is answered
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

// passTurn lets the next event of the topic be published, once.
func (a *appendBatch) passTurn(w *inflightEvent, r topic.Result) {
	switch {
	case w.lane == nil:
	case w.passedTurn && topic.Retryable(r.Err): // lost after it had been acknowledged
		w.lane.Took(r)
	case !w.passedTurn:
		w.passedTurn = true
		w.lane.Took(r)
		a.next(w.lane)
	}
}

// next publishes the next event of a topic, or refuses all that are left.
func (a *appendBatch) next(l *lane) {
	for len(l.rest) > 0 {
		w := l.rest[0]
		l.rest = l.rest[1:]
		if w.state != queued {
			continue // abandoned
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

// publish sends an event to the server. The answer comes later.
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

// tryFailed is called when a try was not stored, or it is unknown whether it was.
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

// fail answers an event that is not stored, or may not be.
func (a *appendBatch) fail(w *inflightEvent, err error) {
	if !w.try.unanswered {
		err = withFullCode(err)
	}
	a.finish(w, topic.Result{Err: err})
}

// wakeAt makes wait call tick at due or before.
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

// tick goes on with the events that are due.
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

// abandon answers all events with what is known of them, when ctx has ended.
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
		case counting: // not the nodes' fault
			a.finish(w, topic.Result{Appended: a.l.inflight.total(w)})
		}
	}
}
