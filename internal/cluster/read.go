package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"sluice/internal/topic"
)

const (
	// readBatch is how many events are asked for at once.
	readBatch = 256
	// readPatience is how long the server may take for a batch.
	readPatience = 5 * time.Second
)

// errReadCut: the server ended before it had given all.
var errReadCut = errors.New("cluster: the read of a topic was cut short")

// Read gives the stored events of a topic, see [topic.Store]. Four reads at most
// are under way, others wait until ctx ends. What expires meanwhile may be given
// or not.
func (l *Log) Read(
	ctx context.Context, name string, from, before uint64, yield func(topic.Stored) error,
) error {
	from = max(from, 1)
	if from >= before {
		return nil
	}
	select {
	case l.reads <- struct{}{}:
		defer func() { <-l.reads }()
	case <-ctx.Done():
		return fmt.Errorf("wait for other reads: %w", context.Cause(ctx))
	}
	l.tally.add(func(s *LogStats) { s.Reads++ })
	r := &topicRead{l: l, subject: l.e.topicSubject(name), next: from, before: before, yield: yield}
	if config := l.config(); config.AllowDirect && config.Replicas <= 1 && !l.noBatch {
		return r.direct(ctx)
	}
	return r.leader(ctx)
}

// topicRead is one Read.
type topicRead struct {
	l            *Log
	subject      string
	next, before uint64 // what is to be given yet is in [next, before)
	yield        func(topic.Stored) error
}

// give hands on a message. What cannot be read is left out, as the tail does.
func (r *topicRead) give(msg *nats.Msg, seq uint64, at time.Time) error {
	r.next = seq + 1
	e, err := r.l.e.storedOf(r.subject, msg.Header, msg.Data, seq, at.UnixNano())
	if err != nil {
		r.l.tally.add(func(s *LogStats) { s.Unreadable++ })
		return nil
	}
	return r.yield(e)
}
