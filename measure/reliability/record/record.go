// Package record defines the format of a run's records: what each publisher sent and
// was answered, what each client received, and which callbacks arrived. A run is a
// directory:
//
//	run.json               summary; written last, so a run without it was aborted
//	publisher-0007.ndjson  one [Event] a line, in the order of publishing
//	client-0042.ndjson     one [Observation] a line, in the order of observing
//	callbacks.ndjson       one [Callback] a line, in the order of answering
//
// Times in the records are logical: they are values of one counter of the run
// ([Clock]). A smaller value is earlier, whatever the wall clock said.
package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// Clock is the logical clock of a run. It is safe for concurrent use, and its zero
// value is ready to use.
type Clock struct{ n atomic.Int64 }

// Now returns a time after all times that it returned before. It is never 0.
func (c *Clock) Now() int64 { return c.n.Add(1) }

// Run is the summary of a run.
type Run struct {
	Publishers int `json:"publishers"`
	Topics     int `json:"topics"`
	Clients    int `json:"clients"`
	// ReplayAll: the server replays topics from their beginning to a client without a
	// last event id. So every client must receive every answered event.
	ReplayAll bool `json:"replay_all"`
	// Callbacks: the run itself took the connect and disconnect callbacks.
	Callbacks bool `json:"callbacks"`
	// Cuts: the run cut the network, so answers to callbacks may have been lost, and
	// a gateway had to deliver a disconnect again.
	Cuts bool `json:"cuts"`

	Answered     int           `json:"answered"`      // events
	Attempts     int           `json:"attempts"`      // requests for these events
	Took         time.Duration `json:"took"`          // time of publishing, nanoseconds
	LongestPause time.Duration `json:"longest_pause"` // between two answers to any publishers, nanoseconds
	LongPauses   int           `json:"long_pauses"`   // pauses of a second or more
	MedianPause  time.Duration `json:"median_pause"`  // median of the long pauses, nanoseconds
}

// Event is one event of a publisher and the answer to it.
type Event struct {
	Global    uint64 `json:"g"` // unique in the run
	Publisher int    `json:"p"`
	Topic     int    `json:"t"`
	Number    int    `json:"n"`            // within publisher and topic, from 1
	Begin     int64  `json:"b"`            // logical time before the first attempt
	Done      int64  `json:"d,omitempty"`  // logical time after the answer; 0 without one: the event may exist or not
	ID        string `json:"id,omitempty"` // the event id in the answer
	Attempts  int    `json:"a"`
	End       bool   `json:"end,omitempty"` // the topic's end marker; nothing is published to the topic after its Begin
}

// Kinds of [Observation].
const (
	Topics   = "topics"   // first line: the topics that the client follows
	Open     = "open"     // the client opened a stream, with ID as Last-Event-ID
	Position = "position" // the client's first id, or its first id after a reset
	Received = "event"    // an event of the run
	Foreign  = "foreign"  // an event that the run did not publish; Why is its name
	Reset    = "reset"    // the server reported that it lost history
	Ended    = "gone"     // the stream or the attempt ended; Why says how
	Complete = "complete" // the client has the end markers of all its topics
)

// Observation is one thing that happened to a client.
type Observation struct {
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
	Stream      string `json:"stream"` // stands for the token, which is a secret
	Status      int    `json:"status"`
	Sent        bool   `json:"sent"` // the whole answer was written, and the gateway was still connected
	Redelivered bool   `json:"redelivered,omitempty"`
	Reason      string `json:"reason,omitempty"`
	Detail      string `json:"detail,omitempty"`
	Gateway     string `json:"gateway,omitempty"` // the process that sent the callback
}

// ErrInvalid is wrapped by the errors of all parsers in this package.
var ErrInvalid = errors.New("record: invalid line")

// ParseEvent parses a line of a publisher's record.
func ParseEvent(line []byte) (Event, error) {
	var e Event
	if err := decode(line, &e); err != nil {
		return Event{}, err
	}
	answered := e.Done != 0
	if e.Global == 0 || e.Publisher < 0 || e.Topic < 0 || e.Number < 1 || e.Begin < 1 || e.Attempts < 0 ||
		answered != (e.ID != "") || answered && e.Done <= e.Begin {
		return Event{}, fmt.Errorf("%w: impossible event %+v", ErrInvalid, e)
	}
	return e, nil
}

// ParseObservation parses a line of a client's record.
func ParseObservation(line []byte) (Observation, error) {
	var s Observation
	if err := decode(line, &s); err != nil {
		return Observation{}, err
	}
	switch s.Kind {
	case Topics, Open, Position, Foreign, Reset, Ended, Complete:
	case Received:
		if s.Global == 0 || s.Publisher < 0 || s.Topic < 0 || s.Number < 1 {
			return Observation{}, fmt.Errorf("%w: impossible event %+v", ErrInvalid, s)
		}
	default:
		return Observation{}, fmt.Errorf("%w: unknown kind %q", ErrInvalid, s.Kind)
	}
	if s.Kind == Position && s.At < 1 || s.Kind == Reset && s.At < 1 {
		return Observation{}, fmt.Errorf("%w: %s without a time", ErrInvalid, s.Kind)
	}
	return s, nil
}

// ParseCallback parses a line of the record of callbacks.
func ParseCallback(line []byte) (Callback, error) {
	var c Callback
	if err := decode(line, &c); err != nil {
		return Callback{}, err
	}
	if c.Action != Connect && c.Action != Disconnect || c.Stream == "" {
		return Callback{}, fmt.Errorf("%w: impossible callback %+v", ErrInvalid, c)
	}
	return c, nil
}

// decode accepts exactly one JSON object without unknown fields.
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
