package gateway

import (
	"sync"
	"time"

	"tidegate/internal/topic"
	"tidegate/internal/wire"
)

const (
	// Lines for topics are published together, up to so many, and so many bytes.
	maxGathered      = 256
	maxGatheredBytes = 256 << 10
	// maxLull is how long the next part of a body is waited for before what was
	// gathered is published. The parts of one body come faster than that.
	maxLull = time.Millisecond
)

// gathering is lines for topics that come one after the other in a batch, and are
// published in one call.
type gathering struct {
	lines []gathered
	bytes int
	done  chan struct{} // closed when all of them are answered

	ps    []topic.Publication // what is published of them
	slots []*slot             // of ps
}

// gatherings are used over and over: a batch of short lines would else be mostly
// garbage.
var gatherings = sync.Pool{New: func() any { return new(gathering) }}

func newGathering() *gathering {
	g := gatherings.Get().(*gathering)
	g.done = make(chan struct{})
	return g
}

func (g *gathering) putBack() {
	clear(g.lines)
	clear(g.ps)
	clear(g.slots)
	*g = gathering{lines: g.lines[:0], ps: g.ps[:0], slots: g.slots[:0]}
	gatherings.Put(g)
}

type gathered struct {
	publication topic.Publication
	slot        *slot
	before      *slot // of the line before it for the same topic, if that is in another gathering
}

// gather has a message published with those around it.
func (p *pipeline) gather(m wire.Message, size int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.gathering
	if g == nil {
		g = newGathering()
		p.gathering = g
	}
	s, t := p.newSlot(), target{topic: m.Topic}
	s.done = g.done
	before := p.last[t]
	if before != nil && before.done == g.done {
		before = nil
	}
	p.last[t] = s
	p.slots = append(p.slots, s)
	g.lines = append(g.lines, gathered{publication(m), s, before})
	if g.bytes += size; len(g.lines) == maxGathered || g.bytes >= maxGatheredBytes {
		p.sendGathered()
	}
}

// flush publishes what was gathered.
func (p *pipeline) flush() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sendGathered()
}

// lull is called before the next part of the body is waited for: what was gathered
// does not wait for it longer than maxLull. over is to be called when it is there.
func (p *pipeline) lull() (over func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gathering == nil {
		return func() {}
	}
	timer := time.AfterFunc(maxLull, p.flush)
	return func() { timer.Stop() }
}

// sendGathered begins to publish what was gathered. The caller holds the lock.
func (p *pipeline) sendGathered() {
	g := p.gathering
	if g == nil {
		return
	}
	p.gathering = nil
	p.places <- struct{}{}
	p.waiting.Go(func() {
		defer func() { <-p.places }()
		p.publish(g)
		close(g.done)
		g.putBack()
	})
}

// publish publishes lines behind those before them for the same topics.
func (p *pipeline) publish(g *gathering) {
	var refused map[string]error
	for _, l := range g.lines {
		if l.before != nil {
			if <-l.before.done; topic.Passing(l.before.err) {
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

// published answers a message that was published.
func published(r topic.Receipt, err error) (wire.SendAnswer, error) {
	if err != nil {
		return wire.SendAnswer{}, err
	}
	return wire.SendAnswer{Status: wire.StatusOK, ID: r.ID, Receivers: &r.Receivers}, nil
}
