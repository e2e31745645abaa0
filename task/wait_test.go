package task_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"tidegate/task"
)

func TestWaitReturnsTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := serve(t, task.Options{}, reporting(3), obedient,
			typeOf("fails", func(context.Context, *task.Run) (any, error) { return nil, errors.New("bad luck") }))
		completed, failed, cancelled := b.start(t, "reporting", ""), b.start(t, "fails", ""), b.start(t, "obedient", "")
		time.AfterFunc(time.Minute, func() {
			if err := b.Cancel(context.Background(), cancelled); err != nil {
				t.Error(err)
			}
		})
		if info, err := b.Wait(t.Context(), completed); err != nil || string(info.Result) != "3" {
			t.Errorf("Wait() = %s, %v; want 3", info.Result, err)
		}
		info, err := b.Wait(t.Context(), failed)
		if e, ok := errors.AsType[*task.EndError](err); !ok || e.State != task.Failed || e.Text != "bad luck" || e.ID != failed || info.Status != task.Failed {
			t.Errorf("Wait() = %v, %v", info, err)
		}
		if want := "task: fails " + failed + " failed: bad luck"; err.Error() != want || errors.Is(err, task.ErrCancelled) {
			t.Errorf("error is %q, want %q", err, want)
		}
		begun := time.Now()
		if info, err = b.Wait(t.Context(), cancelled); !errors.Is(err, task.ErrCancelled) || info.Status != task.Cancelled {
			t.Errorf("Wait() = %v, %v; want ErrCancelled", info, err)
		}
		if waited := time.Since(begun); waited > time.Minute {
			t.Errorf("the end was reported %v after the start", waited)
		}
		if _, err = b.Wait(t.Context(), "unknown"); !errors.Is(err, task.ErrNotFound) {
			t.Errorf("Wait(unknown) = %v", err)
		}
	})
}

func TestWaitEndsWithItsContextAndWithTheService(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := serve(t, task.Options{}, obedient)
		id := b.start(t, "obedient", "")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errAway)
		defer cancel()
		if info, err := b.Wait(ctx, id); !errors.Is(err, errAway) || info.Status != task.Running {
			t.Errorf("Wait whose context ends = %s, %v", info.Status, err)
		}
		time.AfterFunc(time.Second, func() { _ = b.stop() })
		if _, err := b.Wait(t.Context(), id); !errors.Is(err, task.ErrCancelled) { // a service in memory cancels what is left
			t.Errorf("Wait while the service stops = %v", err)
		}
		late := prepare(t, task.Options{}, obedient)
		id = late.start(t, "obedient", "")
		ctx, cancel = context.WithTimeoutCause(t.Context(), time.Minute, errAway)
		defer cancel()
		if info, err := late.Wait(ctx, id); !errors.Is(err, errAway) || info.Status != task.Pending {
			t.Errorf("Wait before Run = %s, %v", info.Status, err)
		}
	})
}

// TestManyWaitersAreAllWoken: each learns of the end at that moment, not at its next look.
func TestManyWaitersAreAllWoken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := serve(t, task.Options{}, reporting(2))
		id := b.start(t, "reporting", "")
		begun := time.Now()
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if _, err := b.Wait(t.Context(), id); err != nil || time.Since(begun) != 2*time.Second {
					t.Errorf("Wait returned after %v, %v", time.Since(begun), err)
				}
			})
		}
		wg.Wait()
	})
}
