package backend

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"tidegate/client"
	"tidegate/internal/wire"
)

// maxReplaceStreams bounds the streams of one identifier that are compared.
const maxReplaceStreams = 1000

// replaceOlder ends the streams that the one of token replaces. The sequence of a
// stream decides which is newer, not the order of callbacks. Of two that connect at the
// same time, the one that lists last finds the other. It ends the older of the two, be it
// the other or itself.
//
// A failure is logged and the connect succeeds: an old stream then stays open beside the
// new one, which does no harm.
func (m *manager) replaceOlder(ctx context.Context, token string, r route) {
	for _, topic := range identity(r) {
		if err := m.replaceAt(ctx, topic, token, r); err != nil {
			m.log.Warn("could not end older streams of an identifier", "identifier", topic, "cause", err)
			return
		}
	}
}

// identity returns the topics by which two streams count as one client: that of the
// request id, or else those of the tasks.
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
			continue // it has ended meanwhile
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

// outdated returns the tokens of the streams to end: those that the stream of token
// replaces, and its own if another one replaces it. There are none if that stream has
// ended.
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

// covers reports whether a stream of r replaces one with these topics. A stream of tasks
// must not end one that also carries other topics.
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

// coveredBy is the reverse of covers: whether a stream with these topics replaces one of
// r.
func coveredBy(topics []string, r route) bool {
	if r.requestID != "" {
		return true
	}
	if slices.Contains(topics, allVersions) {
		return false // its identity is its request id
	}
	return !slices.ContainsFunc(r.topics(), func(topic string) bool { return !slices.Contains(topics, topic) })
}
