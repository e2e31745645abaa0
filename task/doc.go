// Package task runs work in the background and writes what happens to each task to
// an ordered log, so that anybody can follow a task from its first event to its last:
// early, late, or after the end.
//
// # What to use first
//
// Make a [Service] with [New], make the kinds of task known with [Register], and call
// [Service.Run] in a goroutine; it blocks until its context ends. Then start tasks
// with [Kind.Start], wait for a result with [Kind.Wait], or follow a task with
// [Service.Watch]. The first example below is a whole program.
//
// A function reports how far it is with [Run.Progress] and returns a result or an
// error. It must return soon after its context ends: that is how a task is cancelled,
// times out, and makes way for the end of the program.
//
// [StartOptions] delay a task, let it overtake others, or make its start repeatable.
//
// To show tasks in browsers, give [Options] the Publisher of package task/publish:
// it sends each event to a gateway. To keep tasks when the program ends, or share
// them among many processes, give it a [Store]; package task/storetest tests one.
//
// Not needed at first: [Service.Register] is for types whose parameters are not known
// in Go. [Publisher], [LogReader], [EndReader] and [LogWatcher] are for those who
// bring logs of their own, [Store], [Record], [Lease] and [Hooks] for those who bring
// a store of their own.
//
// # What is promised
//
// The log of a task is task_started, any number of progress_update, a task_retrying at
// the end of each attempt that another one follows, then exactly one of task_completed, task_failed and task_cancelled, then connection_close,
// in this order, all of them, whatever the [Publisher] does: while it is away,
// events wait in an outbox of the task, and a full outbox makes Progress wait.
// A task that was cancelled before it ran has no task_started. A repeated event
// has the same [Event.Key].
//
// The state of a task does not wait for its log. A final state is final from the
// moment [Service.Get] shows it, and never changes: a task cancelled while pending
// never runs, one cancelled while running stays cancelled whatever its function
// returns, and one that times out has failed even if its function never returns.
//
// Everything is bounded; see [Options] for the bounds and what happens at each.
//
// # Where tasks live
//
// By default in memory: they end with the process. With a [Store] that is shared,
// any number of services, in one process or many, are one: each takes tasks, shows
// and cancels all of them, and runs those of its types. Then a task outlives
// the process that runs it. It is leased to one service at a time. If that service
// dies, its lease expires, and another one takes over: it begins the task again if
// [Type.MaxAttempts] allows that, and fails it otherwise. A service that was merely
// cut off has lost its task by then: the context of the function ends with
// [ErrLost], and nothing of what it still does counts.
//
// A function may so be begun more than once, but not more often than MaxAttempts,
// and of several only one can end the task. Progress that was reported and not
// published when a process died is lost. The last events are not: another process
// writes them.
//
// # Compatibility
//
// The names and the data of events and the JSON of [Info] only ever get more keys.
// Until version 1.0 of the program the Go API may change with a minor version; the
// changelog says how. The package uses the standard library only.
package task
