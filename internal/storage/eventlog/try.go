package eventlog

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/storage/nats"
	"tidegate/internal/topic"
	"tidegate/internal/wire"
)

const (
	// tryTimeout is how long one try waits for the server's answer. While there is no
	// leader nobody answers. An event that is published twice is stored once.
	tryTimeout = 600 * time.Millisecond
	// tryPause is how long to wait before the next, if the server is not there.
	tryPause = 100 * time.Millisecond
)

// appendTry is what the next try publishes of an event.
//
// It expects the topic's newest event to be the predecessor that the entry names, so that
// this is known to be right. If another node was faster, the event is published without
// that expectation, and marked so.
type appendTry struct {
	entry  topic.Entry
	ref    appendRef
	id     string // Nats-Msg-Id: what is stored once
	blind  bool   // no expectation, Prev is not known
	expect uint64 // position of the topic's newest event

	unanswered bool // a try without an answer may have been stored
}

func newTry(e topic.Entry, ref appendRef) appendTry {
	try := appendTry{entry: e, ref: ref, id: ref.String(), expect: e.Prev}
	if e.Key != "" {
		try.id = keyID(e)
	}
	return try
}

// keyID is the Nats-Msg-Id of an event with a key.
func keyID(e topic.Entry) string {
	id := topic.KeyID(e)
	return "=" + base64.RawURLEncoding.EncodeToString(id[:]) // no node has a name with =, so this is no appendRef
}

func (t *appendTry) message(e *nats.Engine) *natsgo.Msg {
	msg := natsgo.NewMsg(topicSubject(e, t.entry.Topic))
	msg.Header[jetstream.MsgIDHeader] = []string{t.id}
	msg.Header[headerRef] = []string{t.ref.String()}
	if !t.blind {
		msg.Header[jetstream.ExpectedLastSubjSeqHeader] = []string{strconv.FormatUint(t.expect, 10)}
	}
	if t.entry.DeletedTo > 0 {
		msg.Header[headerBorn] = []string{strconv.FormatUint(t.entry.DeletedTo, 36)}
	}
	if t.entry.Age > 0 {
		msg.Header[jetstream.MsgTTLHeader] = []string{formatTTL(t.entry.Age)}
	}
	msg.Data = appendEnvelope(make([]byte, 0, len(t.entry.Name)+len(t.entry.Data)+32), t.entry, !t.blind)
	return msg
}

// fits refuses what the server would refuse, or would cut the connection for.
func (l *Log) fits(msg *natsgo.Msg) error {
	const headers = 512 // more than an event ever has
	most := int(l.e.Conn().MaxPayload())
	if size := int(l.config().MaxMsgSize); size > 0 && (most <= 0 || size < most) {
		most = size
	}
	if size := len(msg.Data) + headers; most > 0 && size > most {
		return tooLarge(len(msg.Data), most-headers)
	}
	return nil
}

func tooLarge(size, most int) error {
	return wire.Errorf(http.StatusRequestEntityTooLarge, wire.CodeBodyTooLarge,
		fmt.Sprintf("Event too large: it is %d bytes in the event log, which takes %d", size, most))
}

// verdict is what to do about a try that was not stored.
type verdict int

const (
	giveUp verdict = iota
	tryNow
	tryLater
)

// again decides what to do about a try that was not stored. tryNow and tryLater mean to
// publish what try is now.
func (l *Log) again(try *appendTry, err error) (verdict, error) {
	refusal, refused := errors.AsType[*jetstream.APIError](err)
	_, final := errors.AsType[*wire.Error](err)
	try.unanswered = try.unanswered || !refused && !final
	switch {
	case final:
		return giveUp, err
	case errors.Is(err, natsgo.ErrMaxPayload):
		return giveUp, tooLarge(len(try.entry.Data), int(l.e.Conn().MaxPayload()))
	case errors.Is(err, natsgo.ErrConnectionClosed):
		return giveUp, fmt.Errorf("store event: %w", err)
	case !refused:
		return l.later(err)
	}
	switch refusal.ErrorCode {
	case nats.CodeTooLarge:
		return giveUp, tooLarge(len(try.entry.Data), int(l.config().MaxMsgSize))
	case nats.CodeWrongSequence, nats.CodeSubjectBusy:
		l.tally.add(func(s *Stats) { s.Conflicts++ })
		try.conflict(refusal)
		return tryNow, nil
	case nats.CodeDuplicateBusy:
		return tryLater, err
	}
	if refusal.Code == http.StatusServiceUnavailable {
		return l.later(err)
	}
	return giveUp, fmt.Errorf("store event: %w", err)
}

// later decides to publish again after a pause, unless a server in this process cannot store
// anything. That is checked now.
func (l *Log) later(err error) (verdict, error) {
	l.tally.add(func(s *Stats) { s.Retries++ })
	if l.e.InProcess() {
		l.e.CheckNow()
		if refused := l.e.Writable(); refused != nil {
			return giveUp, fmt.Errorf("store event: %w: %w", refused, err)
		}
	}
	return tryLater, err
}

// conflict is called when the topic's newest event is not the expected one. If it is older,
// or there is none, newer ones have expired. If it is newer, it may be another node's. Or
// it is this event itself, and its answer was lost: the server recognises its id at the next
// try. The position of the newer one is stored, so that nodes that lack it notice.
func (t *appendTry) conflict(refusal *jetstream.APIError) {
	_, number, _ := strings.Cut(refusal.Description, ": ")
	newest, err := strconv.ParseUint(number, 10, 64)
	switch {
	case err != nil:
		t.blind = true
	case newest < t.expect:
		t.expect = newest
	default:
		t.blind, t.entry.Prev = true, newest
	}
}
