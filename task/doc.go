// Package task runs tasks and writes what happens to each of them to an ordered
// log, so that anybody can follow a task from its first event to its last, early,
// late, or after the end.
//
// Make a [Service] with [New], make the kinds of task known with
// [Service.Register], and call [Service.Run], which blocks until its context ends:
//
//	svc, err := task.New(task.Options{Publisher: logs, Log: log})
//	…
//	svc.Register(task.Type{Name: "resize", Run: func(ctx context.Context, run *task.Run) (any, error) {
//		for i, name := range names {
//			if err := run.Progress(task.Progress{Text: name, Value: new(float64(i) / float64(len(names)))}); err != nil {
//				return nil, err
//			}
//			…
//		}
//		return map[string]int{"resized": len(names)}, nil
//	}})
//	go svc.Run(ctx)
//	info, err := svc.Start(ctx, "resize", params)
//
// # What is promised
//
// The log of a task is task_started, any number of progress_update, then exactly
// one of task_completed, task_failed and task_cancelled, then connection_close,
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
// whoever runs it. It is lent to one service at a time; one that dies is found out
// when its lease ends, and another one goes on: it begins the task again if
// [Type.MaxAttempts] allows that, and fails it otherwise. A service that was merely
// cut off has lost its task by then: the context of the function ends with
// [ErrLost], and nothing of what it still does counts.
//
// A function may so be begun more than once, but not more often than MaxAttempts,
// and of several only one can end the task. What was reported and not published
// when a process died is lost; the last events are not, they are written by
// whoever comes next.
package task
