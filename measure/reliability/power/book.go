package main

import (
	"fmt"
	"strconv"
	"sync"
	"time"
)

// book is what the server has answered. Its methods may be called concurrently.
type book struct {
	began time.Time

	mu     sync.Mutex
	events [][]*event // by topic, in the order in which they were published; guarded by mu
}

// event is one that was published. Its fields are its publisher's until it is
// answered; later they are those of whoever judges.
type event struct {
	topic, number int // the number counts the events of the topic
	end           bool
	id            string
	begun, done   time.Duration // since the book began; done is 0 before it is answered
	gone          bool          // lost in an earlier round, when it might be
}

func newBook(topics int) *book {
	return &book{began: time.Now(), events: make([][]*event, topics)}
}

func (b *book) now() time.Duration { return time.Since(b.began) }

// begin enters the next event of a topic.
func (b *book) begin(topic int, end bool) *event {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := &event{topic: topic, number: len(b.events[topic]), end: end, begun: b.now()}
	b.events[topic] = append(b.events[topic], e)
	return e
}

// answered notes an answer of 200.
func (b *book) answered(e *event, id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e.id, e.done = id, b.now()
}

// loss is a moment at which the power was lost.
type loss struct{ at, back time.Duration } // back: when the server was started again

// finding is what a round came to.
type finding struct {
	answered, held int           // before the loss; of those still there
	lost           int           // answered before the loss, and gone
	oldest         time.Duration // how long before the loss the first of them was answered
	faults         []string
}

func (f *finding) fault(format string, args ...any) {
	f.faults = append(f.faults, fmt.Sprintf(format, args...))
}

// judge compares what was answered with what each topic has, given as the numbers
// of its events in their order. What was lost may be only what was answered no
// longer than bound before the loss; bound is 0 if nothing may be lost.
func (b *book) judge(has [][]int, at loss, bound time.Duration) *finding {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := &finding{}
	newestHeld, oldestLost := time.Duration(0), time.Duration(1<<62)
	for topic, events := range b.events {
		there := f.order(topic, has[topic], len(events))
		for _, e := range events {
			switch {
			case e.done == 0 || e.gone: // nobody was promised anything, or it was told before
				continue
			case there[e.number]:
				f.held++
				if e.done < at.back { // else it may have been sent again after the loss
					newestHeld = max(newestHeld, e.begun)
				}
			case e.done > at.back:
				f.fault("%s was answered after the server was back, and is gone", e)
			default:
				f.lost++
				f.oldest = max(f.oldest, at.at-e.done)
				oldestLost = min(oldestLost, e.done)
				e.gone = true
				if bound == 0 || e.done < at.at-bound {
					f.fault("%s was answered %s before the loss, and is gone", e, (at.at - e.done).Round(time.Millisecond))
				}
			}
			if e.done < at.back {
				f.answered++
			}
		}
	}
	if oldestLost < newestHeld {
		f.fault("an event is gone that was answered %s before another was sent which is there", (newestHeld - oldestLost).Round(time.Millisecond))
	}
	return f
}

// order checks a topic's numbers and tells which are there.
func (f *finding) order(topic int, has []int, published int) map[int]bool {
	there := make(map[int]bool, len(has))
	last := -1
	for _, number := range has {
		switch {
		case number >= published:
			f.fault("topic %d has event %d, which was not published", topic, number)
		case there[number]:
			f.fault("topic %d has event %d twice", topic, number)
		case number < last:
			f.fault("topic %d has event %d after %d", topic, number, last)
		}
		there[number], last = true, number
	}
	return there
}

func (e *event) String() string {
	return "event " + strconv.Itoa(e.number) + " of topic " + strconv.Itoa(e.topic)
}

// pick gives answered events of a topic that clients may have seen last: the first
// one, the last before the loss that is there, and the last that is gone, as far
// as there are any.
func (b *book) pick(topic int, at loss) []*event {
	b.mu.Lock()
	defer b.mu.Unlock()
	var first, held, gone *event
	for _, e := range b.events[topic] {
		switch {
		case e.done == 0 || e.done > at.back:
		case e.gone:
			gone = e
		case first == nil:
			first = e
		default:
			held = e
		}
	}
	var picked []*event
	for _, e := range []*event{first, held, gone} {
		if e != nil {
			picked = append(picked, e)
		}
	}
	return picked
}
