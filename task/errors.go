package task

import "errors"

// Errors of the service's methods. Test for them with errors.Is: most are
// wrapped with what was wrong.
var (
	// ErrUnknownType is returned by Start for a name that was not registered.
	ErrUnknownType = errors.New("task: unknown type")
	// ErrBadParams is returned by Start, wrapped with the reason.
	ErrBadParams = errors.New("task: bad parameters")
	// ErrBusy is returned by Start when a bound is reached: try again later.
	ErrBusy = errors.New("task: too many tasks")
	// ErrNotFound is returned for an id that is unknown, or whose task is not
	// in a state that the call can act on.
	ErrNotFound = errors.New("task: not found")
	// ErrBadProgress is returned by Progress for a value outside 0..1 or for
	// fields that cannot be encoded.
	ErrBadProgress = errors.New("task: bad progress")
	// ErrTooLarge is returned by Progress for an event above
	// [Options.MaxEventBytes]. Nothing is published.
	ErrTooLarge = errors.New("task: event too large")
)

// Causes that end the context of a [Func]; context.Cause tells which. ErrStopping
// is also returned by Start and Republish once the service drains or stops.
var (
	ErrCancelled = errors.New("task: cancelled")
	ErrTimeout   = errors.New("task: timed out")
	ErrStopping  = errors.New("task: service is stopping")
)

// errReturned ends the context of a Func that has returned, so that a Run that
// outlives it cannot report any more.
var errReturned = errors.New("task: the task's function has returned")
