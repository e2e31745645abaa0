package taskstore

import (
	"context"
	"strings"
	"testing"
	"time"

	"tidegate/internal/storage/natstest"
	"tidegate/task"
)

func TestALargeResultIsWholeAfterARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	want := `"` + strings.Repeat("0123456789", 5<<20/10) + `"`
	func() {
		e := openEngine(t, dir)
		defer e.Close()
		log := newTaskLog()
		n := serveTasks(t, newTasks(t, e, Options{}), task.Options{Publisher: log}, task.Type{
			Name: "large", Run: func(context.Context, *task.Run) (any, error) { return want[1 : len(want)-1], nil },
		})
		id := n.start(t, "large", "")
		log.waitClosed(t, id)
		if err := n.stop(); err != nil {
			t.Fatal(err)
		}
	}()
	e := openEngine(t, dir)
	n := serveTasks(t, newTasks(t, e, Options{}), task.Options{Publisher: newTaskLog()})
	var items []task.Info
	natstest.Eventually(t, "listed", func() bool { items, _ = n.List(task.Filter{}); return len(items) == 1 })
	if !items[0].Partial || items[0].Result != nil {
		t.Errorf("the list has a result of %d bytes, partial %v", len(items[0].Result), items[0].Partial)
	}
	if info := n.info(t, items[0].ID); string(info.Result) != want {
		t.Errorf("result has %d bytes, want %d", len(info.Result), len(want))
	}
	if err := n.Remove(t.Context(), items[0].ID); err != nil {
		t.Fatal(err)
	}
	natstest.Eventually(t, "its parts are deleted", func() bool { return leftInResults(t, n.store) == 0 })
}

func TestTasksOfADeadProcessGoOnAtOnceWhenNobodyElseIsThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	log := newTaskLog()
	typ, began, release := blocking(2)
	defer close(release)
	var id string
	func() {
		e := openEngine(t, dir)
		n := serveTasks(t, newTasks(t, e, Options{}), task.Options{Publisher: log}, typ)
		id = n.start(t, "blocking", "")
		<-began
		e.Close() // and n is left behind, as after a crash
	}()
	e := openEngine(t, dir)
	begun := time.Now()
	serveTasks(t, newTasks(t, e, Options{Alone: true, AckWait: 5 * time.Minute}), task.Options{Publisher: log}, typ)
	if run := <-began; run.ID() != id {
		t.Errorf("task %s was begun, want %s", run.ID(), id)
	}
	if took := time.Since(begun); took > 2*time.Minute {
		t.Errorf("it took %v, AckWait is 5 minutes", took)
	}
}
