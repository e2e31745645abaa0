package task

import (
	"context"
	"encoding/json"
	"time"
)

// State is where a task is in its life:
//
//	pending → running → completed | failed | cancelled
//	pending → cancelled | failed
//	running → pending, to be run again
//
// A final state never changes.
type State string

// The five states.
const (
	Pending   State = "pending"
	Running   State = "running"
	Completed State = "completed"
	Failed    State = "failed"
	Cancelled State = "cancelled"
)

// States lists every state, in the order of a task's life.
func States() []State { return []State{Pending, Running, Completed, Failed, Cancelled} }

// Final reports whether a task in state s is over.
func (s State) Final() bool { return s == Completed || s == Failed || s == Cancelled }

// mayBecome is the table of allowed transitions.
func (s State) mayBecome(next State) bool {
	switch s {
	case Pending:
		return next == Running || next == Cancelled || next == Failed
	case Running:
		return next.Final() || next == Pending
	default:
		return false
	}
}

// Func is the code of one kind of task. Its ctx ends when the task is cancelled or times
// out, when another service has taken it over, or when the service stops. Then
// context.Cause(ctx) is [ErrCancelled], [ErrTimeout], [ErrLost] or [ErrStopping]. The
// Func should return soon after; its result is ignored.
//
// result must be encodable by encoding/json and may be nil. The text of err
// reaches all who watch the task. A panic fails the task with "internal error";
// its stack goes to the log only. A Func runs concurrently with others and
// with other runs of itself.
type Func func(ctx context.Context, run *Run) (result any, err error)

// Type is a kind of task that [Service.Register] makes known.
type Type struct {
	Name string // what [Service.Start] is given; not empty
	Run  Func   // not nil

	// Check, if set, judges the parameters of a task before it is accepted:
	// Start returns its error wrapped in [ErrBadParams]. It may be called
	// concurrently.
	Check func(params json.RawMessage) error

	// Timeout ends a run of this type; default [Options.Timeout].
	Timeout time.Duration

	// Concurrency is how many tasks of this type the service runs at the same time,
	// at most; default as many as [Options.Workers]. Services that share a store
	// count on their own. A function that goes on after its timeout does not count.
	Concurrency int

	// RetryPause is the pause before the second attempt, doubled with each further
	// one up to 5 minutes; default [Options.RetryPause].
	RetryPause time.Duration

	// MaxAttempts is how often a task may be begun; default 1. So a function that may
	// not be begun twice has 1, and one with more must bear being repeated.
	//
	// A task with attempts left is run again after a pause when its function panicked,
	// or returned an error that is not [Permanent]. It is run again at once when the
	// service that ran it died or stopped; an orderly stop does not count. Without an
	// attempt left it fails, if its service died with an error that begins with
	// "worker_lost: ".
	MaxAttempts int
}

// Progress is one report of a running task.
type Progress struct {
	// Text is for people: what is being done now.
	Text string

	// Value is the share that is done, 0 to 1; anything else, NaN included, is
	// [ErrBadProgress]. It may fall. Nil repeats the highest value so far.
	Value *float64

	// Fields are further keys of the event's data. "text" and "value" in it
	// lose to the fields above. The map is read before Progress returns and
	// not kept.
	Fields map[string]any
}
