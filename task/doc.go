// Package task runs work in the background and writes what happens to each task to an
// ordered log. Anybody can follow a task from its first event to its last: early, late,
// or after the end.
//
// # What to use first
//
// Make a [Service] with [New], make the kinds of task known with [Register], and call
// [Service.Run] in a goroutine; it blocks until its context ends. Then start tasks
// with [Kind.Start], wait for a result with [Kind.Wait], or follow a task with
// [Service.Watch]. The first example in example_test.go is a whole program.
//
// A function reports how far it is with [Run.Progress] and returns a result or an
// error. It must return soon after its context ends. That is how a task is cancelled or
// times out, and how the program stops.
//
// [StartOptions] delay a task, let it overtake others, or make its start repeatable.
//
// To show tasks in browsers, give [Options] the Publisher of package task/publish: it
// sends each event to a gateway. Without a gateway, mount the handler of package
// task/taskhttp. To keep tasks when the program ends, or share them among many
// processes, give Options a [Store]; package task/storetest tests one.
//
// Not needed at first:
//
//   - [Service.Register] is for types whose parameters are not known in Go.
//   - [Publisher], [LogReader], [EndReader] and [LogWatcher] are for logs of your own.
//   - [Store], [Record], [Lease] and [Hooks] are for a store of your own.
//
// # What is promised
//
// The log of a task has these events, in this order:
//
//  1. task_started, unless the task was cancelled before it ran;
//  2. any number of progress_update, and a task_retrying at the end of each attempt that
//     another one follows;
//  3. exactly one of task_completed, task_failed and task_cancelled;
//  4. connection_close.
//
// It has all of them, whatever the [Publisher] does. While that fails, events wait in an
// outbox of the task, and a full outbox makes Progress wait. A repeated event has the
// same [Event.Key].
//
// The state of a task does not wait for its log. A final state never changes from the
// moment [Service.Get] shows it. A task that is cancelled while pending never runs. One
// that is cancelled while running stays cancelled, whatever its function returns. One
// that times out has failed, even if its function never returns.
//
// Everything is bounded; see [Options] for the bounds and what happens at each.
//
// # Where tasks live
//
// By default tasks live in memory and end with the process. With a shared [Store] any
// number of services, in one process or many, are one. Each starts, shows and cancels
// all tasks, and runs those of its types.
//
// A task in a shared store outlives the process that runs it. It is leased to one
// service at a time. If that service dies, its lease expires, and another one takes
// over. It begins the task again if [Type.MaxAttempts] allows that, and fails it
// otherwise. A service that was merely cut off has lost its task by then. The context of
// its function ends with [ErrLost], and what the function still does has no effect.
//
// So a function may be begun more than once, but not more often than MaxAttempts, and
// only one run can end the task. Progress that was reported and not published when a
// process died is lost. The last events are not: another process writes them.
//
// # Compatibility
//
// The names and the data of events and the JSON of [Info] only ever get more keys.
// Until version 1.0 of the program the Go API may change with a minor version; the
// changelog says how. The package uses the standard library only.
package task
