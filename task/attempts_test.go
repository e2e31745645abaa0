package task_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/task"
)

func TestPausesBetweenAttemptsDouble(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var begun []time.Duration
		first := time.Now()
		b := serve(t, task.Options{RetryPause: 2 * time.Minute}, task.Type{
			Name: "unlucky", MaxAttempts: 5, Run: func(context.Context, *task.Run) (any, error) {
				begun = append(begun, time.Since(first))
				if len(begun) == 2 {
					panic("also tried again")
				}
				return nil, errors.New("bad luck")
			},
		})
		id := b.start(t, "unlucky", "")
		synctest.Wait()
		b.wantState(t, id, task.Pending)
		if info := b.info(t, id); info.RunAt == nil || info.RunAt.Sub(first) != 2*time.Minute {
			t.Errorf("run_at is %v, want 2 minutes after %v", info.RunAt, first)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		want := []time.Duration{0, 2 * time.Minute, 6 * time.Minute, 11 * time.Minute, 16 * time.Minute}
		if len(begun) != len(want) {
			t.Fatalf("begun at %v, want %v", begun, want)
		}
		for i := range want {
			if begun[i] != want[i] {
				t.Errorf("attempt %d begun at %v, want %v", i+1, begun[i], want[i])
			}
		}
		b.wantState(t, id, task.Failed)
		again := []string{"task_retrying", "progress_update"}
		b.wantNames(t, id, slices.Concat([]string{"task_started"}, again, again, again, again,
			[]string{"task_failed", "connection_close task_failed"})...)
		for i, want := range map[int]string{
			1: `{"attempt":1,"reason":"bad luck","next_run":"2000-01-01T00:02:00.000000Z"}`,
			3: `{"attempt":2,"reason":"internal error","next_run":"2000-01-01T00:06:00.000000Z"}`,
		} {
			if ev := b.logs.of(id)[i]; !strings.HasSuffix(string(ev.Data), `"data":`+want+`}`) || ev.Key != fmt.Sprintf("%s:%d:retry", id, (i+1)/2) {
				t.Errorf("event %d has key %q and is %s, want %s", i, ev.Key, ev.Data, want)
			}
		}
		if info := b.info(t, id); *info.Error != "bad luck" || !info.StartTime.Equal(first) {
			t.Errorf("error is %q, started at %v", *info.Error, info.StartTime)
		}
	})
}

func TestTimeoutsAreNotTriedAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		typ := obedient
		typ.MaxAttempts = 3
		b := serve(t, task.Options{Timeout: time.Second}, typ)
		id := b.start(t, "obedient", "")
		time.Sleep(time.Minute)
		synctest.Wait()
		b.wantState(t, id, task.Failed)
		b.wantNames(t, id, "task_started", "task_failed", "connection_close task_failed")
	})
}

func TestTasksThatMayBeRepeatedAreCancelledWhenAServiceInMemoryStops(t *testing.T) {
	bubble(t, func(t *testing.T) {
		typ := obedient
		typ.MaxAttempts = 3
		b := serve(t, task.Options{}, typ)
		id := b.start(t, "obedient", "")
		synctest.Wait()
		if err := b.stop(); err != nil {
			t.Error(err)
		}
		b.wantNames(t, id, "task_started", "task_cancelled", "connection_close task_cancelled")
	})
}

func TestDrainWaitsForTheNextAttempt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := serve(t, task.Options{RetryPause: time.Minute}, task.Type{
			Name: "second", MaxAttempts: 2, Run: func(_ context.Context, run *task.Run) (any, error) {
				if n, most := run.Attempt(); n < most {
					return nil, errors.New("not yet")
				}
				return nil, nil
			},
		})
		id := b.start(t, "second", "")
		synctest.Wait()
		b.Drain(t.Context())
		b.wantState(t, id, task.Completed)
	})
}

func TestPermanent(t *testing.T) {
	t.Parallel()
	if task.Permanent(nil) != nil {
		t.Error("Permanent(nil) is not nil")
	}
	cause := errors.New("no")
	if err := task.Permanent(cause); err.Error() != "no" || !errors.Is(err, cause) {
		t.Errorf("Permanent(%v) = %v", cause, err)
	}
}

func TestARetryPauseOfATypeGoesBeforeThatOfTheService(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := serve(t, task.Options{RetryPause: time.Hour}, task.Type{
			Name: "unlucky", MaxAttempts: 2, RetryPause: time.Second,
			Run: func(context.Context, *task.Run) (any, error) { return nil, errors.New(long(1 << 20)) },
		})
		id := b.start(t, "unlucky", "")
		time.Sleep(time.Minute)
		synctest.Wait()
		b.wantState(t, id, task.Failed)
		if reason := b.logs.of(id)[1].Data; len(reason) > 5<<10 {
			t.Errorf("task_retrying has %d bytes", len(reason))
		}
	})
}

func TestADelayedTaskBeginsAtItsTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := serve(t, task.Options{Workers: 1}, quick)
		at := time.Now().Add(36 * time.Hour)
		info, err := b.StartWith(t.Context(), "quick", nil, task.StartOptions{RunAt: at})
		if err != nil {
			t.Fatal(err)
		}
		past, err := b.StartWith(t.Context(), "quick", nil, task.StartOptions{RunAt: time.Now().Add(-time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		b.wantState(t, past.ID, task.Completed)
		time.Sleep(36*time.Hour - 2*time.Second)
		b.wantState(t, info.ID, task.Pending)
		end, err := b.Wait(t.Context(), info.ID)
		if err != nil || !end.StartTime.Equal(at) {
			t.Errorf("begun at %v, %v; want %v", end.StartTime, err, at)
		}
		if _, err := b.StartWith(t.Context(), "quick", nil, task.StartOptions{RunAt: time.Now().AddDate(2, 0, 0)}); !errors.Is(err, task.ErrBadParams) {
			t.Errorf("a start in two years = %v, want ErrBadParams", err)
		}
	})
}
