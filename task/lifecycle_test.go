package task_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/task"
)

func TestRunFiftyTimes(t *testing.T) {
	t.Parallel()
	for i := range 50 {
		b := prepare(t, task.Options{Workers: 2}, task.Demo(), obedient)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := b.Run(ctx); err != nil {
				t.Errorf("Run() = %v", err)
			}
		})
		for range 10 {
			wg.Go(func() {
				for _, typ := range []string{"demo_task", "obedient"} {
					info, err := b.Start(t.Context(), typ, []byte(`{"delay":0}`))
					if err != nil && !errors.Is(err, task.ErrStopping) && !errors.Is(err, task.ErrBadParams) {
						t.Errorf("Start() = %v", err)
					}
					b.Get(t.Context(), info.ID)
					if i%3 == 0 {
						_ = b.Cancel(t.Context(), info.ID) // it may be over, or not begun
					}
				}
			})
		}
		if i%2 == 0 {
			wg.Go(func() { b.Drain(ctx) })
		}
		cancel()
		wg.Wait()
		if counts := b.Counts(); counts[task.Pending]+counts[task.Running] != 0 {
			t.Errorf("after Run: %v", counts)
		}
	}
}

func TestRunCancelsWhatIsLeftWhenItStops(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var cause error
		b := serve(t, task.Options{Workers: 1}, typeOf("waits", func(ctx context.Context, _ *task.Run) (any, error) {
			<-ctx.Done()
			cause = context.Cause(ctx)
			return nil, nil
		}))
		running, pending := b.start(t, "waits", ""), b.start(t, "waits", "")
		synctest.Wait()
		begun := time.Now()
		if err := b.stop(); err != nil {
			t.Errorf("Run() = %v", err)
		}
		if took := time.Since(begun); took != 0 {
			t.Errorf("stopping took %v", took)
		}
		if !errors.Is(cause, task.ErrStopping) {
			t.Errorf("cause of the context's end is %v, want ErrStopping", cause)
		}
		b.wantNames(t, running, "task_started", "task_cancelled", "connection_close task_cancelled")
		b.wantNames(t, pending, "task_cancelled", "connection_close task_cancelled")
		if _, err := b.Start(t.Context(), "waits", nil); !errors.Is(err, task.ErrStopping) {
			t.Errorf("Start() after Run = %v, want ErrStopping", err)
		}
		if err := b.Republish(t.Context(), running); !errors.Is(err, task.ErrStopping) {
			t.Errorf("Republish() after Run = %v, want ErrStopping", err)
		}
	})
}

func TestRunLeavesStubbornFunctionsBehind(t *testing.T) {
	bubble(t, func(t *testing.T) {
		release := make(chan struct{})
		b := prepare(t, task.Options{}, stubborn(release))
		b.start(t, "stubborn", "")
		b.start(t, "stubborn", "")
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- b.Run(ctx) }()
		synctest.Wait()
		begun := time.Now()
		cancel()
		err := <-ended
		if err == nil || !strings.Contains(err.Error(), "2 functions") {
			t.Errorf("Run() = %v, want an error that names 2 functions", err)
		}
		if took := time.Since(begun); took != 5*time.Second {
			t.Errorf("stopping took %v, want 5 s", took)
		}
		close(release)
	})
}

func TestRunStopsAlthoughThePublisherIsAway(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var out bytes.Buffer
		_, publisher := gated()
		b := serve(t, task.Options{Publisher: publisher, Log: slog.New(slog.NewTextHandler(&out, nil))}, quick)
		b.start(t, "quick", "")
		synctest.Wait()
		begun := time.Now()
		if err := b.stop(); err != nil {
			t.Errorf("Run() = %v", err)
		}
		if took := time.Since(begun); took != 5*time.Second {
			t.Errorf("stopping took %v, want 5 s", took)
		}
		if !strings.Contains(out.String(), "events are not published") {
			t.Errorf("the log does not say that events were left: %s", out.String())
		}
	})
}

func TestCancelBeforeRunIsPublishedOnceItRuns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := prepare(t, task.Options{}, quick)
		cancelled, other := b.start(t, "quick", ""), b.start(t, "quick", "")
		if err := b.Cancel(t.Context(), cancelled); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		b.wantState(t, other, task.Pending)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- b.Run(ctx) }()
		synctest.Wait()
		b.wantNames(t, cancelled, "task_cancelled", "connection_close task_cancelled")
		b.wantNames(t, other, "task_started", "task_completed", "connection_close task_completed")
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestDrainLetsTasksFinish(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := serve(t, task.Options{Workers: 1, Publisher: &logs{on: func(_ context.Context, _ string, events []task.Event) (int, error) {
			time.Sleep(time.Second)
			return len(events), nil
		}}}, task.Demo())
		ids := []string{b.start(t, "demo_task", `{"delay":10}`), b.start(t, "demo_task", `{"delay":10}`)}
		begun := time.Now()
		drained := make(chan struct{})
		go func() {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			b.Drain(ctx)
			close(drained)
		}()
		synctest.Wait()
		if _, err := b.Start(t.Context(), "demo_task", nil); !errors.Is(err, task.ErrStopping) {
			t.Errorf("Start() while draining = %v, want ErrStopping", err)
		}
		<-drained
		for _, id := range ids {
			b.wantState(t, id, task.Completed)
			if got := b.logs.names(t, id); got[len(got)-1] != "connection_close task_completed" {
				t.Errorf("Drain returned before the log was complete: %q", got)
			}
		}
		if took := time.Since(begun).Round(time.Second); took < 60*time.Second || took > 62*time.Second {
			t.Errorf("Drain took %v, want 60 s and what the last events need", took)
		}
	})
}

func TestDrainCancelsWhatIsLeftWhenItsTimeIsOver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		release := make(chan struct{})
		b := serve(t, task.Options{Workers: 1}, stubborn(release), quick)
		running, pending := b.start(t, "stubborn", ""), b.start(t, "quick", "")
		synctest.Wait()
		begun := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		b.Drain(ctx)
		if took := time.Since(begun); took != 30*time.Second {
			t.Errorf("Drain took %v, want 30 s", took)
		}
		b.wantNames(t, running, "task_started", "task_cancelled", "connection_close task_cancelled")
		b.wantNames(t, pending, "task_cancelled", "connection_close task_cancelled")
		close(release)
		synctest.Wait()
		b.wantState(t, pending, task.Cancelled)
	})
}

func TestDrainDoesNotWaitForEverForThePublisher(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, publisher := gated()
		b := serve(t, task.Options{Publisher: publisher}, quick)
		b.start(t, "quick", "")
		begun := time.Now()
		b.Drain(t.Context())
		if took := time.Since(begun); took != 5*time.Second {
			t.Errorf("Drain took %v, want 5 s", took)
		}
		if err := b.stop(); err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took != 5*time.Second {
			t.Errorf("Drain and the end of Run took %v, want 5 s together", took)
		}
	})
}

func TestBE11StalledPublisherDelaysNobodyElse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		stalled := make(chan string, 1)
		release := make(chan struct{})
		var once sync.Once
		publisher := &logs{}
		publisher.on = func(_ context.Context, id string, events []task.Event) (int, error) {
			once.Do(func() { stalled <- id })
			if id == stalledID(stalled) {
				<-release
			}
			return len(events), nil
		}
		b := serve(t, task.Options{Publisher: publisher, Workers: 1}, task.Demo())
		first := b.start(t, "demo_task", `{"delay":0}`)
		synctest.Wait()
		begun := time.Now()
		b.wantState(t, first, task.Completed)
		other := b.start(t, "demo_task", `{"delay":0}`)
		synctest.Wait()
		b.wantState(t, other, task.Completed)
		b.wantNames(t, first)
		b.wantNames(t, other, "task_started", "progress_update", "progress_update", "progress_update", "progress_update",
			"task_completed", "connection_close task_completed")
		if items, _ := b.List(task.Filter{}); len(items) != 2 {
			t.Errorf("List() has %d items, want 2", len(items))
		}
		if err := b.Remove(t.Context(), other); err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took != 0 {
			t.Errorf("others took %v", took)
		}
		close(release)
		synctest.Wait()
		b.wantNames(t, first, "task_started", "progress_update", "progress_update", "progress_update", "progress_update",
			"task_completed", "connection_close task_completed")
	})
}

// stalledID looks at the id in a channel of size 1.
func stalledID(c chan string) string {
	id := <-c
	c <- id
	return id
}
