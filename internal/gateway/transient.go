package gateway

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"

	"tidegate/internal/stream"
	"tidegate/internal/topic"
	"tidegate/internal/wire"
)

// publishTransient gives a transient event to the streams that are at its topic now:
// here at once, and on each other node as soon as it has been asked. If a node does not
// answer, its streams miss the event: it is not asked again.
func (g *Gateway) publishTransient(ctx context.Context, b *stream.Batch, m wire.Message) (wire.SendAnswer, error) {
	own := b == nil || g.opts.Peers != nil // then it is written before other nodes are asked
	if own {
		b = stream.NewBatch()
	}
	receivers, err := g.opts.Topics.PublishTransient(b, topic.Publication{Topic: m.Topic, HasEvent: true, Name: m.Name, Data: m.Data})
	if own {
		b.Flush()
	}
	if err != nil {
		return wire.SendAnswer{}, err
	}
	if g.opts.Peers != nil && !isFromPeer(ctx) {
		receivers += g.publishTransientElsewhere(ctx, m)
	}
	return wire.SendAnswer{Status: wire.StatusOK, Receivers: &receivers}, nil
}

// publishTransientElsewhere asks the other nodes to do the same, and counts their streams.
// publishTransientElsewhere asks the other nodes to do the same, and counts their
// streams.
func (g *Gateway) publishTransientElsewhere(ctx context.Context, m wire.Message) (receivers int) {
	others := g.opts.Peers.Others()
	if len(others) == 0 {
		return 0
	}
	body := transientBody(m)
	var mu sync.Mutex
	var asked sync.WaitGroup
	for _, node := range others {
		asked.Go(func() {
			got, err := g.ask(ctx, node, wire.PeerRequest{
				Method: http.MethodPost, Target: "/internal/send", ContentType: typeJSON, Body: body,
			})
			var answer wire.SendAnswer
			if err != nil || json.Unmarshal(got, &answer) != nil || answer.Receivers == nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			receivers += *answer.Receivers
		})
	}
	asked.Wait()
	return receivers
}

// transientBody is a transient message as it is sent to another node.
func transientBody(m wire.Message) []byte {
	b := wire.AppendJSONString([]byte(`{"topic":`), m.Topic)
	b = wire.AppendJSONString(append(b, `,"event":{"transient":true,"name":`...), m.Name)
	b = wire.AppendJSONString(append(b, `,"data":`...), m.Data)
	return append(b, "}}"...)
}
