package judge

import (
	"fmt"

	"tidegate/measure/reliability/record"
)

// client is the state of one client while its record is read.
type client struct {
	number   int
	follows  map[int]bool
	topics   []int
	position int64 // logical time from which the client must miss nothing; 0 for none
	reset    bool  // the client has received a reset
	complete bool
	received map[int32]bool  // since the last reset
	order    map[int][]int32 // by topic, since the last reset
	endings  map[string]int  // how often streams ended in each way
}

// client reads the record of one client and judges what it received.
func (c *verification) client(number int) error {
	cl := &client{number: number, follows: map[int]bool{}, received: map[int32]bool{}, order: map[int][]int32{}, endings: map[string]int{}}
	err := record.Read(record.ClientFile(c.dir, number), record.ParseObservation, func(s record.Observation) error { return c.observe(cl, s) })
	if err != nil {
		return err
	}
	if len(cl.topics) == 0 {
		return fmt.Errorf("client-%04d: %w: the record names no topics", number, record.ErrInvalid)
	}
	c.endOrder(cl)
	switch {
	case cl.position == 0:
		c.report.fault(WithoutPosition, "client %d never had a position%s", number, cl.ends())
	case !cl.complete && !cl.reset: // a marker from before a reset need not come again
		c.report.fault(WithoutEnd, "client %d did not get the end markers of all its topics %v%s", number, cl.topics, cl.ends())
	}
	c.losses(cl)
	return nil
}

// observe processes one line of the record.
func (c *verification) observe(cl *client, s record.Observation) error {
	r := c.report
	switch s.Kind {
	case record.Topics:
		for _, t := range s.Topics {
			if t < 0 || t >= c.run.Topics || cl.follows[t] {
				return fmt.Errorf("%w: topic %d", record.ErrInvalid, t)
			}
			cl.follows[t] = true
		}
		cl.topics = append(cl.topics, s.Topics...)
	case record.Open:
		r.Opened++
	case record.Position:
		cl.position = s.At
	case record.Received:
		return c.receive(cl, s)
	case record.Foreign:
		r.fault(Foreign, "client %d received an event %q that the run did not publish", cl.number, s.Why)
	case record.Reset:
		r.Resets++
		c.endOrder(cl)
		// The server replays all that it still has, so the client starts again.
		cl.position, cl.reset, cl.complete = s.At, true, false
		clear(cl.received)
	case record.Ended:
		cl.endings[s.Why]++
	case record.Complete:
		cl.complete = true
	}
	return nil
}

// receive processes an event of the run.
func (c *verification) receive(cl *client, s record.Observation) error {
	r := c.report
	if c.received++; c.received > c.opts.MaxEvents {
		return fmt.Errorf("%w (%d); judge a shorter run, or raise --max-events", ErrTooMany, c.opts.MaxEvents)
	}
	i, known := c.index[s.Global]
	if !known {
		r.fault(Foreign, "client %d received event %d, which nobody published", cl.number, s.Global)
		return nil
	}
	e := c.events[i]
	if e.Topic != s.Topic || e.Publisher != s.Publisher || e.Number != s.Number || !cl.follows[e.Topic] {
		r.fault(Foreign, "client %d received event %d as %d.%d in topic %d; it is %d.%d in topic %d, and the client follows %v",
			cl.number, s.Global, s.Publisher, s.Number, s.Topic, e.Publisher, e.Number, e.Topic, cl.topics)
		return nil
	}
	if e.Done != 0 && e.ID != s.ID {
		r.fault(WrongIDs, "client %d received event %d with id %s, but its publisher was answered %s", cl.number, s.Global, s.ID, e.ID)
	}
	if cl.received[i] {
		r.fault(Repeated, "client %d received event %d of topic %d again (id %s)", cl.number, s.Global, e.Topic, s.ID)
		return nil
	}
	r.Received++
	if e.Done == 0 {
		r.ReceivedUnanswered++
	}
	cl.received[i] = true
	cl.order[e.Topic] = append(cl.order[e.Topic], i)
	return nil
}

// endOrder adds the events since the last reset to the sequences of their topics.
func (c *verification) endOrder(cl *client) {
	for topic, events := range cl.order {
		c.orders[topic] = append(c.orders[topic], sequence{cl.number, events})
	}
	clear(cl.order)
}

// losses looks for events that the client should have received.
func (c *verification) losses(cl *client) {
	if cl.position == 0 {
		return
	}
	for _, topic := range cl.topics {
		for _, i := range c.ofTopic[topic] {
			e := c.events[i]
			required := e.Begin > cl.position || c.run.ReplayAll && !cl.reset
			if !required {
				continue
			}
			c.report.Required++
			if !cl.received[i] {
				c.report.fault(Lost, "client %d never received event %d of topic %d (id %s, answered after %d attempts)",
					cl.number, e.Global, topic, e.ID, e.Attempts)
			}
		}
	}
}

// ends describes how the client's streams ended, for the text of a fault.
func (cl *client) ends() string {
	if len(cl.endings) == 0 {
		return ""
	}
	return fmt.Sprintf("; its streams ended so: %v", cl.endings)
}
