package gateway

import (
	"context"
	"sync"

	"sluice/internal/topic"
	"sluice/internal/wire"
)

// maxAppends is how many messages of one request are stored at the same time.
const maxAppends = 64

// pipeline takes the messages of one request. Where logs are kept in a store,
// those for different topics do not wait for each other; those for one topic are
// stored one after the other, and not behind one of which nobody knows whether
// it was.
type pipeline struct {
	gateway *Gateway
	ctx     context.Context
	held    *holding
	places  chan struct{} // size maxAppends
	last    map[string]*slot
	slots   []*slot
	waiting sync.WaitGroup
}

// slot is where one message's answer goes.
type slot struct {
	done   chan struct{} // closed when it is there
	answer wire.SendAnswer
	err    error
}

func newPipeline(ctx context.Context, g *Gateway, held *holding) *pipeline {
	return &pipeline{
		gateway: g, ctx: ctx, held: held,
		places: make(chan struct{}, maxAppends), last: make(map[string]*slot),
	}
}

// take takes one line, which may be used again when it returns.
func (p *pipeline) take(parser *wire.Parser, line []byte) {
	m, err := parser.Parse(line)
	if err != nil || m.Topic == "" {
		answer, err := p.gateway.deliver(p.ctx, p.held.batch(len(line)), parser, line)
		p.put(answer, err)
		return
	}
	m = m.Clone()
	p.held.flush() // or it would wait for the store
	s := &slot{done: make(chan struct{})}
	before := p.last[m.Topic]
	p.last[m.Topic] = s
	p.slots = append(p.slots, s)
	p.places <- struct{}{}
	p.waiting.Go(func() {
		defer func() { <-p.places }()
		defer close(s.done)
		if before != nil {
			<-before.done // it has a place, so it does not wait for this one's
			if unknown(before.err) {
				s.err = topic.ErrUnavailable
				p.gateway.metrics.sent("topic", s.err)
				return
			}
		}
		s.answer, s.err = p.gateway.publish(p.ctx, nil, m)
		p.gateway.metrics.sent("topic", s.err)
	})
}

// put notes an answer that is there.
func (p *pipeline) put(answer wire.SendAnswer, err error) {
	p.slots = append(p.slots, &slot{answer: answer, err: err})
}

// answers waits for all and renders them, in the order of the lines.
func (p *pipeline) answers(dst []byte) []byte {
	p.held.flush()
	p.waiting.Wait()
	for _, s := range p.slots {
		dst = append(batchAnswer(s.answer, s.err).AppendJSON(dst), '\n')
	}
	return dst
}

// unknown says that nobody knows whether a message was taken.
func unknown(err error) bool {
	return err != nil && wire.ErrorOf(err).Code == wire.CodeEngineUnavailable
}
