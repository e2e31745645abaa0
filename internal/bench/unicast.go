package bench

import (
	"context"
	"time"
)

// sendDefault is how long senders send.
const sendDefault = 5 * time.Second

// measureUnicast has several senders post to random tokens as fast as they are
// answered: one message a request, and then many.
func measureUnicast(ctx context.Context, b *testbed) error {
	tokens, err := b.openTokens(b.opts.Streams)
	if err != nil {
		return err
	}
	conns, err := b.dial(ctx, min(b.opts.Senders, b.opts.Streams))
	if err != nil {
		return err
	}
	defer closeAll(conns)
	long := b.opts.lasting(sendDefault)
	b.sent.byID = make([]int64, b.opts.Streams)
	single := senderGroup{size: b.opts.Size, targets: tokens, sent: b.sent.byID, batch: 1}
	one, err := b.sendLong(ctx, &single, conns, long)
	if err != nil {
		return err
	}
	got, err := b.clients.report(b.sent)
	if err != nil {
		return err
	}
	b.figure("sends", "/s", one.rate())
	b.cpuFigures("send", one.used, one.sends)
	b.figure("send answered p50", "ms", millis(single.answered.quantile(0.50)))
	b.figure("send answered p99", "ms", millis(single.answered.quantile(0.99)))
	b.figure("delivery p50", "ms", millis(got.Latency.quantile(0.50)))
	b.figure("delivery p99", "ms", millis(got.Latency.quantile(0.99)))

	batches := senderGroup{size: b.opts.Size, targets: tokens, sent: b.sent.byID, batch: b.opts.Batch}
	many, err := b.sendLong(ctx, &batches, conns, long)
	if err != nil {
		return err
	}
	b.figure("batches: sends", "/s", many.rate())
	b.figure("batches: times the single sends", "×", many.rate()/one.rate())
	b.cpuFigures("send in a batch", many.used, many.sends)
	return nil
}

// openTokens opens streams and returns where each is sent to.
func (b *testbed) openTokens(count int) ([]target, error) {
	if _, err := b.open(count); err != nil {
		return nil, err
	}
	tokens, err := b.backend.tokensOf(count)
	if err != nil {
		return nil, err
	}
	targets := make([]target, count)
	for id, token := range tokens {
		targets[id] = tokenTarget(token)
	}
	return targets, nil
}

// sending is what senders did.
type sending struct {
	sends int64
	took  time.Duration
	used  usage // until all was received
}

func (s sending) rate() float64 { return float64(s.sends) / s.took.Seconds() }

// cpu is the gateway's for each send.
func (s sending) cpu() float64 { return micros(s.used.gateway) / float64(s.sends) }

func (s *sending) add(o sending) {
	s.sends += o.sends
	s.took += o.took
	s.used.elapsed += o.used.elapsed
	s.used.gateway += o.used.gateway
	s.used.bench += o.used.bench
}

// sendLong has senders send for a while, and waits until all has arrived.
func (b *testbed) sendLong(ctx context.Context, g *senderGroup, conns []*sender, long time.Duration) (s sending, err error) {
	if err := b.clients.resetLatencies(); err != nil {
		return s, err
	}
	s.used, err = b.timed(func() error {
		s.sends, s.took, err = g.run(ctx, conns, long)
		if err == nil {
			_, err = b.clients.await(b.sent)
		}
		return err
	})
	return s, err
}
