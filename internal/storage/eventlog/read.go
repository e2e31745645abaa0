package eventlog

import (
	"context"
	"fmt"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/topic"
)

// Read passes the stored events of a topic to yield, see [topic.Store]. maxReads reads are
// under way at once; others wait until ctx ends. Events that expire meanwhile may be
// missing.
func (l *Log) Read(
	ctx context.Context, name string, from, before uint64, yield func(topic.Stored) error,
) error {
	var c chain
	return l.read(ctx, name, from, before, func(msg *natsgo.Msg, seq uint64, at time.Time) error {
		e, ok := l.eventOf(msg, seq, at.UnixNano())
		if !ok {
			return nil
		}
		l.suspect(c.hole(e))
		return yield(e)
	})
}

// Find looks for an event by its key, see [topic.Store]. It is a read like others.
func (l *Log) Find(
	ctx context.Context, e topic.Entry, from, before uint64,
) (found topic.Appended, ok bool, err error) {
	id, same := keyID(e), true
	err = l.read(ctx, e.Topic, from, before, func(msg *natsgo.Msg, seq uint64, at time.Time) error {
		if msg.Header.Get(jetstream.MsgIDHeader) != id {
			return nil
		}
		found, ok = topic.Appended{Seq: seq, At: at.UnixNano(), Repeat: true}, true
		first, err := storedOf(l.e, msg.Subject, msg.Header, msg.Data, seq, at.UnixNano())
		same = err != nil || first.SameContent(&e) // of the latest: the key may have been used before
		return nil
	})
	if ok && err == nil && !same {
		return topic.Appended{}, false, topic.ErrMismatch
	}
	return found, ok && err == nil, err
}

// takeMessage takes a message of the log. An error ends the read.
type takeMessage func(msg *natsgo.Msg, seq uint64, at time.Time) error

func (l *Log) read(ctx context.Context, name string, from, before uint64, take takeMessage) error {
	var enough error // of take
	err := l.readRange(ctx, name, from, before, func(msg *natsgo.Msg, seq uint64, at time.Time) error {
		enough = take(msg, seq, at)
		return enough
	})
	if enough == nil {
		l.failed(&l.failedReads, "topic not read", name, err)
	}
	return err
}

func (l *Log) readRange(ctx context.Context, name string, from, before uint64, take takeMessage) error {
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
	l.tally.add(func(s *Stats) { s.Reads++ })
	r := &topicRead{l: l, subject: topicSubject(l.e, name), next: from, before: before, take: take}
	return r.run(ctx)
}
