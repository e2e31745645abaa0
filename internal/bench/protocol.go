package bench

import "time"

// command is an order to a process of clients: one JSON object, which it
// answers with one reply when it is done.
type command struct {
	Do string `json:"do"` // see below

	Endpoint endpoint `json:"endpoint,omitzero"` // doOpen, doChurn
	First    int      `json:"first,omitempty"`   // id of the first stream; the others follow
	Count    int      `json:"count,omitempty"`   // streams
	Window   int      `json:"window,omitempty"`  // connects under way at once

	ConnStreams int `json:"conn_streams,omitempty"` // doOpen: streams that share a connection

	Every int `json:"every,omitempty"` // doStall: one stream of so many

	Events int64 `json:"events,omitempty"` // doAwait: all events that must have come since the start
	// doReport: the number of the last event that was sent to each stream, in
	// the order of their ids. One number is for all.
	Sent []int64 `json:"sent,omitempty"`

	Patience time.Duration `json:"patience,omitempty"` // without any progress; then the reply comes anyway
}

// What a process of clients can do.
const (
	doOpen   = "open"   // open more streams
	doAwait  = "await"  // wait until events have come
	doReport = "report" // report what arrived, and what was wrong
	doReset  = "reset"  // start a new count of latencies
	doStall  = "stall"  // stop reading some streams
	doClose  = "close"  // close all streams
	doChurn  = "churn"  // open streams and close each at once
)

// reply answers a command.
type reply struct {
	Error   string        `json:"error,omitempty"`
	Late    bool          `json:"late,omitempty"`    // patience ended first: not all came
	Done    int           `json:"done,omitempty"`    // streams opened; doChurn: closed again
	Elapsed time.Duration `json:"elapsed,omitempty"` // from the command until the last of them
	Events  int64         `json:"events,omitempty"`  // all that have come since the start
	Last    int64         `json:"last,omitempty"`    // doAwait: when the last of them was read

	// doReport.
	Faults  faults    `json:"faults,omitzero"`
	Samples []string  `json:"samples,omitempty"` // some of the faulty streams
	Latency histogram `json:"latency,omitzero"`  // of all events since doReset
	Beats   int64     `json:"beats,omitempty"`   // comments, such as heartbeats
}
