package task

import (
	"cmp"
	"container/list"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"
)

// LogOptions bound a [Log]. The zero value of each means its default.
type LogOptions struct {
	MaxEvents int // of one task; default 10000, beyond it the oldest go
	MaxBytes  int // of data of one task; default 16 MiB, beyond it the oldest go
	// TotalBytes bounds the data of the logs of all tasks that are over; default
	// 256 MiB, beyond it the log that ended first goes, whole.
	TotalBytes int
}

var (
	_ Publisher  = (*Log)(nil)
	_ LogReader  = (*Log)(nil)
	_ LogWatcher = (*Log)(nil)
)

// Log is a [Publisher] that keeps the logs of tasks in memory, for [Service.Watch].
// They end with the process. It is the default of [Options.Publisher], and may be
// used concurrently. The log of a task goes when its [Service] deletes the task.
type Log struct {
	opts LogOptions // static after construction

	mu      sync.Mutex
	logs    map[string]*taskLog // by id of the task
	closed  list.List           // of *taskLog whose last event is in, the oldest first
	bytes   int                 // of data in all logs
	nextGen int64               // of the next taskLog
}

// taskLog is the log of one task. Guarded by Log.mu.
type taskLog struct {
	id     string
	gen    int64 // no two logs share it, so that a position is never taken for another log's
	events []Event
	first  int // number of events[0] in the log, from 1
	bytes  int
	place  *list.Element // in Log.closed; nil until the last event is in

	started, terminal bool          // has that event, or had it
	gone              error         // why it is not in Log.logs any more; nil if it is
	watchers          int           // an empty log is there for them
	changed           chan struct{} // closes at the next event, or when the log is deleted; nil if none waits
}

// NewLog makes an empty log.
func NewLog(opts LogOptions) *Log {
	opts.MaxEvents = cmp.Or(max(opts.MaxEvents, 0), 10_000)
	opts.MaxBytes = cmp.Or(max(opts.MaxBytes, 0), 16<<20)
	opts.TotalBytes = cmp.Or(max(opts.TotalBytes, 0), 256<<20)
	return &Log{opts: opts, logs: map[string]*taskLog{}, nextGen: time.Now().UnixNano()}
}

// Publish implements [Publisher]. It does not wait, and returns no error.
func (l *Log) Publish(_ context.Context, taskID string, events []Event) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	log := l.log(taskID)
	for _, ev := range events {
		l.append(log, ev)
	}
	for front := l.closed.Front(); l.bytes > l.opts.TotalBytes && front != nil; front = l.closed.Front() {
		l.drop(front.Value.(*taskLog), ErrHistoryLost)
	}
	log.notify()
	return nil
}

// log returns the log of a task, a new one if there is none. The caller holds mu.
func (l *Log) log(taskID string) *taskLog {
	log := l.logs[taskID]
	if log == nil {
		log = &taskLog{id: taskID, gen: l.nextGen, first: 1}
		l.nextGen++
		l.logs[taskID] = log
	}
	return log
}

// append adds an event, unless the log has it: reports of progress come once, since
// Publish does not fail. The caller holds mu.
func (l *Log) append(log *taskLog, ev Event) {
	started, terminal := strings.HasSuffix(ev.Key, ":"+keys[kindStarted]), strings.HasSuffix(ev.Key, ":"+keys[kindEnd])
	if log.place != nil || started && log.started || terminal && log.terminal {
		return
	}
	log.started = log.started || started
	log.terminal = log.terminal || terminal
	ev.ID = log.position(log.first + len(log.events))
	log.events = append(log.events, ev)
	l.grow(log, len(ev.Data))
	for len(log.events) > l.opts.MaxEvents || log.bytes > l.opts.MaxBytes && len(log.events) > 1 {
		l.grow(log, -len(log.events[0].Data))
		log.events[0] = Event{}
		log.events = log.events[1:]
		log.first++
	}
	if ev.Close {
		log.terminal = true // also in a log that was written again, with other keys
		log.place = l.closed.PushBack(log)
	}
}

// grow counts n bytes more, or less. The caller holds mu.
func (l *Log) grow(log *taskLog, n int) {
	log.bytes += n
	l.bytes += n
}

// drop deletes a log; why is the error of its watchers. The caller holds mu.
func (l *Log) drop(log *taskLog, why error) {
	delete(l.logs, log.id)
	l.grow(log, -log.bytes)
	if log.place != nil {
		l.closed.Remove(log.place)
	}
	log.events, log.gone = nil, why
	log.notify()
}

// delete deletes the log of a task that was deleted.
func (l *Log) delete(taskID string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if log := l.logs[taskID]; log != nil {
		l.drop(log, ErrNotFound)
	}
}

// Ended implements [LogReader].
func (l *Log) Ended(_ context.Context, taskID string) (terminal, closed bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if log := l.logs[taskID]; log != nil {
		return log.terminal, log.place != nil, nil
	}
	return false, false, nil
}

// watchStep is how many events a watcher takes under one hold of the lock.
const watchStep = 256

// Watch implements [LogWatcher].
func (l *Log) Watch(ctx context.Context, taskID, after string) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		log := l.enter(taskID)
		defer l.leave(log)
		for {
			events, changed, err := l.next(log, after)
			if err == nil && len(events) == 0 {
				if changed == nil {
					return // after the last event
				}
				select {
				case <-changed:
					continue
				case <-ctx.Done():
					err = context.Cause(ctx)
				}
			}
			if err != nil {
				yield(Event{}, err)
				return
			}
			for _, ev := range events {
				if !yield(ev, nil) || ev.Close {
					return
				}
				after = ev.ID
			}
		}
	}
}

// enter counts a watcher of a log.
func (l *Log) enter(taskID string) *taskLog {
	l.mu.Lock()
	defer l.mu.Unlock()
	log := l.log(taskID)
	log.watchers++
	return log
}

// leave deletes a log that was there for its watcher only.
func (l *Log) leave(log *taskLog) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if log.watchers--; log.watchers == 0 && len(log.events) == 0 && log.gone == nil {
		l.drop(log, ErrNotFound)
	}
}

// next returns some of the events after a position. If there are none yet, changed
// closes when it is worth to look again; it is nil if there will be none.
func (l *Log) next(log *taskLog, after string) (events []Event, changed <-chan struct{}, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	from, err := log.after(after)
	switch {
	case log.gone != nil:
		return nil, nil, log.gone
	case err != nil:
		return nil, nil, fmt.Errorf("%w: after %q", ErrHistoryLost, after)
	case from < len(log.events):
		return slices.Clone(log.events[from:min(from+watchStep, len(log.events))]), nil, nil
	case log.place != nil:
		return nil, nil, nil
	}
	if log.changed == nil {
		log.changed = make(chan struct{})
	}
	return nil, log.changed, nil
}

// position is the ID of event number n.
func (log *taskLog) position(n int) string { return fmt.Sprintf("%x-%d", log.gen, n) }

// after returns the index in events of what comes after a position; "" is before
// all that there is.
func (log *taskLog) after(position string) (int, error) {
	if position == "" {
		return 0, nil
	}
	var gen int64
	var n int
	if _, err := fmt.Sscanf(position, "%x-%d", &gen, &n); err != nil || log.position(n) != position {
		return 0, ErrHistoryLost
	}
	if n < log.first-1 || n > log.first-1+len(log.events) {
		return 0, ErrHistoryLost
	}
	return n - log.first + 1, nil
}

// notify wakes the watchers. The caller holds Log.mu.
func (log *taskLog) notify() {
	if log.changed != nil {
		close(log.changed)
		log.changed = nil
	}
}
