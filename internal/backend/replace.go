package backend

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"tidegate/client"
	"tidegate/internal/wire"
)

// maxReplaceStreams bounds the streams of one identifier that are looked at.
const maxReplaceStreams = 1000

// replaceOlder ends the streams that the one of token takes the place of. Which
// of two streams is the newer, their sequence says, not the order in which
// their callbacks came or were handled. Of two that connect at the same time
// the one that looks last finds the other: it ends that one if it is older, and
// itself if it is newer.
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
	for _, old := range outdated(token, streams, r) {
		err := m.gateway.EndStream(ctx, old, string(wire.DetailReplaced))
		if client.CodeOf(err) == client.CodeTokenNotFound {
			continue // it ended by itself
		}
		if err != nil {
			return err
		}
		m.metrics.replaced.Inc()
	}
	return nil
}

func (m *manager) streamsOf(ctx context.Context, topic string) ([]client.Stream, error) {
	var streams []client.Stream
	for s, err := range m.gateway.Streams(ctx, client.StreamQuery{Topic: topic}) {
		if isIncomplete(err) {
			return streams, nil // streams of a node that is away are replaced another time
		}
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

func isIncomplete(err error) bool {
	_, ok := errors.AsType[*client.IncompleteError](err)
	return ok
}

// outdated chooses the streams that have to go, by their tokens: those that the
// one of token replaces, and itself if there is one that replaces it. There are
// none if that stream is gone already.
func outdated(token string, streams []client.Stream, r route) []string {
	own := slices.IndexFunc(streams, func(s client.Stream) bool { return s.Token == token })
	if own < 0 {
		return nil
	}
	mine, replaced := streams[own], false
	var tokens []string
	for _, s := range streams {
		switch {
		case s.Sequence < mine.Sequence && covers(r, s.Topics):
			tokens = append(tokens, s.Token)
		case s.Sequence > mine.Sequence && coveredBy(s.Topics, r):
			replaced = true
		}
	}
	if replaced {
		tokens = append(tokens, token)
	}
	return tokens
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

// coveredBy is covers from the other side: whether a stream with these topics
// replaces one of r.
func coveredBy(topics []string, r route) bool {
	if r.requestID != "" {
		return true
	}
	if slices.Contains(topics, allVersions) {
		return false // its identity is its request id
	}
	return !slices.ContainsFunc(r.topics(), func(topic string) bool { return !slices.Contains(topics, topic) })
}
