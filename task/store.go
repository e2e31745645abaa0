package task

import (
	"context"
	"time"
)

// A Store remembers tasks and gives them to those that run them. The one that a
// [Service] makes for itself ends with the process; another may be shared by
// services in many processes, which then see the same tasks and share the work.
//
// All methods may be called concurrently, and are called without locks. Those
// with a context wait for a few seconds at most, or a minute if a record is large,
// whatever the context says, and then return [ErrUnavailable]; Fetch and Run wait
// until the context ends.
// Nothing that was written is lost when the process dies.
type Store interface {
	// Durable reports whether tasks outlive this process. If not, whoever stops
	// cancels what is left.
	Durable() bool

	// Submit stores a pending task and puts it in the queue; a task that was
	// stored gets into the queue, if need be later. It returns the record with
	// Seq and Revision, or ErrExists, ErrBusy or ErrUnavailable; after the last
	// the task may have been stored nevertheless.
	Submit(ctx context.Context, rec Record) (Record, error)
	// Load returns a record as it is now, whole; ErrNotFound, ErrUnavailable.
	Load(ctx context.Context, id string) (Record, error)
	// Update stores rec if the record still has rec.Revision, and returns it
	// with the new one. Else nothing changes: ErrConflict, ErrNotFound, ErrBusy if
	// there is no room for it. A write whose acknowledgement was lost has
	// succeeded. After ErrUnavailable it is unknown. A final record is forgotten when rec.Keep has passed.
	Update(ctx context.Context, rec Record) (Record, error)
	// Remove forgets the final task with rec.Revision: ErrConflict, ErrNotFound,
	// ErrUnavailable.
	Remove(ctx context.Context, rec Record) error

	// Fetch waits until it can lend at least one task of the given types, and
	// lends up to n, oldest first. A task is lent to one at a time.
	Fetch(ctx context.Context, types []string, n int) ([]Lease, error)
	// Acknowledge takes a final task, whose log is complete, out of the queue.
	// lease is nil if it was not lent to the caller.
	Acknowledge(ctx context.Context, rec Record, lease Lease) error
	// Queued reports whether a task is in the queue, lent or not.
	Queued(ctx context.Context, rec Record) (bool, error)

	// RequestCancel tells the worker of a running task to cancel it. answered is false if
	// there is nobody; done says that the task is cancelled.
	RequestCancel(ctx context.Context, rec Record) (answered, done bool)

	// Peek, List and Counts cost little and fail never. They may be a moment
	// behind, though not behind what this process wrote, and may leave out
	// large parts of records. List returns up to limit records older than
	// before (a Seq), newest first; it looks only at State and Type of f.
	Peek(id string) (Record, bool)
	List(before uint64, f Filter, limit int) []Record
	Counts() map[State]int

	// Run does what the store has to do by itself, such as calling h, until ctx
	// ends. It is called once.
	Run(ctx context.Context, h Hooks) error
}

// Lease is a task that was lent to this process. Who lets it run out, because it
// died, say, loses the task to others.
type Lease interface {
	TaskID() string
	// TTL is the time after which the lease runs out unless Keep is called;
	// 0 is never.
	TTL() time.Duration
	Renew(ctx context.Context) error
	// Release puts the task back, to be lent again after a pause.
	Release(ctx context.Context, pause time.Duration) error
}

// Hooks are what a [Store] calls. None may be nil; they may be called
// concurrently, and without locks. Changed and Gone are quick.
type Hooks struct {
	Worker string // the name of this process in records

	// Changed receives each record that another process wrote, in any order; it
	// may miss some while the store cannot be reached.
	Changed func(rec Record)
	// Deleted is told of tasks that are forgotten, by time, by somebody, or for
	// lack of room; possibly in every process, and more than once.
	Deleted func(id string)
	// Cancel cancels a task that runs here, and reports whether it did.
	Cancel func(ctx context.Context, id string) bool
	// Overdue is told of running tasks that should have timed out a while ago.
	Overdue func(ctx context.Context, rec Record)
}
