package gateway

import (
	"sync"
	"time"

	"tidegate/internal/topic"
	"tidegate/internal/wire"
)

const (
	// maxGroupLines and maxGroupBytes bound what is published in one call.
	maxGroupLines = 256
	maxGroupBytes = 256 << 10
	// maxIdle is how long a group waits for the next part of the body before it is
	// published. The parts of one body arrive faster than that.
	maxIdle = time.Millisecond
)

// lineGroup is consecutive lines of a batch that are for topics. They are published in
// one call.
type lineGroup struct {
	lines []groupLine
	bytes int
	done  chan struct{} // closed when all lines are answered

	ps    []topic.Publication // of the lines that are published
	slots []*slot             // of ps, in the same order
}

// lineGroups are reused: a batch of short lines would else be mostly garbage.
var lineGroups = sync.Pool{New: func() any { return new(lineGroup) }}

func newLineGroup() *lineGroup {
	g := lineGroups.Get().(*lineGroup)
	g.done = make(chan struct{})
	return g
}

func (g *lineGroup) putBack() {
	clear(g.lines)
	clear(g.ps)
	clear(g.slots)
	*g = lineGroup{lines: g.lines[:0], ps: g.ps[:0], slots: g.slots[:0]}
	lineGroups.Put(g)
}

type groupLine struct {
	publication topic.Publication
	slot        *slot
	before      *slot // of the previous line for the same topic, if that is in another group
}

// addToGroup adds a message to the group, and publishes the group if it is full.
func (p *pipeline) addToGroup(m wire.Message, size int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.group
	if g == nil {
		g = newLineGroup()
		p.group = g
	}
	s, t := p.newSlot(), target{topic: m.Topic}
	s.done = g.done
	before := p.last[t]
	if before != nil && before.done == g.done {
		before = nil
	}
	p.last[t] = s
	p.slots = append(p.slots, s)
	g.lines = append(g.lines, groupLine{publication(m), s, before})
	if g.bytes += size; len(g.lines) == maxGroupLines || g.bytes >= maxGroupBytes {
		p.sendGroup()
	}
}

// flush publishes the group.
func (p *pipeline) flush() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sendGroup()
}

// idle is called before the next part of the body is read: the group does not wait for
// it longer than maxIdle. The caller calls over when the part is there.
func (p *pipeline) idle() (over func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.group == nil {
		return func() {}
	}
	timer := time.AfterFunc(maxIdle, p.flush)
	return func() { timer.Stop() }
}

// sendGroup starts to publish the group. The caller holds the lock.
func (p *pipeline) sendGroup() {
	g := p.group
	if g == nil {
		return
	}
	p.group = nil
	p.places <- struct{}{}
	p.waiting.Go(func() {
		defer func() { <-p.places }()
		p.publish(g)
		close(g.done)
		g.putBack()
	})
}

// publish publishes a group after the earlier lines for the same topics. If one of
// these failed for now, the lines after it fail as well: a retry would change the order.
func (p *pipeline) publish(g *lineGroup) {
	var refused map[string]error
	for _, l := range g.lines {
		if l.before != nil {
			if <-l.before.done; topic.Retryable(l.before.err) {
				if refused == nil {
					refused = make(map[string]error)
				}
				refused[l.publication.Topic] = l.before.err
			}
		}
		if err := refused[l.publication.Topic]; err != nil {
			l.slot.err = err
			p.gateway.metrics.sent("topic", err)
			continue
		}
		g.ps, g.slots = append(g.ps, l.publication), append(g.slots, l.slot)
	}
	if len(g.ps) == 0 {
		return
	}
	for i, a := range p.gateway.opts.Topics.PublishAll(p.ctx, g.ps) {
		g.slots[i].answer, g.slots[i].err = published(a.Receipt, a.Err)
		p.gateway.metrics.sent("topic", a.Err)
	}
}

// publication is what a message appends to its topic.
func publication(m wire.Message) topic.Publication {
	return topic.Publication{
		Topic: m.Topic, HasEvent: m.HasEvent, Name: m.Name, Data: m.Data, Close: m.Close, Key: m.IdempotencyKey,
	}
}

// published is the answer to a message that was published.
func published(r topic.Receipt, err error) (wire.SendAnswer, error) {
	if err != nil {
		return wire.SendAnswer{}, err
	}
	return wire.SendAnswer{Status: wire.StatusOK, ID: r.ID, Receivers: &r.Receivers}, nil
}
