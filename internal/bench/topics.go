package bench

import "context"

// measureTopics has senders post to random topics, of which each stream has one
// of its own, and to the same streams' tokens. They take turns, topics, tokens,
// tokens, topics, so that a neighbour troubles both.
func measureTopics(ctx context.Context, b *testbed) error {
	b.endpoint.Each = true
	tokens, err := b.openTokens(b.opts.Streams)
	if err != nil {
		return err
	}
	topics := make([]target, len(tokens))
	for id := range topics {
		topics[id] = topicTarget(b.endpoint.topicOf(id))
	}
	conns, err := b.dial(ctx, min(b.opts.Senders, b.opts.Streams))
	if err != nil {
		return err
	}
	defer closeAll(conns)
	b.sent.byID = make([]int64, b.opts.Streams)
	var byTopic, byToken sending
	for _, round := range []struct {
		targets []target
		sum     *sending
	}{{topics, &byTopic}, {tokens, &byToken}, {tokens, &byToken}, {topics, &byTopic}} {
		g := senderGroup{size: b.opts.Size, targets: round.targets, sent: b.sent.byID, batch: 1}
		s, err := b.sendLong(ctx, &g, conns, b.opts.lasting(sendDefault)/2)
		if err != nil {
			return err
		}
		round.sum.add(s)
	}
	b.figure("sends by topic", "/s", byTopic.rate())
	b.figure("sends by token", "/s", byToken.rate())
	b.cpuFigures("send by topic", byTopic.used, byTopic.sends)
	b.cpuFigures("send by token", byToken.used, byToken.sends)
	if len(b.gateway.pids) > 0 && byToken.used.gateway > 0 {
		b.figure("CPU per send by topic, times that by token", "×", byTopic.cpu()/byToken.cpu())
	}
	return nil
}
