// Package judge checks the records of a run against what Tidegate promises. It only
// reads files. So a run can be judged again, on another machine, or after somebody has
// changed the records, as the tests of this package do.
//
// The promises:
//
//   - A client that has a position receives each answered event whose publishing
//     began later, exactly once, up to the end markers. Where streams start with
//     the whole history of a topic, this covers every answered event.
//   - No client receives an event twice, answered or not. An event that was never
//     answered may exist or not.
//   - Each topic has one order of its events that agrees with what every client
//     received. If an event was answered before another one was begun, it comes
//     before that one.
//   - An event has one id: the one in the answer to its publisher.
//   - Each accepted connect callback is followed by exactly one disconnect callback.
//
// After a reset, if resets are allowed, a client starts again.
package judge

import (
	"errors"
	"fmt"
	"os"

	"tidegate/measure/reliability/record"
)

// Options are the settings of [Judge].
type Options struct {
	AllowResets bool
	MaxEvents   int // bounds published events, and received ones over all clients; default 50,000,000
}

const defaultMaxEvents = 50_000_000

// ErrTooMany is returned for a run with more than MaxEvents events.
var ErrTooMany = errors.New("the run has more events than the limit")

// verification is the state of judging one run.
type verification struct {
	opts     Options
	dir      string
	run      record.Run
	events   []record.Event   // other fields refer to an event by its index here
	index    map[uint64]int32 // by global id
	ofTopic  [][]int32        // answered events of each topic, as indexes
	received int
	orders   [][]sequence // by topic: what clients received
	report   *Report
}

// sequence is what one client received of one topic between two resets.
type sequence struct {
	client int
	events []int32
}

// Judge reads the run in dir. The error says why the run cannot be judged; broken
// promises are in the report.
func Judge(dir string, o Options) (*Report, error) {
	run, err := record.ReadRun(dir)
	if err != nil {
		return nil, err
	}
	if o.MaxEvents == 0 {
		o.MaxEvents = defaultMaxEvents
	}
	c := &verification{
		opts: o, dir: dir, run: run, index: map[uint64]int32{},
		ofTopic: make([][]int32, run.Topics), orders: make([][]sequence, run.Topics),
		report: &Report{Run: run},
	}
	for p := range run.Publishers {
		if err := record.Read(record.PublisherFile(dir, p), record.ParseEvent, c.published); err != nil {
			return nil, err
		}
	}
	c.answers()
	for n := range run.Clients {
		if err := c.client(n); err != nil {
			return nil, err
		}
	}
	for topic := range run.Topics {
		c.order(topic)
	}
	if err := c.callbacks(); err != nil {
		return nil, err
	}
	c.report.closeCounts(o.AllowResets)
	return c.report, nil
}

// published processes an event of a publisher's record.
func (c *verification) published(e record.Event) error {
	if e.Topic >= c.run.Topics {
		return fmt.Errorf("%w: topic %d of %d", record.ErrInvalid, e.Topic, c.run.Topics)
	}
	if _, twice := c.index[e.Global]; twice {
		return fmt.Errorf("%w: the load itself published event %d twice", record.ErrInvalid, e.Global)
	}
	if len(c.events) >= c.opts.MaxEvents {
		return fmt.Errorf("%w (%d); judge a shorter run, or raise --max-events", ErrTooMany, c.opts.MaxEvents)
	}
	c.index[e.Global] = int32(len(c.events))
	c.events = append(c.events, e)
	return nil
}

// answers checks the answers to the publishers.
func (c *verification) answers() {
	r := c.report
	byID := make(map[string]int32, len(c.events))
	for i, e := range c.events {
		if e.Done == 0 {
			r.Unanswered++
			if e.End {
				r.fault(EndMarkers, "topic %d: its end marker was never answered, so the end of its events is unknown", e.Topic)
			}
			continue
		}
		r.Answered++
		c.ofTopic[e.Topic] = append(c.ofTopic[e.Topic], int32(i))
		if other, taken := byID[e.ID]; taken {
			r.fault(SharedIDs, "events %d and %d were both answered with id %s", c.events[other].Global, e.Global, e.ID)
			continue
		}
		byID[e.ID] = int32(i)
	}
}

// callbacks judges connect and disconnect callbacks.
func (c *verification) callbacks() error {
	if !c.run.Callbacks {
		return nil
	}
	path := record.CallbacksFile(c.dir)
	if _, err := os.Stat(path); err != nil {
		return err
	}
	streams := map[string]*streamCallbacks{}
	err := record.Read(path, record.ParseCallback, func(cb record.Callback) error {
		a := streams[cb.Stream]
		if a == nil {
			a = &streamCallbacks{}
			streams[cb.Stream] = a
		}
		a.add(cb, c.run.Cuts)
		return nil
	})
	for name, a := range streams {
		a.judge(c.report, name)
	}
	return err
}
