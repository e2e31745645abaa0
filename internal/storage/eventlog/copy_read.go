package eventlog

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/storage/nats"
	"tidegate/internal/topic"
)

// Info describes a log.
type Info struct {
	Generation string // first part of all event ids
	Secret     string // key of the seal of event ids; "" if they have none
	First      uint64 // position of the oldest event, and
	Last       uint64 // of the newest one; both may be gone
	Events     uint64
	Bytes      uint64
	MaxBytes   int64
	Discarded  uint64 // see [topic.Store.Discarded]
}

// ReadInfo describes the log on NATS; ok is false if there is none. ctx bounds the request,
// which takes 3 seconds at most.
func ReadInfo(ctx context.Context, e *nats.Engine) (l Info, ok bool, err error) {
	info, err := e.StreamInfo(ctx, e.StreamName("EV"))
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return l, false, nil
	}
	if err != nil {
		return l, false, fmt.Errorf("stream %s: %w", e.StreamName("EV"), err)
	}
	return Info{
		Generation: nats.Generation(info), Secret: nats.Secret(info),
		First: info.State.FirstSeq, Last: info.State.LastSeq,
		Events: info.State.Msgs, Bytes: info.State.Bytes, MaxBytes: info.Config.MaxBytes, Discarded: discardedOf(info),
	}, true, nil
}

const (
	// copyBytes bounds what is under way while a log is copied.
	copyBytes = 16 << 20
	// copyPause is how long to wait for the next event of a log that is read, before the
	// server is asked whether there is one. copyPatience is how long that may go on.
	copyPause    = 2 * time.Second
	copyPatience = 30 * time.Second
)

// ReadAll passes all events up to position last to take, oldest first, each with its
// [topic.KeyID], "" for none. It returns the first error of take. unreadable counts messages
// that are no events of this version. Nodes may use the log meanwhile.
func ReadAll(ctx context.Context, e *nats.Engine, last uint64, take func(s topic.Stored, key string) error) (unreadable int, err error) {
	stream, err := e.JetStream().Stream(ctx, e.StreamName("EV"))
	if err != nil {
		return 0, fmt.Errorf("stream %s: %w", e.StreamName("EV"), err)
	}
	consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy})
	if err != nil {
		return 0, fmt.Errorf("read the event log: %w", err)
	}
	most := max(copyBytes, 2*int(stream.CachedInfo().Config.MaxMsgSize))
	messages, err := consumer.Messages(jetstream.PullMaxBytes(most))
	if err != nil {
		return 0, fmt.Errorf("read the event log: %w", err)
	}
	defer messages.Stop()
	for at, waited := uint64(0), time.Now(); at < last; {
		msg, err := messages.Next(jetstream.NextMaxWait(copyPause))
		switch {
		case ctx.Err() != nil:
			return unreadable, context.Cause(ctx)
		case errors.Is(err, natsgo.ErrTimeout) && time.Since(waited) < copyPatience:
			if left, err := leftOf(ctx, stream, at, last); err != nil || !left {
				return unreadable, err
			}
			continue
		case err != nil:
			return unreadable, fmt.Errorf("read the event log: %w", err)
		}
		meta, err := msg.Metadata()
		if err != nil {
			return unreadable, fmt.Errorf("read the event log: %w", err)
		}
		if at, waited = meta.Sequence.Stream, time.Now(); at > last {
			break
		}
		s, err := storedOf(e, msg.Subject(), msg.Headers(), msg.Data(), at, meta.Timestamp.UnixNano())
		if err != nil {
			unreadable++
		} else if err := take(s, keyIDIn(msg.Headers())); err != nil {
			return unreadable, err
		}
		if meta.NumPending == 0 {
			break
		}
	}
	return unreadable, nil
}

// leftOf reports whether there is an event behind position at, up to last. It may have
// expired meanwhile.
func leftOf(ctx context.Context, stream jetstream.Stream, at, last uint64) (bool, error) {
	msg, err := stream.GetMsg(ctx, at+1, jetstream.WithGetMsgSubject(">"))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read the event log: %w", err)
	}
	return msg.Sequence <= last, nil
}

// keyIDIn is the [topic.KeyID] in a message's headers, "" if it has none.
func keyIDIn(header natsgo.Header) string {
	text, ok := strings.CutPrefix(header.Get(jetstream.MsgIDHeader), "=")
	if !ok {
		return ""
	}
	id, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return ""
	}
	return string(id)
}

// Delete deletes the log with all events.
func Delete(ctx context.Context, e *nats.Engine) error {
	err := e.JetStream().DeleteStream(ctx, e.StreamName("EV"))
	if err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("delete stream %s: %w", e.StreamName("EV"), err)
	}
	return e.Sync()
}
