// Package judge finds out from the records of a run whether what was promised
// held. It reads files and nothing else: a run can be judged again, elsewhere,
// or after somebody has tampered with it, as its own tests do.
//
// What must hold:
//
//   - A client that has a position is shown each event that was answered and
//     whose publishing began after that, exactly once, up to the end markers.
//     Where streams begin with all that a topic has, that is every answered event.
//   - No event is shown twice to a client, answered or not. An event that was
//     never answered may be there or not.
//   - For each topic there is one order of its events that agrees with what every
//     client was shown, and in which an event that was answered before another was
//     begun comes before that one.
//   - An event has one id: the one that its publisher was answered.
//   - Every connect callback that was accepted is followed by exactly one
//     disconnect callback.
//
// After a reset, if those are allowed, a client begins anew.
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
	MaxEvents   int // published, and shown to all clients; more is an error. Default 50,000,000
}

const defaultMaxEvents = 50_000_000

// ErrTooMany is returned for a run that is larger than MaxEvents.
var ErrTooMany = errors.New("the run has more events than would fit into memory")

// court holds a run while it is judged.
type court struct {
	opts    Options
	dir     string
	run     record.Run
	events  []record.Event   // an event's place in it stands for the event
	place   map[uint64]int32 // by global id
	ofTopic [][]int32        // answered events of each topic, places in events
	shown   int
	orders  [][]sequence // by topic: what clients were shown
	report  *Report
}

// sequence is what one client was shown of one topic between two resets.
type sequence struct {
	client int
	events []int32
}

// Judge reads the run in dir. The error says why it could not be judged; what
// does not hold is in the report.
func Judge(dir string, o Options) (*Report, error) {
	run, err := record.ReadRun(dir)
	if err != nil {
		return nil, err
	}
	if o.MaxEvents == 0 {
		o.MaxEvents = defaultMaxEvents
	}
	c := &court{
		opts: o, dir: dir, run: run, place: map[uint64]int32{},
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

// published takes up an event of a publisher.
func (c *court) published(e record.Event) error {
	if e.Topic >= c.run.Topics {
		return fmt.Errorf("%w: topic %d of %d", record.ErrInvalid, e.Topic, c.run.Topics)
	}
	if _, twice := c.place[e.Global]; twice {
		return fmt.Errorf("%w: event %d was published twice by the load itself", record.ErrInvalid, e.Global)
	}
	if len(c.events) >= c.opts.MaxEvents {
		return fmt.Errorf("%w (%d); judge a shorter run, or raise --max-events", ErrTooMany, c.opts.MaxEvents)
	}
	c.place[e.Global] = int32(len(c.events))
	c.events = append(c.events, e)
	return nil
}

// answers looks at what publishers were told.
func (c *court) answers() {
	r := c.report
	byID := make(map[string]int32, len(c.events))
	for i, e := range c.events {
		if e.Done == 0 {
			r.Unanswered++
			if e.End {
				r.fault(EndMarkers, "topic %d: its end marker was never answered, so nothing tells when a client has everything", e.Topic)
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

// callbacks judges connects and disconnects.
func (c *court) callbacks() error {
	if !c.run.Callbacks {
		return nil
	}
	path := record.CallbacksFile(c.dir)
	if _, err := os.Stat(path); err != nil {
		return err
	}
	streams := map[string]*account{}
	err := record.Read(path, record.ParseCallback, func(cb record.Callback) error {
		a := streams[cb.Stream]
		if a == nil {
			a = &account{}
			streams[cb.Stream] = a
		}
		a.book(cb, c.run.Cuts)
		return nil
	})
	for name, a := range streams {
		a.judge(c.report, name)
	}
	return err
}
