package task

import (
	"context"
	"time"
)

// A Store keeps tasks and leases them to services that run them. The one that a
// [Service] makes for itself ends with the process. Services in many processes may share
// another one; then they share the tasks and the work. Package task/storetest
// tests a Store.
//
// A Service calls the methods concurrently and without locks. Fetch and Run wait until
// their context ends. The others with a context wait for a few seconds at most, or a
// minute if a record is large, and then return [ErrUnavailable]. Nothing that was
// written is lost when the process dies.
type Store interface {
	// Durable reports whether tasks outlive this process. If not, a service that
	// stops cancels what is left.
	Durable() bool

	// Submit stores a pending task and puts it in the queue; a task that was stored
	// reaches the queue, if need be later. It returns the record with Seq and
	// Revision, or ErrExists, ErrBusy or ErrUnavailable; after the last the task may
	// have been stored nevertheless.
	Submit(ctx context.Context, rec Record) (Record, error)
	// Load returns a record as it is now, whole; ErrNotFound, ErrUnavailable.
	Load(ctx context.Context, id string) (Record, error)
	// Update stores rec if the record still has rec.Revision, and returns it with
	// the new one. Else nothing changes: ErrConflict, ErrNotFound, or ErrBusy if
	// there is no room for it. A write whose answer was lost has succeeded. After
	// ErrUnavailable it is unknown whether rec was stored. A final record is deleted
	// rec.Retention later.
	Update(ctx context.Context, rec Record) (Record, error)
	// Remove deletes the final task with rec.Revision: ErrConflict, ErrNotFound,
	// ErrUnavailable.
	Remove(ctx context.Context, rec Record) error

	// Fetch waits until at least one task of the given types is in the queue, and
	// leases up to n. The highest priority comes first, and within it the oldest of
	// each type. A task is leased to one caller at a time. What Fetch has leased it
	// returns, even if ctx has ended.
	Fetch(ctx context.Context, types []string, n int) ([]Lease, error)
	// Acknowledge takes a final task, whose log is complete, out of the queue. It
	// may be repeated. lease is nil if the task is not leased to the caller.
	Acknowledge(ctx context.Context, rec Record, lease Lease) error
	// Queued reports whether a task is in the queue, leased or not.
	Queued(ctx context.Context, rec Record) (bool, error)

	// RequestCancel asks the worker of a running task to cancel it. answered is
	// false if no such worker answers; done says that the task is cancelled.
	RequestCancel(ctx context.Context, rec Record) (answered, done bool)

	// Peek, List and Counts are cheap and never fail. They may be a moment behind,
	// though not behind what this process wrote, and may leave out large parts of
	// records, which are then Partial. List returns up to limit records older than
	// before (a Seq), newest first; it reads only State and Type of f. Counts has
	// every state.
	Peek(id string) (Record, bool)
	List(before uint64, f Filter, limit int) []Record
	Counts() map[State]int

	// Run does what the store has to do by itself, such as calling h, until ctx
	// ends. It is called once.
	Run(ctx context.Context, h Hooks) error
}

// Lease is a task that is leased to this process. A process that lets it expire,
// because it died, say, loses the task to another. Its methods may be called
// concurrently.
type Lease interface {
	// TaskID is the id of the task.
	TaskID() string
	// TTL is the time after which the lease expires unless Renew is called; 0 is
	// never.
	TTL() time.Duration
	// Renew extends the lease to TTL from now.
	Renew(ctx context.Context) error
	// Release puts the task back in the queue, to be leased again after a pause.
	Release(ctx context.Context, pause time.Duration) error
}

// Hooks are what a [Store] calls. None is nil. A store may call them concurrently,
// without locks; Changed and Deleted return quickly.
type Hooks struct {
	Worker string // the name of this process in records

	// Changed receives each record that another process wrote, in any order; it
	// may miss some while the store cannot be reached.
	Changed func(rec Record)
	// Deleted receives each task that was deleted: by time, by a call, or for lack
	// of room; possibly in every process, and more than once.
	Deleted func(id string)
	// Cancel cancels a task that runs here, and reports whether it did.
	Cancel func(ctx context.Context, id string) bool
	// Overdue receives running tasks that should have timed out a while ago.
	Overdue func(ctx context.Context, rec Record)
}
