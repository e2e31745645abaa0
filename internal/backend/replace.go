package backend

import (
	"context"
	"fmt"

	"sluice/internal/wire"
)

// maxReplaceStreams bounds the streams of one identifier that are looked at.
const maxReplaceStreams = 1000

// replaceOlder ends the streams that the one of token takes the place of. Which
// of two streams is the newer, their sequence says, not the order in which
// their callbacks came or were handled: of two that connect at the same time
// one sees the other as older, and never each the other.
//
// It is a tidying-up: when it fails, an old stream lives on beside the new one,
// which harms nobody, and the connect succeeds.
func (m *manager) replaceOlder(ctx context.Context, token string, r route) {
	for _, topic := range identity(r) {
		if err := m.replaceAt(ctx, topic, token, r); err != nil {
			m.log.Warn("older streams not replaced", "identifier", topic, "cause", err)
			return
		}
	}
}

// identity is what makes two streams the same client: the request id, which is
// the client's own, or else the tasks that are watched.
func identity(r route) []string {
	if r.requestID != "" {
		return []string{versionTopic(r.requestID)}
	}
	return r.topics()
}

func (m *manager) replaceAt(ctx context.Context, topic, token string, r route) error {
	streams, err := m.streamsOf(ctx, topic)
	if err != nil {
		return err
	}
	for _, old := range olderThan(token, streams, r) {
		err := m.client.CloseStream(ctx, old.Token, wire.DetailReplaced)
		if isCode(err, wire.CodeTokenNotFound) {
			continue // it ended by itself
		}
		if err != nil {
			return err
		}
		m.metrics.replaced.Inc()
	}
	return nil
}

func (m *manager) streamsOf(ctx context.Context, topic string) ([]wire.StreamInfo, error) {
	var streams []wire.StreamInfo
	for s, err := range m.client.AllStreams(ctx, StreamQuery{Topic: topic}) {
		if err != nil {
			return nil, err
		}
		if len(streams) == maxReplaceStreams {
			return nil, fmt.Errorf("more than %d streams", maxReplaceStreams)
		}
		streams = append(streams, s)
	}
	return streams, nil
}

// olderThan chooses the streams that the one of token replaces. There are none
// if that stream is gone itself.
func olderThan(token string, streams []wire.StreamInfo, r route) []wire.StreamInfo {
	var mine uint64
	for _, s := range streams {
		if s.Token == token {
			mine = s.Sequence
		}
	}
	var older []wire.StreamInfo
	for _, s := range streams {
		if s.Token != token && s.Sequence < mine && covers(r, s.Topics) {
			older = append(older, s)
		}
	}
	return older
}

// covers reports whether nobody misses a stream with these topics once there is
// one of r. A stream of tasks must not end one that also carries other things.
func covers(r route, topics []string) bool {
	if r.requestID != "" {
		return true
	}
	mine := make(map[string]bool, len(r.tasks))
	for _, topic := range r.topics() {
		mine[topic] = true
	}
	for _, topic := range topics {
		if !mine[topic] {
			return false
		}
	}
	return true
}
