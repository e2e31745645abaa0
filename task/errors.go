package task

import (
	"errors"
	"fmt"
)

// Errors of the service's methods. Test for them with errors.Is: most are
// wrapped with what was wrong.
var (
	// ErrUnknownType is returned by Start for a name that was not registered.
	ErrUnknownType = errors.New("task: unknown type")
	// ErrBadParams is returned by Start, wrapped with the reason.
	ErrBadParams = errors.New("task: bad parameters")
	// ErrBusy says to try again later. Start returns it when a bound is reached,
	// StartWith for a key whose task was just deleted, and Republish while the last
	// events of a task are on their way.
	ErrBusy = errors.New("task: too many tasks")
	// ErrKeyConflict is returned by StartWith for a key that another task has,
	// which is of another type or has other parameters.
	ErrKeyConflict = errors.New("task: key is used by another task")
	// ErrNotFound is returned for an id that is unknown, or whose task is not
	// in a state that the call can act on.
	ErrNotFound = errors.New("task: not found")
	// ErrBadProgress is returned by Progress for a value outside 0..1 or for
	// fields that cannot be encoded.
	ErrBadProgress = errors.New("task: bad progress")
	// ErrTooLarge is returned by Progress for an event above
	// [Options.MaxEventBytes]. Nothing is published.
	ErrTooLarge = errors.New("task: event too large")
	// ErrHistoryLost is yielded by Watch for a position that the log does not
	// reach back to any more.
	ErrHistoryLost = errors.New("task: events are not held any more")
)

// errOnTheirWay is what Republish returns for a log that is not written yet.
var errOnTheirWay = fmt.Errorf("%w: the last events of the task are on their way", ErrBusy)

// Errors of a [Store]. A service returns the last of them, too: its store cannot
// be reached for now.
var (
	ErrConflict    = errors.New("task: changed by another writer")
	ErrExists      = errors.New("task: exists already")
	ErrUnavailable = errors.New("task: store is not available")
)

// Causes that end the context of a [Func]; context.Cause says which. ErrStopping
// is also returned by Start and Republish once the service drains or stops.
var (
	ErrCancelled = errors.New("task: cancelled")
	ErrTimeout   = errors.New("task: timed out")
	ErrStopping  = errors.New("task: service is stopping")
	// ErrLost: the lease of the task has expired, because the store could not be
	// reached, and another service has taken over. Or the task was deleted.
	ErrLost = errors.New("task: taken over by another service")
)

// errReturned ends the context of a Func that has returned, so that a Run that
// outlives it cannot report any more.
var errReturned = errors.New("task: the task's function has returned")

// errRefetch ends a call of Store.Fetch that does not ask for all types that may begin.
var errRefetch = errors.New("task: another type may begin")

// Permanent marks an error of a [Func] as one that no further attempt would avoid:
// the task fails at once, whatever [Type.MaxAttempts] allows. Its text is err's;
// nil stays nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

type permanentError struct{ err error }

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }
