package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// directRequest asks for some messages of a subject at once, NATS ADR-31.
type directRequest struct {
	Seq      uint64 `json:"seq"`
	Batch    int    `json:"batch"`
	MaxBytes int    `json:"max_bytes"`
	NextFor  string `json:"next_by_subj"`
}

// directBytes bounds one batch. A batch has one message at least.
const directBytes = 4 << 20

// direct reads where there is one replica: that has all that was ever
// acknowledged, and many messages are had for one request.
//
// The messages come as plain ones, of which some may be lost with a connection.
// So each batch is taken as a whole, to its end mark, before it is handed on.
func (r *topicRead) direct(ctx context.Context) error {
	inbox := r.l.e.nc.NewInbox()
	sub, err := r.l.e.nc.SubscribeSync(inbox)
	if err != nil {
		return fmt.Errorf("read topic: %w", err)
	}
	defer unsubscribe(sub)
	for more := true; more; {
		var batch directBatch
		if err := r.request(ctx, sub, inbox, &batch); err != nil {
			return err
		}
		for _, m := range batch.messages {
			if m.seq >= r.before {
				return nil
			}
			if err := r.give(m.msg, m.seq, m.at); err != nil {
				return err
			}
		}
		more = batch.pending > 0 && r.next < r.before
	}
	return nil
}

func (r *topicRead) request(ctx context.Context, sub *nats.Subscription, inbox string, batch *directBatch) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readPatience, errReadCut)
	defer cancel()
	size := int(min(readBatch, r.before-r.next)) // there cannot be more
	ask, err := json.Marshal(directRequest{Seq: r.next, Batch: size, MaxBytes: directBytes, NextFor: r.subject})
	if err != nil {
		return fmt.Errorf("read topic: %w", err)
	}
	if err := r.l.e.nc.PublishRequest(r.l.api("DIRECT.GET."+r.l.name), inbox, ask); err != nil {
		return fmt.Errorf("read topic: %w", err)
	}
	for ended := false; !ended; {
		msg, err := sub.NextMsgWithContext(ctx)
		if cause := context.Cause(ctx); err != nil && cause != nil {
			err = cause
		}
		if err != nil {
			return fmt.Errorf("read topic: %w", err)
		}
		if ended, err = batch.add(msg); err != nil {
			return fmt.Errorf("read topic: %w", err)
		}
	}
	return nil
}

// api is a subject of the JetStream API, for what nats.go has no function for.
func (l *Log) api(subject string) string {
	options := l.e.js.Options()
	switch {
	case options.Domain != "":
		return "$JS." + options.Domain + ".API." + subject
	case options.APIPrefix != "":
		return strings.TrimSuffix(options.APIPrefix, ".") + "." + subject
	}
	return jetstream.DefaultAPIPrefix + subject
}

// directBatch is the answer to a request, once add has said that it has ended.
type directBatch struct {
	messages []directMessage
	pending  uint64 // messages of the subject that come after these
}

type directMessage struct {
	msg *nats.Msg
	seq uint64
	at  time.Time
}

// add takes the next message of an answer. Each one, and the end mark, says which
// one it follows; anything else than the whole of them is errReadCut.
func (b *directBatch) add(msg *nats.Msg) (ended bool, err error) {
	switch status := msg.Header.Get("Status"); status {
	case "":
		return false, b.message(msg)
	case "204":
		if msg.Header.Get("Nats-Last-Sequence") != b.last() {
			return false, errReadCut
		}
		b.pending, err = strconv.ParseUint(msg.Header.Get("Nats-Num-Pending"), 10, 64)
		return true, err
	case "404": // there is none
		if len(b.messages) > 0 {
			return false, errReadCut
		}
		return true, nil
	default:
		return false, fmt.Errorf("%w: %s %s", errReadCut, status, msg.Header.Get("Description"))
	}
}

func (b *directBatch) message(msg *nats.Msg) error {
	if msg.Header.Get("Nats-Last-Sequence") != b.last() {
		return errReadCut
	}
	seq, err := strconv.ParseUint(msg.Header.Get("Nats-Sequence"), 10, 64)
	if err != nil {
		return fmt.Errorf("%w: %w", errReadCut, err)
	}
	at, err := time.Parse(time.RFC3339Nano, msg.Header.Get("Nats-Time-Stamp"))
	if err != nil {
		return fmt.Errorf("%w: %w", errReadCut, err)
	}
	b.messages = append(b.messages, directMessage{msg: msg, seq: seq, at: at})
	return nil
}

// last is the position of the newest message, as the server writes it.
func (b *directBatch) last() string {
	if len(b.messages) == 0 {
		return "0"
	}
	return strconv.FormatUint(b.messages[len(b.messages)-1].seq, 10)
}
