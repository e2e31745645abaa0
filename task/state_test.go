package task_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/task"
)

func TestBE9CancelEndsTheLog(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var cause error
		b := serve(t, task.Options{}, typeOf("waits", func(ctx context.Context, run *task.Run) (any, error) {
			if err := run.Progress(task.Progress{Text: "here"}); err != nil {
				return nil, err
			}
			<-ctx.Done()
			cause = context.Cause(ctx)
			return nil, cause
		}))
		id := b.start(t, "waits", "")
		synctest.Wait()
		if err := b.Cancel(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		b.wantState(t, id, task.Cancelled) // at once
		synctest.Wait()
		b.wantNames(t, id, "task_started", "progress_update", "task_cancelled", "connection_close task_cancelled")
		if !errors.Is(cause, task.ErrCancelled) {
			t.Errorf("cause of the context's end is %v, want ErrCancelled", cause)
		}
		if data := string(b.logs.of(id)[2].Data); !strings.HasSuffix(data, `"data":null}`) {
			t.Errorf("task_cancelled is %s, want data null", data)
		}
	})
}

func TestBE9CancelEndsTheLogOfAFunctionThatIgnoresIt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		release := make(chan struct{})
		b := serve(t, task.Options{}, stubborn(release))
		id := b.start(t, "stubborn", "")
		synctest.Wait()
		if err := b.Cancel(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		b.wantNames(t, id, "task_started", "task_cancelled", "connection_close task_cancelled")
		close(release)
	})
}

func TestBE10CancelledPendingTaskNeverRuns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ran := false
		b := serve(t, task.Options{Workers: 1}, obedient,
			typeOf("marks", func(context.Context, *task.Run) (any, error) { ran = true; return nil, nil }))
		blocker := b.start(t, "obedient", "")
		id := b.start(t, "marks", "")
		synctest.Wait()
		if err := b.Cancel(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if err := b.Cancel(t.Context(), blocker); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if ran {
			t.Error("a cancelled pending task ran")
		}
		info := b.info(t, id)
		if info.Status != task.Cancelled || info.StartTime != nil || info.EndTime == nil {
			t.Errorf("info is %+v, want cancelled, never started, ended", info)
		}
		b.wantNames(t, id, "task_cancelled", "connection_close task_cancelled")
	})
}

func TestBE10CancelledIsFinal(t *testing.T) {
	for name, end := range map[string]func() (any, error){
		"completes": func() (any, error) { return "late", nil },
		"fails":     func() (any, error) { return nil, errors.New("late") },
		"panics":    func() (any, error) { panic("late") },
		"goes":      func() (any, error) { runtime.Goexit(); return nil, nil },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				release := make(chan struct{})
				var late error
				b := serve(t, task.Options{}, typeOf("late", func(_ context.Context, run *task.Run) (any, error) {
					<-release
					late = run.Progress(task.Progress{Text: "late", Value: new(1.0)})
					return end()
				}))
				id := b.start(t, "late", "")
				synctest.Wait()
				if err := b.Cancel(t.Context(), id); err != nil {
					t.Fatal(err)
				}
				before := b.info(t, id)
				time.Sleep(time.Second)
				close(release)
				synctest.Wait()

				after := b.info(t, id)
				if after.Status != task.Cancelled || !after.EndTime.Equal(*before.EndTime) ||
					after.Result != nil || after.Error != nil || after.Progress != nil {
					t.Errorf("a cancelled task became %+v", after)
				}
				if !errors.Is(late, task.ErrCancelled) {
					t.Errorf("Progress after the end = %v, want ErrCancelled", late)
				}
				b.wantNames(t, id, "task_started", "task_cancelled", "connection_close task_cancelled")
				if err := b.Cancel(t.Context(), id); !errors.Is(err, task.ErrNotFound) {
					t.Errorf("second Cancel() = %v, want ErrNotFound", err)
				}
			})
		})
	}
}

func TestCancelRefuses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := serve(t, task.Options{}, quick)
		done := b.start(t, "quick", "")
		synctest.Wait()
		for _, id := range []string{done, "", "no such task"} {
			if err := b.Cancel(t.Context(), id); !errors.Is(err, task.ErrNotFound) {
				t.Errorf("Cancel(%q) = %v, want ErrNotFound", id, err)
			}
		}
		b.wantState(t, done, task.Completed)
	})
}

func TestCancelledTaskFreesItsWorkerWhenItReturns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		release := make(chan struct{})
		b := serve(t, task.Options{Workers: 1}, stubborn(release), quick)
		first := b.start(t, "stubborn", "")
		second := b.start(t, "quick", "")
		synctest.Wait()
		if err := b.Cancel(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		b.wantState(t, second, task.Pending)
		close(release)
		synctest.Wait()
		b.wantState(t, second, task.Completed)
	})
}

func TestBE14TimeoutIsEnforced(t *testing.T) {
	bubble(t, func(t *testing.T) {
		release := make(chan struct{})
		var cause error
		waits := typeOf("waits", func(ctx context.Context, _ *task.Run) (any, error) {
			<-ctx.Done()
			cause = context.Cause(ctx)
			return "late", nil
		})
		own := waits
		own.Name, own.Timeout = "own", 90*time.Second
		b := serve(t, task.Options{Workers: 1}, stubborn(release), waits, own, quick)
		stuck, polite, short := b.start(t, "stubborn", ""), b.start(t, "waits", ""), b.start(t, "own", "")
		last := b.start(t, "quick", "")

		time.Sleep(5*time.Minute - time.Nanosecond)
		b.wantState(t, stuck, task.Running)
		time.Sleep(2 * time.Nanosecond)
		b.wantState(t, stuck, task.Failed)
		b.wantState(t, polite, task.Running) // the worker was handed on
		b.wantNames(t, stuck, "task_started", "task_failed", "connection_close task_failed")
		if n := b.Strays(); n != 1 {
			t.Errorf("%d strays, want 1", n)
		}
		time.Sleep(10 * time.Minute)
		for id, want := range map[string]string{
			stuck: "Task timed out after 5m0s", polite: "Task timed out after 5m0s", short: "Task timed out after 1m30s",
		} {
			info := b.info(t, id)
			if info.Status != task.Failed || info.Error == nil || *info.Error != want {
				t.Errorf("task is %s, error %v; want failed, %q", info.Status, info.Error, want)
			}
		}
		b.wantState(t, last, task.Completed)
		if !errors.Is(cause, task.ErrTimeout) {
			t.Errorf("cause of the context's end is %v, want ErrTimeout", cause)
		}

		close(release)
		synctest.Wait()
		b.wantState(t, stuck, task.Failed)
		if n := b.Strays(); n != 0 {
			t.Errorf("%d strays after all returned, want 0", n)
		}
	})
}

func TestBE14StraysAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		release := make(chan struct{})
		b := serve(t, task.Options{Workers: 2, MaxStrays: 3, Timeout: time.Second}, stubborn(release), quick)
		var ids []string
		for range 6 {
			ids = append(ids, b.start(t, "stubborn", ""))
		}
		last := b.start(t, "quick", "")
		time.Sleep(time.Hour)
		if n := b.Strays(); n != 3 {
			t.Errorf("%d strays, want 3", n)
		}
		// Three strays, then both workers stay with the functions they have.
		for i, id := range ids {
			want := task.Failed
			if i == 5 {
				want = task.Pending
			}
			b.wantState(t, id, want)
		}
		close(release)
		synctest.Wait()
		b.wantState(t, last, task.Completed)
	})
}

func TestBE14FunctionThatReturnsAsItTimesOutIsNoStray(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := serve(t, task.Options{Workers: 10, Timeout: time.Second}, typeOf("just", func(context.Context, *task.Run) (any, error) {
			time.Sleep(time.Second)
			return nil, nil
		}), obedient)
		for range 500 {
			b.start(t, "just", "")
		}
		time.Sleep(time.Hour)
		if n := b.Strays(); n != 0 {
			t.Errorf("%d strays, want 0", n)
		}
		if counts := b.Counts(); counts[task.Completed]+counts[task.Failed] != 500 {
			t.Errorf("after an hour: %v", counts)
		}
		for range 11 { // all slots are there still
			b.start(t, "obedient", "")
		}
		synctest.Wait()
		if n := b.Counts()[task.Running]; n != 10 {
			t.Errorf("%d tasks run in 10 slots", n)
		}
	})
}

func (panicsWhenEncoded) MarshalJSON() ([]byte, error) { panic("in MarshalJSON") }
