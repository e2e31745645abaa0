package gateway

import (
	"context"
	"slices"
	"strings"
	"sync"

	"tidegate/internal/topic"
	"tidegate/internal/wire"
)

// maxAppends bounds the messages and line groups of one request that are waited for at
// the same time.
const maxAppends = 64

// pipeline delivers the messages of one request where events are stored, and other
// nodes may hold streams. Messages for different topics or streams do not wait for each
// other. Those for the same one are delivered one after another, and not after one that
// the caller may retry: they would change places. Consecutive lines for topics form a
// [lineGroup].
type pipeline struct {
	gateway *Gateway
	ctx     context.Context
	held    *heldBatch
	places  chan struct{} // size maxAppends
	waiting sync.WaitGroup

	mu    sync.Mutex
	last  map[target]*slot // guarded by mu, like all below
	slots []*slot
	group *lineGroup // the lines not published yet; nil: none
	spare []slot     // allocated in advance
}

// target is what a message is for.
type target struct{ topic, token string }

// kind is its label in metrics.
func (t target) kind() string {
	if t.topic != "" {
		return "topic"
	}
	return "token"
}

// slot holds the answer of one message.
type slot struct {
	done   chan struct{} // closed when the answer is there; nil if it always was
	answer wire.SendAnswer
	err    error
}

func newPipeline(ctx context.Context, g *Gateway, held *heldBatch) *pipeline {
	p := &pipeline{
		gateway: g, ctx: ctx, held: held,
		places: make(chan struct{}, maxAppends), last: make(map[target]*slot),
	}
	held.idle = p.idle
	return p
}

// take accepts one message, or the error that it has. The line that holds it may be
// reused when take returns.
func (p *pipeline) take(m wire.Message, err error, line []byte) {
	if err == nil && m.Topic != "" && !m.Transient {
		p.held.flush() // or it would wait for this one
		p.addToGroup(m.Clone(), len(line))
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

// begin starts to deliver a message after the previous one for the same target.
func (p *pipeline) begin(t target, send func() (wire.SendAnswer, error)) {
	p.held.flush() // or it would wait for this one
	s := &slot{done: make(chan struct{})}
	before := p.follow(t, s)
	p.places <- struct{}{}
	p.waiting.Go(func() {
		defer func() { <-p.places }()
		defer close(s.done)
		if before != nil {
			<-before.done // it has a place already, so this cannot deadlock
		}
		if before != nil && topic.Retryable(before.err) {
			s.err = before.err
		} else {
			s.answer, s.err = send()
		}
		p.gateway.metrics.sent(t.kind(), s.err)
	})
}

// follow puts a slot after the last one for a target, and returns that one.
func (p *pipeline) follow(t target, s *slot) (before *slot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before = p.last[t]
	p.last[t] = s
	p.slots = append(p.slots, s)
	return before
}

// slotsAtOnce is how many slots are allocated together.
const slotsAtOnce = 64

// newSlot returns a slot. The caller holds the lock.
func (p *pipeline) newSlot() *slot {
	if len(p.spare) == 0 {
		p.spare = make([]slot, slotsAtOnce)
	}
	s := &p.spare[0]
	p.spare = p.spare[1:]
	return s
}

// put adds an answer that is there already.
func (p *pipeline) put(answer wire.SendAnswer, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.slots = append(p.slots, &slot{answer: answer, err: err})
}

// answers waits for all messages and appends their answers, in the order of the lines.
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
