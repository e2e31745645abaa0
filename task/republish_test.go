package task_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/task"
)

func TestRepublishWritesTheLogAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := serve(t, task.Options{}, task.Demo())
		id := b.start(t, "demo_task", "")
		time.Sleep(time.Minute)
		before := b.logs.of(id)
		if err := b.Republish(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		again := b.logs.of(id)[len(before):]
		want := []task.Event{before[0], before[4], before[5], before[6]}
		if len(again) != len(want) {
			t.Fatalf("%d events again, want %d", len(again), len(want))
		}
		for i, ev := range again {
			if key := id + ":r" + string(rune('1'+i)); ev.Key != key || string(ev.Data) != string(want[i].Data) || ev.Close != want[i].Close {
				t.Errorf("event %d is %s %s, want %s %s", i, ev.Key, ev.Data, key, want[i].Data)
			}
		}
		// Again once more: the same keys.
		if err := b.Republish(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		last := b.logs.calls[len(b.logs.calls)-1]
		if len(last) != 4 || last[3].Key != id+":r4" {
			t.Errorf("second time: %d events, the last %s", len(last), last[len(last)-1].Key)
		}
	})
}

func TestRepublishOfATaskThatNeverRan(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := serve(t, task.Options{Workers: 1}, obedient)
		running, pending := b.start(t, "obedient", ""), b.start(t, "obedient", "")
		synctest.Wait()
		for _, id := range []string{running, pending, "unknown"} {
			if err := b.Republish(t.Context(), id); !errors.Is(err, task.ErrNotFound) {
				t.Errorf("Republish(%q) = %v, want ErrNotFound", id, err)
			}
		}
		if err := b.Cancel(t.Context(), pending); err != nil {
			t.Fatal(err)
		}
		if err := b.Republish(t.Context(), pending); err != nil {
			t.Fatal(err)
		}
		b.wantNames(t, pending, slices.Repeat([]string{"task_cancelled", "connection_close task_cancelled"}, 2)...)
	})
}

func TestRepublishByManyPublishesOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		valve, publisher := gated()
		b := serve(t, task.Options{Publisher: publisher}, quick)
		id := b.start(t, "quick", "")
		synctest.Wait()
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if err := b.Republish(t.Context(), id); err != nil {
					t.Errorf("Republish() = %v", err)
				}
			})
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := b.Republish(ctx, id); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Republish() while the Publisher is away = %v, want DeadlineExceeded", err)
		}
		valve.open.Store(true)
		wg.Wait()
		b.wantNames(t, id, slices.Repeat([]string{"task_started", "task_completed", "connection_close task_completed"}, 2)...)
	})
}

func TestRepublishOfATaskThatIsRemovedMeanwhile(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, publisher := gated()
		b := serve(t, task.Options{Publisher: publisher}, quick)
		id := b.start(t, "quick", "")
		synctest.Wait()
		result := make(chan error, 1)
		go func() { result <- b.Republish(t.Context(), id) }()
		synctest.Wait()
		if err := b.Remove(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if err := <-result; !errors.Is(err, task.ErrNotFound) {
			t.Errorf("Republish() = %v, want ErrNotFound", err)
		}
	})
}
