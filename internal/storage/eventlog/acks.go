package eventlog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// pubAck is the server's answer to an event that was published.
type pubAck struct {
	seq       uint64
	duplicate bool  // it was stored before, with the same id
	err       error // not stored: a *jetstream.APIError, or no stream takes the subject
}

// ackInbox receives the server's answers to all events that are published. The last part of
// an answer's subject is the event's number.
type ackInbox struct {
	head []byte // set once: the beginning of an answer that has a position and nothing else

	mu     sync.Mutex
	prefix string // guarded by mu, like all below
	sub    *natsgo.Subscription
	closed bool
}

func (b *ackInbox) init(stream string) { b.head = fmt.Appendf(nil, `{"stream":%q,"seq":`, stream) }

// open subscribes, once, and returns the beginning of the answers' subjects.
func (b *ackInbox) open(l *Log) (prefix string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sub != nil || b.closed {
		return b.prefix, nil
	}
	prefix = l.e.Conn().NewInbox() + "."
	b.sub, err = l.e.Conn().Subscribe(prefix+"*", func(msg *natsgo.Msg) {
		if n, err := strconv.ParseUint(msg.Subject[len(prefix):], 36, 64); err == nil {
			l.inflight.answered(n, b.parse(msg))
		}
	})
	if err != nil {
		return "", fmt.Errorf("listen to the event log's answers: %w", err)
	}
	b.prefix = prefix
	return prefix, nil
}

func (b *ackInbox) close() {
	b.mu.Lock()
	sub := b.sub
	b.closed, b.sub = true, nil
	b.mu.Unlock()
	unsubscribe(sub)
}

// parse reads an answer. The usual one is parsed by hand, because there is one for each
// event.
func (b *ackInbox) parse(msg *natsgo.Msg) pubAck {
	if len(msg.Data) == 0 { // its status says that no stream takes the subject now
		return pubAck{err: jetstream.ErrNoStreamResponse}
	}
	if rest, ok := bytes.CutPrefix(msg.Data, b.head); ok {
		if seq, ok := position(rest); ok {
			return pubAck{seq: seq}
		}
	}
	return parseAck(msg.Data)
}

// position reads the end of a plain answer: a number and a brace.
func position(b []byte) (seq uint64, ok bool) {
	last := len(b) - 1
	if last < 1 || last > 19 || b[last] != '}' || b[0] == '0' {
		return 0, false
	}
	for _, c := range b[:last] {
		if c < '0' || c > '9' {
			return 0, false
		}
		seq = seq*10 + uint64(c-'0')
	}
	return seq, true
}

// parseAck reads any answer. If it cannot be read, the event is published again.
func parseAck(b []byte) pubAck {
	var answer struct {
		Error     *jetstream.APIError `json:"error"`
		Stream    string              `json:"stream"`
		Seq       uint64              `json:"seq"`
		Duplicate bool                `json:"duplicate"`
	}
	switch err := json.Unmarshal(b, &answer); {
	case err != nil:
		return pubAck{err: fmt.Errorf("answer of the event log: %w", err)}
	case answer.Error != nil:
		return pubAck{err: answer.Error}
	case answer.Stream == "" || answer.Seq == 0:
		return pubAck{err: jetstream.ErrInvalidJSAck}
	}
	return pubAck{seq: answer.Seq, duplicate: answer.Duplicate}
}
