// Package record is the format of what a run writes down: who published what
// and was answered what, who was shown what, and which callbacks came. A run is
// a directory:
//
//	run.json               what was run; its last write, so a run without it was broken off
//	publisher-0007.ndjson  [Event], one a line, in the order in which they were published
//	client-0042.ndjson     [Seen], one a line, as it happened
//	callbacks.ndjson       [Callback], one a line, as they were answered
//
// Moments are numbers of one counter of the run ([Clock]): if one moment is
// smaller than another, it was before it, whatever clocks on walls said.
package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// Clock gives moments. It may be used concurrently; its zero value is ready.
type Clock struct{ n atomic.Int64 }

// Now gives a moment that is after all that were given before, and never 0.
func (c *Clock) Now() int64 { return c.n.Add(1) }

// Run says what was run.
type Run struct {
	Publishers int `json:"publishers"`
	Topics     int `json:"topics"`
	Clients    int `json:"clients"`
	// ReplayAll: a client without a last event id was sent topics from their
	// beginning, so each one has to have been shown every answered event.
	ReplayAll bool `json:"replay_all"`
	// Callbacks: connects and disconnects were told to the run itself.
	Callbacks bool `json:"callbacks"`
	// Cuts: the network was cut, so answers to callbacks may have been lost on
	// their way, and a gateway had to tell a disconnect again.
	Cuts bool `json:"cuts"`

	Answered     int           `json:"answered"`      // events
	Attempts     int           `json:"attempts"`      // requests that it took
	Took         time.Duration `json:"took"`          // publishing, nanoseconds
	LongestPause time.Duration `json:"longest_pause"` // between two answers to any publishers, nanoseconds
	LongPauses   int           `json:"long_pauses"`   // of a second or more
	MedianPause  time.Duration `json:"median_pause"`  // of those
}

// Event is what a publisher wanted to publish and what it was answered.
type Event struct {
	Global    uint64 `json:"g"` // no other event of the run has it
	Publisher int    `json:"p"`
	Topic     int    `json:"t"`
	Number    int    `json:"n"`            // within publisher and topic, from 1
	Begin     int64  `json:"b"`            // moment before the first attempt
	Done      int64  `json:"d,omitempty"`  // moment after the answer; 0: none came, it is unknown whether the event is there
	ID        string `json:"id,omitempty"` // that was answered
	Attempts  int    `json:"a"`
	End       bool   `json:"end,omitempty"` // the topic's end marker: no event is published after it was begun
}

// Kinds of [Seen].
const (
	Topics   = "topics"   // first line: what the client follows
	Open     = "open"     // a stream was opened, with ID as Last-Event-ID
	Position = "position" // the client has an id for the first time, or for the first time after a reset
	Shown    = "event"    // an event of the run
	Foreign  = "foreign"  // an event that the run did not publish; Why has its name
	Reset    = "reset"    // the server says that history was lost
	Gone     = "gone"     // the stream or the attempt has ended; Why says how
	Complete = "complete" // the client has the end markers of all its topics
)

// Seen is one thing that a client saw.
type Seen struct {
	Kind      string `json:"k"`
	At        int64  `json:"at,omitempty"`
	Topics    []int  `json:"topics,omitempty"`
	ID        string `json:"id,omitempty"`
	Global    uint64 `json:"g,omitempty"`
	Publisher int    `json:"p,omitempty"`
	Topic     int    `json:"t,omitempty"`
	Number    int    `json:"n,omitempty"`
	Why       string `json:"why,omitempty"`
}

// Actions of [Callback].
const (
	Connect    = "connect"
	Disconnect = "disconnect"
)

// Callback is one callback and how it was answered.
type Callback struct {
	Action      string `json:"action"`
	Stream      string `json:"stream"` // stands for the token, which is not written down
	Status      int    `json:"status"`
	Sent        bool   `json:"sent"` // the answer was written out whole, as far as one can know
	Redelivered bool   `json:"redelivered,omitempty"`
	Reason      string `json:"reason,omitempty"`
	Detail      string `json:"detail,omitempty"`
	Gateway     string `json:"gateway,omitempty"` // the process that told it
}

// ErrInvalid is wrapped by errors of all parsers here.
var ErrInvalid = errors.New("record: invalid line")

// ParseEvent reads a line of a publisher's record.
func ParseEvent(line []byte) (Event, error) {
	var e Event
	if err := decode(line, &e); err != nil {
		return Event{}, err
	}
	answered := e.Done != 0
	if e.Global == 0 || e.Publisher < 0 || e.Topic < 0 || e.Number < 1 || e.Begin < 1 || e.Attempts < 0 ||
		answered != (e.ID != "") || answered && e.Done <= e.Begin {
		return Event{}, fmt.Errorf("%w: event %+v cannot be", ErrInvalid, e)
	}
	return e, nil
}

// ParseSeen reads a line of a client's record.
func ParseSeen(line []byte) (Seen, error) {
	var s Seen
	if err := decode(line, &s); err != nil {
		return Seen{}, err
	}
	switch s.Kind {
	case Topics, Open, Position, Foreign, Reset, Gone, Complete:
	case Shown:
		if s.Global == 0 || s.Publisher < 0 || s.Topic < 0 || s.Number < 1 {
			return Seen{}, fmt.Errorf("%w: event %+v cannot be", ErrInvalid, s)
		}
	default:
		return Seen{}, fmt.Errorf("%w: unknown kind %q", ErrInvalid, s.Kind)
	}
	if s.Kind == Position && s.At < 1 || s.Kind == Reset && s.At < 1 {
		return Seen{}, fmt.Errorf("%w: %s without its moment", ErrInvalid, s.Kind)
	}
	return s, nil
}

// ParseCallback reads a line of the record of callbacks.
func ParseCallback(line []byte) (Callback, error) {
	var c Callback
	if err := decode(line, &c); err != nil {
		return Callback{}, err
	}
	if c.Action != Connect && c.Action != Disconnect || c.Stream == "" {
		return Callback{}, fmt.Errorf("%w: callback %+v cannot be", ErrInvalid, c)
	}
	return c, nil
}

// decode takes exactly one object with no unknown field.
func decode(line []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if d.More() {
		return fmt.Errorf("%w: something follows the object", ErrInvalid)
	}
	return nil
}
