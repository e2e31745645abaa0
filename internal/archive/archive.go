// Package archive writes event logs as text and reads them: the format of `tidegate storage export`
// and `tidegate storage import`. Each line is a JSON object.
//
// The first line describes the log. The last line has the number of events, so a reader notices an
// archive that was cut off. The lines between are events, oldest first. Texts that are not UTF-8 are
// base64, and their line says so.
package archive

import (
	"encoding/base64"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"tidegate/internal/topic"
)

// Header is the first line.
type Header struct {
	Format     string `json:"format"` // [Format]
	Version    int    `json:"version"`
	Generation string `json:"generation"`          // the first part of every id
	Secret     string `json:"secret,omitempty"`    // seals the ids; the archive is as private as the log
	Last       uint64 `json:"last"`                // position of the newest event ever
	Discarded  uint64 `json:"discarded,omitempty"` // below it, events may have been deleted for lack of room
}

const (
	// Format is the format that the first line names.
	Format  = "tidegate-log"
	version = 1
)

// trailer is the last line.
type trailer struct {
	End    bool   `json:"end"`
	Events uint64 `json:"events"`
}

// line is an event.
type line struct {
	Seq       uint64 `json:"seq"`
	Time      string `json:"time"` // RFC 3339, to the nanosecond
	Topic     string `json:"topic"`
	Name      string `json:"name,omitempty"`
	Data      string `json:"data,omitempty"`
	NoEvent   bool   `json:"no_event,omitempty"` // the line only closes or deletes the topic
	Close     bool   `json:"close,omitempty"`
	Delete    bool   `json:"delete,omitempty"`
	Number    uint64 `json:"number,omitempty"`
	Prev      uint64 `json:"prev,omitempty"`
	PrevKnown bool   `json:"prev_known,omitempty"`
	Born      uint64 `json:"born,omitempty"`
	Age       string `json:"age,omitempty"` // after which it expires
	Key       string `json:"key,omitempty"` // base64 of [Event.KeyID]
	Encoding  string `json:"encoding,omitempty"`

	End    bool   `json:"end,omitempty"` // the trailer
	Events uint64 `json:"events,omitempty"`
}

const encodingBase64 = "base64"

// Event is an event of a log.
type Event struct {
	topic.Stored
	KeyID string // [topic.KeyID] of its key, "" if it has none
}

// lineOf encodes an event.
func lineOf(e Event) line {
	l := line{
		Seq: e.Seq, Time: time.Unix(0, e.At).UTC().Format(time.RFC3339Nano),
		Topic: e.Topic, Name: e.Name, Data: e.Data,
		NoEvent: !e.HasEvent, Close: e.Close, Delete: e.Delete,
		Number: e.Number, Prev: e.Prev, PrevKnown: e.PrevKnown, Born: e.DeletedTo,
		Key: base64.StdEncoding.EncodeToString([]byte(e.KeyID)),
	}
	if e.Age > 0 {
		l.Age = e.Age.String()
	}
	if !utf8.ValidString(e.Topic) || !utf8.ValidString(e.Name) || !utf8.ValidString(e.Data) {
		l.Encoding = encodingBase64
		for _, text := range []*string{&l.Topic, &l.Name, &l.Data} {
			*text = base64.StdEncoding.EncodeToString([]byte(*text))
		}
	}
	return l
}

// errLine says that a line is no valid event.
var errLine = errors.New("no valid event")

// event decodes a line.
func (l line) event() (e Event, err error) {
	switch l.Encoding {
	case "":
	case encodingBase64:
		for _, text := range []*string{&l.Topic, &l.Name, &l.Data} {
			b, err := base64.StdEncoding.DecodeString(*text)
			if err != nil {
				return e, errLine
			}
			*text = string(b)
		}
	default:
		return e, fmt.Errorf("%w: encoding %q", errLine, l.Encoding)
	}
	at, err := time.Parse(time.RFC3339Nano, l.Time)
	if err != nil {
		return e, fmt.Errorf("%w: time %q", errLine, l.Time)
	}
	key, err := base64.StdEncoding.DecodeString(l.Key)
	if err != nil || len(key) != 0 && len(key) != len(topic.KeyID(topic.Entry{})) {
		return e, fmt.Errorf("%w: key %q", errLine, l.Key)
	}
	e = Event{KeyID: string(key), Stored: topic.Stored{
		Seq: l.Seq, At: at.UnixNano(), PrevKnown: l.PrevKnown,
		Entry: topic.Entry{
			Topic: l.Topic, Name: l.Name, Data: l.Data,
			HasEvent: !l.NoEvent, Close: l.Close, Delete: l.Delete,
			Number: l.Number, Prev: l.Prev, DeletedTo: l.Born,
		},
	}}
	if l.Age != "" {
		if e.Age, err = time.ParseDuration(l.Age); err != nil || e.Age <= 0 {
			return e, fmt.Errorf("%w: age %q", errLine, l.Age)
		}
	}
	return e, e.check()
}

// check refuses events that no log can have.
func (e *Event) check() error {
	switch {
	case e.Seq == 0 || e.Topic == "":
		return fmt.Errorf("%w: seq or topic is missing", errLine)
	case e.Prev >= e.Seq && e.PrevKnown || e.DeletedTo >= e.Seq:
		return fmt.Errorf("%w: prev or born is not before seq %d", errLine, e.Seq)
	case e.At < 0:
		return fmt.Errorf("%w: time before 1970", errLine)
	case !e.HasEvent && !e.Close && !e.Delete:
		return fmt.Errorf("%w: the event cannot be sent", errLine)
	}
	return nil
}
