package taskstore

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"tidegate/internal/storage/natstest"
	"tidegate/task"
)

// TestX11UnknownTasksAskStorageNothing: one request may name 100 ids, and anybody can
// make up any number. Where nobody else writes to the store, what is in memory says
// enough.
func TestX11UnknownTasksAskStorageNothing(t *testing.T) {
	t.Parallel()
	const ids = 1000
	for _, alone := range []bool{true, false} {
		store := newTasks(t, openEngine(t, t.TempDir()), Options{Alone: alone})
		n := serveTasks(t, store, task.Options{Publisher: newTaskLog(), Workers: 1}, waiting)
		known := n.start(t, "waiting", "")
		natstest.Eventually(t, "the list is whole", func() bool { return store.list.lacks("none") })
		before := store.e.Conn().Stats().OutMsgs
		for i := range ids {
			if _, err := n.Summary(t.Context(), fmt.Sprint("none-", i)); !errors.Is(err, task.ErrNotFound) {
				t.Fatalf("Summary() of a task that is not there: %v", err)
			}
		}
		asked := store.e.Conn().Stats().OutMsgs - before
		if alone && asked > ids/2 || !alone && asked < ids { // it does other things besides
			t.Errorf("alone %v: storage was asked %d times for %d unknown ids", alone, asked, ids)
		}
		if info := n.info(t, known); info.ID != known {
			t.Errorf("a task that is there: %+v", info)
		}
	}
}

// TestAListThatMayLackTasksSaysSoOfNone: after a start, or while it is read again.
func TestAListThatMayLackTasksSaysSoOfNone(t *testing.T) {
	t.Parallel()
	store := newTasks(t, openEngine(t, t.TempDir()), Options{Alone: true}) // nobody follows
	rec, err := store.Submit(t.Context(), task.Record{ID: "there", Type: "x", State: task.Pending})
	if err != nil {
		t.Fatal(err)
	}
	find := func(want error) {
		t.Helper()
		if _, err := store.Load(context.Background(), rec.ID); !errors.Is(err, want) {
			t.Errorf("Load() = %v, want %v", err, want)
		}
	}
	store.list.clear()
	find(nil)
	store.list.sawAll() // it would be wrong, and is believed
	find(task.ErrNotFound)
	store.list.resetSeen()
	find(nil)
	if _, err := store.Load(t.Context(), "none"); !errors.Is(err, task.ErrNotFound) {
		t.Errorf("Load() of a task that is not there: %v", err)
	}
}
