package gateway

import (
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
		g = &gathering{done: make(chan struct{})}
		p.gathering = g
	}
	s, t := &slot{done: g.done}, target{topic: m.Topic}
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
		defer close(g.done)
		p.publish(g)
	})
}

// publish publishes lines behind those before them for the same topics.
func (p *pipeline) publish(g *gathering) {
	refused := make(map[string]error)
	ps := make([]topic.Publication, 0, len(g.lines))
	slots := make([]*slot, 0, len(g.lines))
	for _, l := range g.lines {
		if l.before != nil {
			if <-l.before.done; topic.Passing(l.before.err) {
				refused[l.publication.Topic] = l.before.err
			}
		}
		if err := refused[l.publication.Topic]; err != nil {
			l.slot.err = err
			p.gateway.metrics.sent("topic", err)
			continue
		}
		ps, slots = append(ps, l.publication), append(slots, l.slot)
	}
	if len(ps) == 0 {
		return
	}
	for i, a := range p.gateway.opts.Topics.PublishAll(p.ctx, ps) {
		slots[i].answer, slots[i].err = published(a.Receipt, a.Err)
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
