package eventlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/storage/nats"
	"tidegate/internal/topic"
)

// A stored event is the payload of one message:
//
//	version   1 byte, envelopeVersion
//	flags     1 byte, see below
//	number    uvarint, Entry.Number
//	prev      uvarint, Entry.Prev
//	name      uvarint length, and the bytes
//	data      the rest
//
// Its topic is in the subject. Headers have what NATS needs, who published the event, and
// fields that were added later, which nodes of an older version ignore.
const envelopeVersion = 1

const (
	flagEvent = 1 << iota
	flagClose
	flagDelete
	flagPrevKnown
	flagsKnown = 1<<iota - 1
)

// headerRef has the node that published an event and its number there: NODE.NUMBER.
const headerRef = "Sl-Ref"

// headerBorn has Entry.Born, if that is not 0.
const headerBorn = "Sl-Born"

var (
	errEnvelope = errors.New("eventlog: not an event of this version")
	errSubject  = errors.New("eventlog: not the subject of a topic")
)

// appendEnvelope appends the stored form of an event.
func appendEnvelope(dst []byte, e topic.Entry, prevKnown bool) []byte {
	var flags byte
	for i, set := range [...]bool{e.HasEvent, e.Close, e.Delete, prevKnown} { // in the order of the flags
		if set {
			flags |= 1 << i
		}
	}
	dst = append(dst, envelopeVersion, flags)
	dst = binary.AppendUvarint(dst, e.Number)
	dst = binary.AppendUvarint(dst, e.Prev)
	dst = binary.AppendUvarint(dst, uint64(len(e.Name)))
	dst = append(dst, e.Name...)
	return append(dst, e.Data...)
}

// parseEnvelope parses what appendEnvelope appends. It returns errEnvelope for anything
// else.
func parseEnvelope(b []byte) (e topic.Entry, prevKnown bool, err error) {
	if len(b) < 2 || b[0] != envelopeVersion || b[1]&^flagsKnown != 0 {
		return e, false, errEnvelope
	}
	flags, b := b[1], b[2:]
	var nameLen uint64
	for _, n := range []*uint64{&e.Number, &e.Prev, &nameLen} {
		size := 0
		if *n, size = binary.Uvarint(b); size <= 0 {
			return topic.Entry{}, false, errEnvelope
		}
		b = b[size:]
	}
	if nameLen > uint64(len(b)) {
		return topic.Entry{}, false, errEnvelope
	}
	text := string(b) // one copy for both
	e.Name, e.Data = text[:nameLen], text[nameLen:]
	e.HasEvent, e.Close, e.Delete = flags&flagEvent != 0, flags&flagClose != 0, flags&flagDelete != 0
	return e, flags&flagPrevKnown != 0, nil
}

// storedOf reads a message of the log.
func storedOf(e *nats.Engine, subject string, header natsgo.Header, data []byte, seq uint64, at int64) (topic.Stored, error) {
	name, ok := topicOf(e, subject)
	if !ok {
		return topic.Stored{}, fmt.Errorf("event %d at %q: %w", seq, subject, errSubject)
	}
	entry, prevKnown, err := parseEnvelope(data)
	if err != nil {
		return topic.Stored{}, fmt.Errorf("event %d: %w", seq, err)
	}
	entry.Topic, entry.Age = name, parseTTL(header.Get(jetstream.MsgTTLHeader))
	if born := header.Get(headerBorn); born != "" {
		if entry.DeletedTo, err = strconv.ParseUint(born, 36, 64); err != nil {
			return topic.Stored{}, fmt.Errorf("event %d: %w", seq, errEnvelope)
		}
	}
	// A publisher that has not noticed that the log went back may name a lost event.
	prevKnown = prevKnown && entry.Prev < seq
	return topic.Stored{Entry: entry, Seq: seq, At: at, PrevKnown: prevKnown}, nil
}

// eventOf reads a message of the log for the hub. ok is false if its subject is not one of a
// topic. A message that is no event of this version is logged, and counts as a hole.
func (l *Log) eventOf(msg *natsgo.Msg, seq uint64, at int64) (e topic.Stored, ok bool) {
	e, err := storedOf(l.e, msg.Subject, msg.Header, msg.Data, seq, at)
	if err == nil {
		return e, true
	}
	l.tally.add(func(s *Stats) { s.Unreadable++ })
	l.log.Error("no event of this version: clients that may need it get a reset", "subject", msg.Subject, "position", seq, "error", err)
	name, ok := topicOf(l.e, msg.Subject)
	return topic.Stored{Entry: topic.Entry{Topic: name}, Seq: seq, At: at, Unreadable: true}, ok
}

// formatTTL writes an age as NATS takes it, in whole seconds.
func formatTTL(age time.Duration) string {
	seconds := (age + time.Second - 1) / time.Second
	return strconv.FormatInt(int64(seconds), 10) + "s"
}

// parseTTL reads what formatTTL writes; 0 for none.
func parseTTL(s string) time.Duration {
	if s == "" {
		return 0
	}
	age, err := time.ParseDuration(s)
	if err != nil {
		return 0
	}
	return age
}

// appendRef names an event on its way: the node that publishes it, and its number there.
type appendRef struct {
	node string
	n    uint64
}

func (r appendRef) String() string { return r.node + "." + r.number() }

// number is the event's number at its node.
func (r appendRef) number() string { return strconv.FormatUint(r.n, 36) }

func parseRef(s string) (r appendRef, ok bool) {
	i := strings.LastIndexByte(s, '.')
	if i < 1 {
		return r, false
	}
	n, err := strconv.ParseUint(s[i+1:], 36, 64)
	return appendRef{node: s[:i], n: n}, err == nil
}
