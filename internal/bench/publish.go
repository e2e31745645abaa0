package bench

import (
	"context"
	"strconv"
)

const (
	// batchSenders post batches, each to topics of its own.
	batchSenders = 8
	// topicsOfSender is how many topics those of one batch are.
	topicsOfSender = 100
)

// measurePublish posts events to topics as fast as they are answered: one event
// a request from one sender, from many, and then in batches. Each topic has one
// stream, which must get all of them. A program of --limit has no streams: it
// shows what the answers alone take.
func measurePublish(ctx context.Context, b *testbed) error {
	topics, err := b.openTopics(min(batchSenders*topicsOfSender, b.opts.Streams))
	if err != nil {
		return err
	}
	for _, part := range []struct {
		name           string
		senders, batch int
	}{
		{"1 sender", 1, 1},
		{strconv.Itoa(b.opts.Senders) + " senders", b.opts.Senders, 1},
		{"batches, 1 sender", 1, b.opts.Batch},
		{"batches, " + strconv.Itoa(batchSenders) + " senders", batchSenders, b.opts.Batch},
	} {
		if err := b.publishPart(ctx, topics, part.name, part.senders, part.batch); err != nil {
			return err
		}
	}
	return nil
}

func (b *testbed) publishPart(ctx context.Context, topics []target, name string, senders, batch int) error {
	conns, err := b.dial(ctx, min(senders, len(topics)))
	if err != nil {
		return err
	}
	defer closeAll(conns)
	numbers := b.sent.byID
	if numbers == nil {
		numbers = make([]int64, len(topics)) // of events that no client waits for
	}
	g := senderGroup{size: b.opts.Size, targets: topics, sent: numbers, batch: batch}
	s, err := b.sendLong(ctx, &g, conns, b.opts.lasting(sendDefault))
	if err != nil {
		return err
	}
	b.figure(name+": events", "/s", s.rate())
	b.figure(name+": answered p50", "ms", millis(g.answered.quantile(0.50)))
	b.figure(name+": answered p99", "ms", millis(g.answered.quantile(0.99)))
	if len(b.gateway.pids) > 0 {
		b.figure(name+": CPU per event", "µs", s.cpu())
	}
	return nil
}

// openTopics opens a stream at each of so many topics, and returns the topics.
func (b *testbed) openTopics(count int) ([]target, error) {
	topics := make([]target, count)
	if b.subject.limit {
		for i := range topics {
			topics[i] = tokenTarget(everyToken)
		}
		return topics, nil
	}
	b.endpoint.Each = true
	if _, err := b.open(count); err != nil {
		return nil, err
	}
	b.sent.byID = make([]int64, count)
	for i := range topics {
		topics[i] = topicTarget(b.endpoint.topicOf(i))
	}
	return topics, nil
}
