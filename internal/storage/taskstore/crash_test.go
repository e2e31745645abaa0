package taskstore

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/backoff"
	"tidegate/internal/storage/natstest"
	"tidegate/task"
)

// brief are options with short times, for tests in which somebody is gone.
var short = Options{AckWait: 600 * time.Millisecond, Timeout: time.Second, SweepInterval: 500 * time.Millisecond}

// blocking is a type that reports its begin and returns when release closes.
func blocking(attempts int) (typ task.Type, began chan *task.Run, release chan struct{}) {
	began, release = make(chan *task.Run, 100), make(chan struct{})
	return task.Type{Name: "blocking", MaxAttempts: attempts, Run: func(ctx context.Context, run *task.Run) (any, error) {
		began <- run
		<-release
		return "late", context.Cause(ctx)
	}}, began, release
}

// TestAZombieIsFenced cuts the connection of a process in the middle of a task, for
// so long that another takes over, and lets it come back.
func TestAZombieIsFenced(t *testing.T) {
	t.Parallel()
	e := openEngine(t, t.TempDir())
	log := newTaskLog()
	log.open = true
	cutOff := anotherTo(t, e)

	zombieLost := make(chan error, 1)
	zombie := serveTasks(t, newTasks(t, cutOff, short), task.Options{Publisher: log}, task.Type{
		Name: "long", MaxAttempts: 2, Run: func(ctx context.Context, run *task.Run) (any, error) {
			_ = run.Progress(task.Progress{Text: "here"}) // it is taken
			<-ctx.Done()
			zombieLost <- context.Cause(ctx)
			zombieLost <- run.Progress(task.Progress{Text: "from beyond"})
			return "zombie", nil
		},
	})
	id := zombie.start(t, "long", "")
	log.here(t, id)

	other := serveTasks(t, newTasks(t, e, short), task.Options{Publisher: log}, task.Type{
		Name: "long", MaxAttempts: 2, Run: func(context.Context, *task.Run) (any, error) { return "living", nil },
	})
	zombie.cut(t)
	log.waitClosed(t, id)
	zombie.mend(t)
	if err := <-zombieLost; !errors.Is(err, task.ErrLost) {
		t.Errorf("cause of the zombie's end is %v, want ErrLost", err)
	}
	if err := <-zombieLost; !errors.Is(err, task.ErrLost) {
		t.Errorf("Progress() of the zombie = %v, want ErrLost", err)
	}
	if info := other.info(t, id); string(info.Result) != `"living"` || info.Attempt != 2 {
		t.Errorf("result is %s of attempt %d", info.Result, info.Attempt)
	}
	wantLog(t, log, id, "task_started", "progress_update", "task_retrying", "progress_update", "task_completed", "close task_completed")
	waitState(t, zombie, id, task.Completed)
}

// TestAWorkerThatIsLostFailsATaskThatMayNotBeRepeated is the same for a task with
// one attempt.
func TestAWorkerThatIsLostFailsATaskThatMayNotBeRepeated(t *testing.T) {
	t.Parallel()
	e := openEngine(t, t.TempDir())
	log := newTaskLog()
	typ, began, release := blocking(1)
	defer close(release)
	gone := serveTasks(t, newTasks(t, anotherTo(t, e), short), task.Options{Publisher: log}, typ)
	id := gone.start(t, "blocking", "")
	<-began
	other := serveTasks(t, newTasks(t, e, short), task.Options{Publisher: log}, typ)
	gone.cut(t)
	wantLog(t, log, id, "task_started", "task_failed", "close task_failed")
	if info := other.info(t, id); !strings.HasPrefix(*info.Error, "worker_lost: ") {
		t.Errorf("error is %q, want worker_lost", *info.Error)
	}
	if len(began) != 0 {
		t.Error("the task was begun again")
	}
	gone.mend(t)
	waitState(t, gone, id, task.Failed)
}

// TestATaskSurvivesThatItsLeaseRanOut cuts a process off for longer than its lease
// while there is no other: it goes on with the task when it is back.
func TestATaskSurvivesThatItsLeaseRanOut(t *testing.T) {
	t.Parallel()
	e := openEngine(t, t.TempDir())
	log := newTaskLog()
	typ, began, release := blocking(1)
	n := serveTasks(t, newTasks(t, anotherTo(t, e), short), task.Options{Publisher: log}, typ)
	id := n.start(t, "blocking", "")
	<-began
	n.cut(t)
	if _, err := n.Start(t.Context(), "blocking", nil); !errors.Is(err, task.ErrUnavailable) {
		t.Errorf("Start() while the store is away = %v, want ErrUnavailable", err)
	}
	if err := n.Cancel(t.Context(), id); !errors.Is(err, task.ErrUnavailable) {
		t.Errorf("Cancel() while the store is away = %v, want ErrUnavailable", err)
	}
	if got := n.info(t, id).Status; got != task.Running {
		t.Errorf("while the store is away the task is %s", got)
	}
	_ = backoff.Wait(t.Context(), 2*short.AckWait) // nothing reports that a lease has run out
	close(release)                                 // it ends while the store is away
	_ = backoff.Wait(t.Context(), short.AckWait)
	n.mend(t)
	wantLog(t, log, id, "task_started", "task_completed", "close task_completed")
	if info := n.info(t, id); info.Status != task.Completed {
		t.Errorf("task is %s, %v", info.Status, info.Error)
	}
}

// TestAcknowledgingAgainIsHarmless, by any process.
func TestAcknowledgingAgainIsHarmless(t *testing.T) {
	t.Parallel()
	s := newTasks(t, openEngine(t, t.TempDir()), short)
	for _, id := range []string{"leased", "not-leased"} {
		rec, err := s.Submit(t.Context(), task.Record{ID: id, Type: "t", State: task.Pending, MaxAttempts: 1, Created: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		leases, err := s.Fetch(t.Context(), []string{"t"}, 1)
		if err != nil || leases[0].TaskID() != id {
			t.Fatalf("Fetch() = %v, %v", leases, err)
		}
		order := []task.Lease{nil, leases[0], leases[0], nil}
		if id == "leased" {
			order = order[1:]
		}
		for i, lease := range order {
			if err := s.Acknowledge(t.Context(), rec, lease); err != nil {
				t.Errorf("%s: Acknowledge() number %d = %v", id, i+1, err)
			}
			if queued, err := s.Queued(t.Context(), rec); queued || err != nil {
				t.Errorf("%s: after Acknowledge() number %d it is queued: %v, %v", id, i+1, queued, err)
			}
		}
	}
}

func TestATaskThatIsInNoQueueIsSwept(t *testing.T) {
	t.Parallel()
	e := openEngine(t, t.TempDir())
	s := newTasks(t, e, short)
	// A process died between the two writes of Submit.
	subject, _ := s.taskSubject("orphan")
	_, err := s.store(t.Context(), subject, task.Record{
		ID: "orphan", Type: "demo_task", Params: []byte(`{"delay":0}`), State: task.Pending, MaxAttempts: 1, Created: time.Now(),
	}, taskParts{})
	if err != nil {
		t.Fatal(err)
	}
	log := newTaskLog()
	other := newTasks(t, anotherTo(t, e), short)
	other.orphanAge = time.Millisecond
	serveTasks(t, other, task.Options{Publisher: log}, task.Demo())
	log.waitClosed(t, "orphan")
}

// TestATaskThatTheConsumerHasLostIsSwept has a message in the queue that its
// consumer passes over.
func TestATaskThatTheConsumerHasLostIsSwept(t *testing.T) {
	t.Parallel()
	e := openEngine(t, t.TempDir())
	s := newTasks(t, e, short)
	_, err := s.Submit(t.Context(), task.Record{
		ID: "forgotten", Type: "demo_task", Params: []byte(`{"delay":0}`), State: task.Pending, MaxAttempts: 1, Created: time.Now(),
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.consumer(t.Context(), lane{typ: "demo_task"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.taskq.ResetConsumerToSequence(t.Context(), "q-demo_task", 2); err != nil {
		t.Fatal(err)
	}
	log := newTaskLog()
	other := newTasks(t, anotherTo(t, e), short)
	other.orphanAge = time.Millisecond
	serveTasks(t, other, task.Options{Publisher: log}, task.Demo())
	log.waitClosed(t, "forgotten")
}

// TestLastEventsAreWrittenOnceByWhoeverComes lets a process die between the final
// record and its last events, at each place between two of them. The log knows no
// keys, as one without a window of keys.
func TestLastEventsAreWrittenOnceByWhoeverComes(t *testing.T) {
	t.Parallel()
	for taken, name := range []string{"before all", "after task_started", "after the terminal one"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := openEngine(t, t.TempDir())
			log := newTaskLog()
			final, reached := make(chan struct{}), make(chan struct{})
			left := taken // events that are taken before the process dies
			first := newTaskLog()
			first.on = func(_ context.Context, id string, events []task.Event) error {
				<-final
				n := min(left, len(events))
				if err := log.Publish(t.Context(), id, events[:n]); err != nil {
					return err
				}
				if left -= n; left > 0 || n == len(events) {
					return nil
				}
				select {
				case <-reached:
				default:
					close(reached)
				}
				return errors.New("died")
			}
			dying := serveTasks(t, newTasks(t, anotherTo(t, e), short), task.Options{Publisher: first, Observer: endObserver{final}},
				task.Type{Name: "quick", Run: func(context.Context, *task.Run) (any, error) { return 1, nil }})
			id := dying.start(t, "quick", "")
			<-reached
			dying.cut(t)
			log.mu.Lock()
			log.forgetful = taken > 1 // the first event differs from others by its key only
			if log.forgetful {
				clear(log.keys)
			}
			log.mu.Unlock()
			other := serveTasks(t, newTasks(t, e, short), task.Options{Publisher: log},
				task.Type{Name: "quick", Run: func(context.Context, *task.Run) (any, error) { return 2, nil }})
			wantLog(t, log, id, "task_started", "task_completed", "close task_completed")
			if info := other.info(t, id); string(info.Result) != "1" {
				t.Errorf("result is %s, want that of the first run", info.Result)
			}
			natstest.Eventually(t, "acknowledged", func() bool {
				rec, err := other.store.Load(t.Context(), id)
				queued, err2 := other.store.Queued(t.Context(), rec)
				return err == nil && err2 == nil && !queued
			})
			wantLog(t, log, id, "task_started", "task_completed", "close task_completed")
			dying.mend(t)
		})
	}
}

// endObserver reports when a task has ended.
type endObserver struct{ ended chan struct{} }

func (o endObserver) Ended(task.Info)                   { close(o.ended) }
func (endObserver) Published(int, time.Duration, error) {}
func (endObserver) Dropped(string, error)               {}

func TestNoTaskIsTakenWhileTheStoreIsNearlyFull(t *testing.T) {
	t.Parallel()
	e := openEngine(t, t.TempDir())
	log := newTaskLog()
	n := serveTasks(t, newTasks(t, e, short), task.Options{Publisher: log}, task.Demo())
	log.waitClosed(t, n.start(t, "demo_task", `{"delay":0}`))
	// The stream is given less room than it should have.
	config := n.store.tasks.CachedInfo().Config
	config.MaxBytes = 100
	config.Discard = jetstream.DiscardNew
	if _, err := e.JetStream().UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	natstest.Eventually(t, "refused", func() bool {
		_, err := n.Start(t.Context(), "demo_task", json.RawMessage(`{"delay":0}`))
		return errors.Is(err, task.ErrBusy) && strings.Contains(err.Error(), "nearly full")
	})
}
