package eventlog

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/storage/nats"
	"tidegate/internal/topic"
)

// ErrNotEmpty is returned by [WriteAll] if the log has events already.
var ErrNotEmpty = errors.New("the event log has events already")

// undoTimeout bounds emptying a log that could not be copied.
const undoTimeout = 30 * time.Second

// copyAcks bounds the events that are under way while a log is written.
const copyAcks = 512

// logCopy writes the events of another log to an empty one, in order. They get new positions
// here, and references to predecessors are mapped to them.
type logCopy struct {
	e       *nats.Engine
	at      uint64            // position of the newest event
	now     map[string]uint64 // topic → its newest position here
	born    map[string]uint64 // topic → where it was deleted here
	waiting []jetstream.PubAckFuture
	bytes   int
}

// WriteAll makes the log on NATS, which must be empty, and writes the events that next gives
// until next returns false. They get new times and positions; expired ones are left out. If
// it fails it empties the log again. It returns how many were written.
func WriteAll(ctx context.Context, e *nats.Engine, next func() (s topic.Stored, more bool, err error)) (written int, err error) {
	stream, err := e.EventStream(ctx)
	if err != nil {
		return 0, err
	}
	info, err := stream.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("stream %s: %w", e.StreamName("EV"), err)
	}
	if info.State.Msgs > 0 {
		return 0, fmt.Errorf("stream %s: %w: %d", e.StreamName("EV"), ErrNotEmpty, info.State.Msgs)
	}
	c := &logCopy{e: e, at: info.State.LastSeq, now: map[string]uint64{}, born: map[string]uint64{}}
	if written, err = c.run(ctx, next); err == nil {
		return written, e.Sync()
	}
	again, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	for range c.waiting {
		if c.awaitAcks(again) == nil { // events under way may still be stored
			break
		}
	}
	return written, errors.Join(err, Empty(again, e))
}

// Empty deletes all events of the log.
func Empty(ctx context.Context, e *nats.Engine) error {
	stream, err := e.JetStream().Stream(ctx, e.StreamName("EV"))
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	if err == nil {
		err = stream.Purge(ctx)
	}
	if err != nil {
		return fmt.Errorf("empty stream %s: %w", e.StreamName("EV"), err)
	}
	return nil
}

func (c *logCopy) run(ctx context.Context, next func() (topic.Stored, bool, error)) (written int, err error) {
	for {
		s, more, err := next()
		if err != nil {
			return written, err
		}
		if !more {
			return written, c.awaitAcks(ctx)
		}
		if s.Age > 0 {
			if s.Age -= time.Since(time.Unix(0, s.At)); s.Age <= 0 {
				continue
			}
		}
		if err := c.write(ctx, s); err != nil {
			return written, err
		}
		written++
	}
}

// write publishes an event on condition that nothing else was written. So its position is
// known before it is stored.
func (c *logCopy) write(ctx context.Context, s topic.Stored) error {
	msg := natsgo.NewMsg(topicSubject(c.e, s.Topic))
	if s.Prev > 0 {
		s.Prev = c.now[s.Topic]
	}
	if s.DeletedTo > 0 {
		s.DeletedTo = c.born[s.Topic]
	}
	if s.DeletedTo > 0 {
		msg.Header[headerBorn] = []string{strconv.FormatUint(s.DeletedTo, 36)}
	}
	if s.Age > 0 {
		msg.Header[jetstream.MsgTTLHeader] = []string{formatTTL(s.Age)}
	}
	msg.Header[jetstream.ExpectedLastSeqHeader] = []string{strconv.FormatUint(c.at, 10)}
	msg.Data = appendEnvelope(make([]byte, 0, len(s.Name)+len(s.Data)+32), s.Entry, s.PrevKnown)
	ack, err := c.e.JetStream().PublishMsgAsync(msg, jetstream.WithRetryAttempts(0))
	if err != nil {
		return fmt.Errorf("write event: %w", err)
	}
	c.at++
	if c.now[s.Topic] = c.at; s.Delete {
		c.born[s.Topic] = c.at
	}
	c.waiting, c.bytes = append(c.waiting, ack), c.bytes+len(msg.Data)
	if len(c.waiting) < copyAcks && c.bytes < copyBytes {
		return nil
	}
	return c.awaitAcks(ctx)
}

// awaitAcks waits until all that is under way is stored.
func (c *logCopy) awaitAcks(ctx context.Context) error {
	late := time.NewTimer(copyPatience)
	defer late.Stop()
	for len(c.waiting) > 0 {
		ack := c.waiting[0]
		c.waiting = c.waiting[1:]
		select {
		case <-ack.Ok():
		case err := <-ack.Err():
			return fmt.Errorf("write event: %w", withFullCode(err))
		case <-late.C:
			return fmt.Errorf("write event: %w", errUnanswered)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	c.waiting, c.bytes = nil, 0
	return nil
}
