package eventlog

import (
	"context"
	"errors"
	"fmt"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/topic"
)

// Last gives the newest stored event of a topic, see [topic.Store].
func (l *Log) Last(ctx context.Context, name string) (topic.Stored, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, logTimeout)
	defer cancel()
	msg, err := l.ev.GetLastMsgForSubject(ctx, topicSubject(l.e, name))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return topic.Stored{}, false, nil
	}
	if err != nil {
		err = fmt.Errorf("look up the newest event: %w", err)
		l.failed(&l.failedLooks, "topic not looked up", name, err)
		return topic.Stored{}, false, err
	}
	e, ok := l.eventOf(&natsgo.Msg{Subject: msg.Subject, Header: msg.Header, Data: msg.Data}, msg.Sequence, msg.Time.UnixNano())
	return e, ok, nil
}

// Time is when the event at a position was stored, or the next one that there is, see
// [topic.Store].
func (l *Log) Time(ctx context.Context, seq uint64) (at int64, exact bool, err error) {
	found, at, err := l.next(ctx, seq)
	return at, found > 0 && found == seq, err
}

// next finds the first event from position seq on; found is 0 if there is none.
func (l *Log) next(ctx context.Context, seq uint64) (found uint64, at int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, logTimeout)
	defer cancel()
	msg, err := l.ev.GetMsg(ctx, max(seq, 1), jetstream.WithGetMsgSubject(">"))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, fmt.Errorf("look up event %d: %w", seq, err)
	}
	return msg.Sequence, msg.Time.UnixNano(), nil
}

// at is the event at a position, and when it was stored. found is false if it is not there
// any more, or cannot be read.
func (l *Log) at(ctx context.Context, seq uint64) (e topic.Entry, at int64, found bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, logTimeout)
	defer cancel()
	msg, err := l.ev.GetMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return e, 0, false, nil
	}
	if err != nil {
		return e, 0, false, fmt.Errorf("look up event %d: %w", seq, err)
	}
	at = msg.Time.UnixNano()
	stored, err := storedOf(l.e, msg.Subject, msg.Header, msg.Data, msg.Sequence, at)
	if err != nil {
		return e, at, false, nil
	}
	return stored.Entry, at, true, nil
}

// Purge deletes the events of a topic whose positions are below before.
func (l *Log) Purge(ctx context.Context, name string, before uint64) error {
	if before <= 1 {
		return nil // to NATS, 0 would be all of them
	}
	ctx, cancel := context.WithTimeout(ctx, logTimeout)
	defer cancel()
	err := l.ev.Purge(ctx, jetstream.WithPurgeSubject(topicSubject(l.e, name)), jetstream.WithPurgeSequence(before))
	if err != nil {
		err = fmt.Errorf("purge topic: %w", err)
		l.failed(&l.failedAppends, "deleted topic not purged", name, err)
		return err
	}
	return nil
}
