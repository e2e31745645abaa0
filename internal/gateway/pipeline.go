package gateway

import (
	"context"
	"slices"
	"strings"
	"sync"

	"tidegate/internal/topic"
	"tidegate/internal/wire"
)

// maxAppends is how many messages or gatherings of one request are waited for at the
// same time.
const maxAppends = 64

// pipeline takes the messages of one request where logs are kept in a store, and
// other nodes may hold streams. Messages that have to be waited for do not wait
// for each other if they are for different topics, or streams; those for one are
// taken one after the other, and not behind one that may be sent again: they would
// change places. Lines for topics that come one after the other are gathered, see
// there.
type pipeline struct {
	gateway *Gateway
	ctx     context.Context
	held    *holding
	places  chan struct{} // size maxAppends
	waiting sync.WaitGroup

	mu        sync.Mutex
	last      map[target]*slot // guarded by mu, like all below
	slots     []*slot
	gathering *gathering // nil: there is none
	spare     []slot     // not used yet
}

// target is what a message is for.
type target struct{ topic, token string }

// kind is what it is called in metrics.
func (t target) kind() string {
	if t.topic != "" {
		return "topic"
	}
	return "token"
}

// slot is where one message's answer goes.
type slot struct {
	done   chan struct{} // closed when it is there; nil if it was from the start
	answer wire.SendAnswer
	err    error
}

func newPipeline(ctx context.Context, g *Gateway, held *holding) *pipeline {
	p := &pipeline{
		gateway: g, ctx: ctx, held: held,
		places: make(chan struct{}, maxAppends), last: make(map[target]*slot),
	}
	held.lull = p.lull
	return p
}

// take takes one message, or what is wrong with it. The line that it is in may be
// used again when it returns.
func (p *pipeline) take(m wire.Message, err error, line []byte) {
	if err == nil && m.Topic != "" && !m.Transient {
		p.held.flush() // or it would wait for this one
		p.gather(m.Clone(), len(line))
		return
	}
	p.flush()
	node := ""
	if err == nil && m.Topic == "" {
		node = p.gateway.holder(p.ctx, m.Token)
	}
	switch {
	case node != "":
		token, node, line := strings.Clone(m.Token), strings.Clone(node), slices.Clone(line)
		p.begin(target{token: token}, func() (wire.SendAnswer, error) {
			return p.gateway.sendElsewhere(p.ctx, node, line)
		})
	case err == nil && m.Topic != "":
		m := m.Clone()
		p.begin(target{topic: m.Topic}, func() (wire.SendAnswer, error) {
			return p.gateway.publish(p.ctx, nil, m)
		})
	default:
		answer, err := p.gateway.deliver(p.ctx, p.held.batch(len(line)), m, err, line)
		p.put(answer, err)
	}
}

// begin has a message taken behind those before it for the same target.
func (p *pipeline) begin(t target, send func() (wire.SendAnswer, error)) {
	p.held.flush() // or it would wait for this one
	s := &slot{done: make(chan struct{})}
	before := p.follow(t, s)
	p.places <- struct{}{}
	p.waiting.Go(func() {
		defer func() { <-p.places }()
		defer close(s.done)
		if before != nil {
			<-before.done // it has a place, so it does not wait for this one's
		}
		if before != nil && topic.Passing(before.err) {
			s.err = before.err
		} else {
			s.answer, s.err = send()
		}
		p.gateway.metrics.sent(t.kind(), s.err)
	})
}

// follow puts a slot behind the last one for a target, which it returns.
func (p *pipeline) follow(t target, s *slot) (before *slot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before = p.last[t]
	p.last[t] = s
	p.slots = append(p.slots, s)
	return before
}

// slotsAtOnce is how many slots are made together.
const slotsAtOnce = 64

// newSlot gives a slot. The caller holds the lock.
func (p *pipeline) newSlot() *slot {
	if len(p.spare) == 0 {
		p.spare = make([]slot, slotsAtOnce)
	}
	s := &p.spare[0]
	p.spare = p.spare[1:]
	return s
}

// put notes an answer that is there.
func (p *pipeline) put(answer wire.SendAnswer, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.slots = append(p.slots, &slot{answer: answer, err: err})
}

// answers waits for all and renders them, in the order of the lines.
func (p *pipeline) answers(dst []byte) []byte {
	p.held.flush()
	p.flush()
	p.waiting.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.slots {
		dst = append(batchAnswer(s.answer, s.err).AppendJSON(dst), '\n')
	}
	return dst
}
