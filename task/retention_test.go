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

// deletions is an OnDelete that keeps the ids.
type deletions struct {
	mu   sync.Mutex
	list []string
}

func (f *deletions) add(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = append(f.list, id)
}

func (f *deletions) ids() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.list)
}

func TestFinishedTasksAreDeletedAfterTheirRetention(t *testing.T) {
	bubble(t, func(t *testing.T) {
		deleted := &deletions{}
		valve, publisher := gated()
		b := serve(t, task.Options{Workers: 1, Publisher: publisher, OnDelete: deleted.add}, quick)
		id := b.start(t, "quick", "")
		time.Sleep(48 * time.Hour)
		b.wantState(t, id, task.Completed) // its log is not written yet
		valve.open.Store(true)
		time.Sleep(10 * time.Second)
		time.Sleep(24*time.Hour - 20*time.Second)
		b.wantState(t, id, task.Completed)
		time.Sleep(2 * time.Minute)
		if _, err := b.Get(t.Context(), id); !errors.Is(err, task.ErrNotFound) {
			t.Error("the task is still known")
		}
		if got := deleted.ids(); !slices.Equal(got, []string{id}) {
			t.Errorf("OnDelete was called for %q", got)
		}
		if items, _ := b.List(task.Filter{}); len(items) != 0 {
			t.Errorf("List() has %d items", len(items))
		}
		if err := b.Republish(t.Context(), id); !errors.Is(err, task.ErrNotFound) {
			t.Errorf("Republish() = %v, want ErrNotFound", err)
		}
	})
}

func TestRemove(t *testing.T) {
	bubble(t, func(t *testing.T) {
		deleted := &deletions{}
		b := serve(t, task.Options{Workers: 1, OnDelete: deleted.add}, quick, obedient)
		done := b.start(t, "quick", "")
		synctest.Wait()
		running, pending := b.start(t, "obedient", ""), b.start(t, "obedient", "")
		synctest.Wait()
		for _, id := range []string{running, pending, "unknown"} {
			if err := b.Remove(t.Context(), id); !errors.Is(err, task.ErrNotFound) {
				t.Errorf("Remove(%q) = %v, want ErrNotFound", id, err)
			}
		}
		if err := b.Remove(t.Context(), done); err != nil {
			t.Errorf("Remove(%q) = %v", done, err)
		}
		if err := b.Remove(t.Context(), done); !errors.Is(err, task.ErrNotFound) {
			t.Errorf("second Remove(%q) = %v, want ErrNotFound", done, err)
		}
		if got := deleted.ids(); !slices.Equal(got, []string{done}) {
			t.Errorf("OnDelete was called for %q, want %q", got, done)
		}
	})
}

func TestRemoveWhilePublishingDeletesAfterTheLastCall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mu sync.Mutex
		var order []string
		note := func(what string) {
			mu.Lock()
			defer mu.Unlock()
			order = append(order, what)
		}
		publisher := &logs{on: func(ctx context.Context, _ string, _ []task.Event) (int, error) {
			<-ctx.Done()
			time.Sleep(time.Second) // until it notices
			note("published")
			return 0, ctx.Err()
		}}
		b := serve(t, task.Options{Publisher: publisher, OnDelete: func(string) { note("deleted") }}, quick)
		id := b.start(t, "quick", "")
		synctest.Wait()
		if err := b.Remove(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		note("removed")
		time.Sleep(time.Minute)
		synctest.Wait()
		if want := []string{"removed", "published", "deleted"}; !slices.Equal(order, want) {
			t.Errorf("order is %q, want %q", order, want)
		}
	})
}
