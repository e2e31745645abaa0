package task

import (
	"encoding/json"
	"fmt"
	"time"
)

// Record is what a [Store] keeps of a task. Its slices and what it points to are
// never modified.
type Record struct {
	ID     string
	Type   string
	Params json.RawMessage // nil once the task is final: it will not run again

	// Set by the store. Seq rises with each task that is submitted, and stays.
	// Revision changes with each write and is what a write is compared with.
	Seq      uint64
	Revision uint64

	// Key is what the task was started with, if that was to be repeatable; Content
	// is a digest of its type and parameters then.
	Key     string
	Content string

	// Priority says which of the tasks in the queue are leased first.
	Priority Priority
	// RunAt is the time before which a pending task is not begun; zero is any time.
	RunAt time.Time

	State State
	// Run counts how often the task was begun. Together with Worker it is the
	// fence: a service that finds another Run than its own has lost the task.
	// Attempt counts the same, but without runs that were released.
	Run         int
	Attempt     int
	MaxAttempts int
	Worker      string    // the service that runs it; "" if none does
	Cancel      bool      // it is to be cancelled, but its worker did not answer
	Deadline    time.Time // of the run; zero if it does not run

	Progress   *ProgressInfo // the latest, or one that is a second older while it runs
	ProgressAt time.Time
	Result     json.RawMessage
	Error      string

	// Partial is set by List and Peek when params, result or error were left out.
	Partial bool

	Created time.Time
	Started time.Time // zero until it ran
	Ended   time.Time // zero until it is final

	// Retention is how long a final record is kept.
	Retention time.Duration
}

// errTransition is returned for a change of state that the table does not allow.
var errTransition = fmt.Errorf("task: state does not allow that")

// become moves the record to state next if the table of transitions allows it.
func (r *Record) become(next State, at time.Time) error {
	if !r.State.mayBecome(next) {
		return fmt.Errorf("%w: %s to %s", errTransition, r.State, next)
	}
	r.State = next
	switch {
	case next == Running && r.Started.IsZero():
		r.Started = at
	case next == Pending:
		r.Worker, r.Deadline = "", time.Time{}
	case next.Final():
		r.Ended = at
		r.Params = nil
		r.RunAt = time.Time{}
		r.Worker, r.Deadline, r.Cancel = "", time.Time{}, false
	}
	return nil
}

// fail makes the record one of a task that failed.
func (r *Record) fail(text string, at time.Time) error {
	err := r.become(Failed, at)
	if err == nil {
		r.Result, r.Error = nil, text
	}
	return err
}

// begin makes the record one of a task that worker runs, once more.
func (r *Record) begin(worker string, timeout time.Duration, at time.Time) error {
	r.State = Pending // a run whose worker is gone is over
	err := r.become(Running, at)
	r.RunAt = time.Time{}
	r.Run++
	r.Attempt++
	r.Worker = worker
	r.Deadline = at.Add(timeout)
	return err
}

// heldBy reports whether worker is at work on run number run.
func (r *Record) heldBy(worker string, run int) bool {
	return r.State == Running && r.Worker == worker && r.Run == run
}

func (r *Record) bytes() int {
	n := len(r.Params) + len(r.Result) + len(r.Error)
	if r.Progress != nil {
		n += len(r.Progress.Data)
	}
	return n
}
