package task

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// Event is one entry of a task's log.
type Event struct {
	Name  string // [EventTask] or [EventClose]
	Data  []byte // JSON; must not be modified
	Close bool   // the last event of the log

	// ID is the place of the event in its log, for [Service.Watch]; "" until it is
	// in the log.
	ID string

	// Key is the same when an event is published again, by any process. It is the
	// task's id and ":started", ":<run>:<n>" for progress, ":<run>:retry", ":end" or
	// ":close"; or ":r<n>" in what [Service.Republish] writes.
	Key string
}

// Names of events.
const (
	EventTask  = "task_event"
	EventClose = "connection_close"
)

// A Publisher appends events to the logs of tasks.
type Publisher interface {
	// Publish appends all events to the log of taskID, in order. After an error it
	// is unknown how many were taken. The service then calls again with the same
	// events, after a growing pause, until Publish succeeds. It handles an error
	// that is a [*RejectedError] at once instead.
	//
	// Publish is called from one goroutine at a time for each task, and
	// concurrently for different tasks. No lock is held meanwhile: it may take
	// as long as it needs, but must return soon after ctx ends.
	Publish(ctx context.Context, taskID string, events []Event) error
}

// A LogReader is a [Publisher] that can read logs. A service asks it before it writes
// last events that may be there already. A process that died may have written them, or
// the log may have dropped their Keys.
type LogReader interface {
	// Ended reports whether the log of a task has its terminal event, and
	// whether it is closed. A log that does not exist has neither.
	Ended(ctx context.Context, taskID string) (terminal, closed bool, err error)
}

// An EndReader is a [LogReader] that can also read how a log ends. A record and a log are
// written one after the other, and a loss of power may undo the write of the record. So
// a service asks before it runs, or fails, a task that may have ended already. It makes
// the record agree with the log, because clients have seen that.
type EndReader interface {
	LogReader
	// End gives the terminal event of the log of a task; ok is false if it has none.
	End(ctx context.Context, taskID string) (end LogEnd, ok bool, err error)
}

// LogEnd is what a terminal event says.
type LogEnd struct {
	State  State
	Result json.RawMessage // of a task that was completed
	Error  string          // of one that failed
	At     time.Time
}

// RejectedError is what a [Publisher] returns, possibly wrapped, when it can never take
// the event at Index of the batch: because it is too large for the log, say. The service
// replaces a terminal event by a small one that points to the result, and leaves out any
// other. Then it publishes the batch again.
type RejectedError struct {
	Index int // in the slice that Publish was given
	Err   error
}

func (e *RejectedError) Error() string {
	return fmt.Sprintf("task: event %d rejected: %v", e.Index, e.Err)
}

// Unwrap returns Err.
func (e *RejectedError) Unwrap() error { return e.Err }

// An Observer counts what happens, for metrics. Its methods are called without
// locks, concurrently, and must be quick.
type Observer interface {
	// Ended is called for each task that reached a final state.
	Ended(info Info)
	// Published is called after each call of Publish.
	Published(events int, took time.Duration, err error)
	// Dropped is called for each event that the Publisher rejected for good.
	Dropped(taskID string, reason error)
}

// noObserver is the Observer if none is given.
type noObserver struct{}

func (noObserver) Ended(Info)                          {}
func (noObserver) Published(int, time.Duration, error) {}
func (noObserver) Dropped(string, error)               {}
