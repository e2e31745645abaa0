package judge

import (
	"fmt"

	"tidegate/measure/reliability/record"
)

// client is what is known of one while its record is read.
type client struct {
	number   int
	follows  map[int]bool
	topics   []int
	position int64 // moment since which nothing may be missed; 0: none
	reset    bool  // there was one since the client began
	complete bool
	shown    map[int32]bool  // since the last reset
	order    map[int][]int32 // by topic, since the last reset
	whys     map[string]int  // how streams ended
}

// client reads the record of one client and judges what it was shown.
func (c *court) client(number int) error {
	cl := &client{number: number, follows: map[int]bool{}, shown: map[int32]bool{}, order: map[int][]int32{}, whys: map[string]int{}}
	err := record.Read(record.ClientFile(c.dir, number), record.ParseSeen, func(s record.Seen) error { return c.saw(cl, s) })
	if err != nil {
		return err
	}
	if len(cl.topics) == 0 {
		return fmt.Errorf("client-%04d: %w: it does not say what it follows", number, record.ErrInvalid)
	}
	c.endOrder(cl)
	switch {
	case cl.position == 0:
		c.report.fault(NeverInPlace, "client %d never had a position%s", number, cl.ends())
	case !cl.complete && !cl.reset: // after a reset a marker may be one of before; if not, it is lost
		c.report.fault(Incomplete, "client %d did not get the end markers of all its topics %v%s", number, cl.topics, cl.ends())
	}
	c.losses(cl)
	return nil
}

// saw takes up one line.
func (c *court) saw(cl *client, s record.Seen) error {
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
	case record.Shown:
		return c.showed(cl, s)
	case record.Foreign:
		r.fault(Foreign, "client %d was shown an event %q that nobody of the run published", cl.number, s.Why)
	case record.Reset:
		r.Resets++
		c.endOrder(cl)
		// What follows is all that is held: the client begins anew.
		cl.position, cl.reset, cl.complete = s.At, true, false
		clear(cl.shown)
	case record.Gone:
		cl.whys[s.Why]++
	case record.Complete:
		cl.complete = true
	}
	return nil
}

// showed takes up an event that was shown.
func (c *court) showed(cl *client, s record.Seen) error {
	r := c.report
	if c.shown++; c.shown > c.opts.MaxEvents {
		return fmt.Errorf("%w (%d); judge a shorter run, or raise --max-events", ErrTooMany, c.opts.MaxEvents)
	}
	i, known := c.place[s.Global]
	if !known {
		r.fault(Foreign, "client %d was shown event %d, which nobody published", cl.number, s.Global)
		return nil
	}
	e := c.events[i]
	if e.Topic != s.Topic || e.Publisher != s.Publisher || e.Number != s.Number || !cl.follows[e.Topic] {
		r.fault(Foreign, "client %d was shown event %d as %d.%d in topic %d; it is %d.%d in topic %d, and the client follows %v",
			cl.number, s.Global, s.Publisher, s.Number, s.Topic, e.Publisher, e.Number, e.Topic, cl.topics)
		return nil
	}
	if e.Done != 0 && e.ID != s.ID {
		r.fault(OtherIDs, "client %d was shown event %d with id %s, its publisher was answered %s", cl.number, s.Global, s.ID, e.ID)
	}
	if cl.shown[i] {
		r.fault(Repeated, "client %d was shown event %d of topic %d again (id %s)", cl.number, s.Global, e.Topic, s.ID)
		return nil
	}
	r.Shown++
	if e.Done == 0 {
		r.ShownUnanswered++
	}
	cl.shown[i] = true
	cl.order[e.Topic] = append(cl.order[e.Topic], i)
	return nil
}

// endOrder hands over what the client was shown since the last reset.
func (c *court) endOrder(cl *client) {
	for topic, events := range cl.order {
		c.orders[topic] = append(c.orders[topic], sequence{cl.number, events})
	}
	clear(cl.order)
}

// losses looks for what should have been shown.
func (c *court) losses(cl *client) {
	if cl.position == 0 {
		return
	}
	for _, topic := range cl.topics {
		for _, i := range c.ofTopic[topic] {
			e := c.events[i]
			must := e.Begin > cl.position || c.run.ReplayAll && !cl.reset
			if !must {
				continue
			}
			c.report.Required++
			if !cl.shown[i] {
				c.report.fault(Lost, "client %d was never shown event %d of topic %d (id %s, answered after %d attempts)",
					cl.number, e.Global, topic, e.ID, e.Attempts)
			}
		}
	}
}

// ends says how the streams of a client ended, for a fault.
func (cl *client) ends() string {
	if len(cl.whys) == 0 {
		return ""
	}
	return fmt.Sprintf("; its streams ended like this: %v", cl.whys)
}
