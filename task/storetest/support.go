package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tidegate/task"
)

// running is a store whose Run is at work.
type running struct {
	task.Store
	changed chan task.Record // what Hooks.Changed received; a test that waits for one reads it
	deleted chan string      // what Hooks.Deleted received
	cancels chan string      // what Hooks.Cancel was asked; it answers true
}

// open opens a store and runs it until the test ends.
func open(t *testing.T, s Suite, b Bounds) *running {
	t.Helper()
	return runStore(t, s.Open(t, b), "worker-1")
}

// runStore runs a store until the test ends.
func runStore(t *testing.T, store task.Store, worker string) *running {
	t.Helper()
	r := &running{store, make(chan task.Record, 1000), make(chan string, 1000), make(chan string, 1000)}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- store.Run(ctx, task.Hooks{
			Worker:  worker,
			Changed: func(rec task.Record) { offer(r.changed, rec) },
			Deleted: func(id string) { offer(r.deleted, id) },
			Cancel:  func(_ context.Context, id string) bool { offer(r.cancels, id); return true },
			Overdue: func(context.Context, task.Record) {},
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := receive(t, ended, "Run to end with its context"); err != nil {
			t.Errorf("Run() = %v", err)
		}
	})
	return r
}

// offer sends v unless nobody has room for it.
func offer[T any](ch chan T, v T) {
	select {
	case ch <- v:
	default:
	}
}

// receive waits for a value.
func receive[T any](t testing.TB, ch <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-ch:
	case <-time.After(patience):
		t.Fatalf("waited %v for %s", patience, what)
	}
	return v
}

// eventually waits until cond holds, of which nothing is notified.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for end := time.Now().Add(patience); !cond(); <-ticker.C {
		if time.Now().After(end) {
			t.Fatalf("waited %v until %s", patience, what)
		}
	}
}

// within is a context for one call of the store.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// record is a pending task as a service submits it.
func record(id string) task.Record {
	return task.Record{
		ID: id, Type: "work", Params: json.RawMessage(`{"n":1}`), State: task.Pending, MaxAttempts: 1, Created: stamp(),
	}
}

// stamp is the time as services write it to records.
func stamp() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// submit stores a task.
func (r *running) submit(t testing.TB, rec task.Record) task.Record {
	t.Helper()
	rec, err := r.Submit(within(t), rec)
	if err != nil {
		t.Fatalf("Submit(%s) = %v", rec.ID, err)
	}
	return rec
}

// update stores a record.
func (r *running) update(t testing.TB, rec task.Record) task.Record {
	t.Helper()
	stored, err := r.Update(within(t), rec)
	if err != nil {
		t.Fatalf("Update(%s at revision %d) = %v", rec.ID, rec.Revision, err)
	}
	return stored
}

// finish makes a task final and takes it out of the queue.
func (r *running) finish(t testing.TB, rec task.Record, retention time.Duration) task.Record {
	t.Helper()
	rec.State, rec.Params, rec.Ended, rec.Retention = task.Completed, nil, stamp(), retention
	rec = r.update(t, rec)
	if err := r.Acknowledge(within(t), rec, nil); err != nil {
		t.Fatalf("Acknowledge(%s) = %v", rec.ID, err)
	}
	return rec
}

// fetch leases up to n tasks, at least one.
func (r *running) fetch(t testing.TB, n int, types ...string) []task.Lease {
	t.Helper()
	leases, err := r.Fetch(within(t), types, n)
	if err != nil {
		t.Fatalf("Fetch(%q, %d) = %v", types, n, err)
	}
	if len(leases) < 1 || len(leases) > n {
		t.Fatalf("Fetch(%q, %d) returned %d leases", types, n, len(leases))
	}
	return leases
}

// fetchAll leases n tasks, in as many calls as that takes.
func (r *running) fetchAll(t testing.TB, n int, types ...string) (ids []string, leases []task.Lease) {
	t.Helper()
	for len(leases) < n {
		leases = append(leases, r.fetch(t, n-len(leases), types...)...)
	}
	for _, lease := range leases {
		ids = append(ids, lease.TaskID())
	}
	return ids, leases
}

// wantNone fails if a task can be leased now. No store announces that it has nothing,
// so it gives the store a moment, which an empty one lets pass.
func (r *running) wantNone(t testing.TB, types ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(context.Background(), 50*time.Millisecond, errMoment)
	defer cancel()
	if leases, err := r.Fetch(ctx, types, 10); len(leases) > 0 || err == nil {
		t.Errorf("Fetch(%q) = %d leases, %v; want none", types, len(leases), err)
	}
}

var errMoment = fmt.Errorf("storetest: nothing came")

// ids are the tasks of a list.
func ids(recs []task.Record) (ids []string) {
	for _, rec := range recs {
		ids = append(ids, rec.ID)
	}
	return ids
}

// eventLog is a publisher that keeps each Key once, and takes nothing more for a task
// whose log is closed.
type eventLog struct {
	mu      sync.Mutex
	byID    map[string][]task.Event
	keys    map[string]bool
	changed chan struct{} // closed at the next event
}

func newEventLog() *eventLog {
	return &eventLog{byID: map[string][]task.Event{}, keys: map[string]bool{}, changed: make(chan struct{})}
}

// Publish implements [task.Publisher].
func (l *eventLog) Publish(_ context.Context, id string, events []task.Event) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, ev := range events {
		if log := l.byID[id]; len(log) > 0 && log[len(log)-1].Close || l.keys[ev.Key] {
			continue
		}
		l.keys[ev.Key] = true
		l.byID[id] = append(l.byID[id], ev)
	}
	close(l.changed)
	l.changed = make(chan struct{})
	return nil
}

// Ended implements [task.LogReader].
func (l *eventLog) Ended(_ context.Context, id string) (terminal, closed bool, err error) {
	log := l.of(id)
	closed = len(log) > 0 && log[len(log)-1].Close
	return closed, closed, nil
}

// of returns the log of a task.
func (l *eventLog) of(id string) []task.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.byID[id])
}

// lose deletes the log of a task.
func (l *eventLog) lose(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.byID, id)
}

// names returns the event_type of each event of a task.
func (l *eventLog) names(id string) (names []string) {
	for _, ev := range l.of(id) {
		var data struct {
			EventType string `json:"event_type"`
			Reason    string `json:"reason"`
		}
		_ = json.Unmarshal(ev.Data, &data) // what is not JSON has no name
		if ev.Close {
			data.EventType = "close " + data.Reason
		}
		names = append(names, data.EventType)
	}
	return names
}

// waitFor waits until cond holds for the log of a task.
func (l *eventLog) waitFor(t testing.TB, id, what string, cond func(log []task.Event) bool) {
	t.Helper()
	timeout := time.After(patience)
	for {
		l.mu.Lock()
		changed, ok := l.changed, cond(l.byID[id])
		l.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("task %s: not %s in %v; log is %q", id, what, patience, l.names(id))
		}
	}
}

// waitClosed waits until the log of a task is closed.
func (l *eventLog) waitClosed(t testing.TB, id string) {
	t.Helper()
	l.waitFor(t, id, "closed", func(log []task.Event) bool { return len(log) > 0 && log[len(log)-1].Close })
}

// waitText waits until a task has reported a text.
func (l *eventLog) waitText(t testing.TB, id, text string) {
	t.Helper()
	l.waitFor(t, id, "at "+text, func(log []task.Event) bool {
		return slices.ContainsFunc(log, func(ev task.Event) bool { return strings.Contains(string(ev.Data), `"text":"`+text+`"`) })
	})
}

// want waits until the log of a task is closed, and fails unless it is as given.
func (l *eventLog) want(t *testing.T, id string, want ...string) {
	t.Helper()
	l.waitClosed(t, id)
	if got := l.names(id); !slices.Equal(got, want) {
		t.Errorf("log of the task:\n got %q\nwant %q", got, want)
	}
}
