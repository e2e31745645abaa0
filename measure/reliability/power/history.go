package main

import (
	"fmt"
	"strconv"
	"sync"
	"time"
)

// history is the published events and the answers to them. Its methods are safe for
// concurrent use.
type history struct {
	began time.Time

	mu     sync.Mutex
	events [][]*event // by topic, in the order in which they were published; guarded by mu
}

// event is one published event. Its publisher owns the fields until the answer; after
// that, judge does.
type event struct {
	topic, number int // number counts the events of the topic from 0
	end           bool
	id            string
	begun, done   time.Duration // since history.began; done is 0 without an answer
	lost          bool          // counted as lost in an earlier round
}

func newHistory(topics int) *history {
	return &history{began: time.Now(), events: make([][]*event, topics)}
}

func (h *history) now() time.Duration { return time.Since(h.began) }

// begin adds the next event of a topic.
func (h *history) begin(topic int, end bool) *event {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := &event{topic: topic, number: len(h.events[topic]), end: end, begun: h.now()}
	h.events[topic] = append(h.events[topic], e)
	return e
}

// answered records an answer of 200.
func (h *history) answered(e *event, id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e.id, e.done = id, h.now()
}

// loss says when the power was lost and when the server was started again.
type loss struct{ at, restarted time.Duration }

// finding is the result of a round.
type finding struct {
	answered, held int           // events answered before the loss; how many of them still exist
	lost           int           // events answered before the loss that no longer exist
	oldest         time.Duration // how long before the loss the oldest lost event was answered
	faults         []string
}

func (f *finding) fault(format string, args ...any) {
	f.faults = append(f.faults, fmt.Sprintf(format, args...))
}

// judge compares the answered events with the stored ones, given by topic as their
// numbers in order. Only events answered within bound before the loss may be lost;
// bound is 0 if none may be.
func (h *history) judge(stored [][]int, at loss, bound time.Duration) *finding {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := &finding{}
	newestHeld, oldestLost := time.Duration(0), time.Duration(1<<62)
	for topic, events := range h.events {
		found := f.order(topic, stored[topic], len(events))
		for _, e := range events {
			switch {
			case e.done == 0 || e.lost: // not promised, or counted before
				continue
			case found[e.number]:
				f.held++
				if e.done < at.restarted { // a later answer may be to a repeat after the loss
					newestHeld = max(newestHeld, e.begun)
				}
			case e.done > at.restarted:
				f.fault("%s was answered after the restart, and is lost", e)
			default:
				f.lost++
				f.oldest = max(f.oldest, at.at-e.done)
				oldestLost = min(oldestLost, e.done)
				e.lost = true
				if bound == 0 || e.done < at.at-bound {
					f.fault("%s was answered %s before the loss, and is lost", e, (at.at - e.done).Round(time.Millisecond))
				}
			}
			if e.done < at.restarted {
				f.answered++
			}
		}
	}
	if oldestLost < newestHeld {
		f.fault("an event is lost that was answered %s before a stored one was sent", (newestHeld - oldestLost).Round(time.Millisecond))
	}
	return f
}

// order checks the order of a topic's stored numbers and returns them as a set.
func (f *finding) order(topic int, stored []int, published int) map[int]bool {
	found := make(map[int]bool, len(stored))
	last := -1
	for _, number := range stored {
		switch {
		case number >= published:
			f.fault("topic %d has event %d, which was not published", topic, number)
		case found[number]:
			f.fault("topic %d has event %d twice", topic, number)
		case number < last:
			f.fault("topic %d has event %d after %d", topic, number, last)
		}
		found[number], last = true, number
	}
	return found
}

func (e *event) String() string {
	return "event " + strconv.Itoa(e.number) + " of topic " + strconv.Itoa(e.topic)
}

// pick returns answered events of a topic after which a client may resume: the first
// one, the last stored one before the loss, and the last lost one, as far as they exist.
func (h *history) pick(topic int, at loss) []*event {
	h.mu.Lock()
	defer h.mu.Unlock()
	var first, held, lost *event
	for _, e := range h.events[topic] {
		switch {
		case e.done == 0 || e.done > at.restarted:
		case e.lost:
			lost = e
		case first == nil:
			first = e
		default:
			held = e
		}
	}
	var picked []*event
	for _, e := range []*event{first, held, lost} {
		if e != nil {
			picked = append(picked, e)
		}
	}
	return picked
}
