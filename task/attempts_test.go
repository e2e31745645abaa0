package task_test

import (
	"context"
	"errors"
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
		b.wantNames(t, id, "task_started", "progress_update", "progress_update", "progress_update", "progress_update",
			"task_failed", "connection_close task_failed")
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
