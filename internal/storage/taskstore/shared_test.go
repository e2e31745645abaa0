package taskstore

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tidegate/internal/backoff"
	"tidegate/internal/storage/natstest"
	"tidegate/task"
)

// shared makes nodes that share a server, each with a connection of its own.
func shared(t *testing.T, n int, opts Options, serve func(i int, store *Store) *taskNode) []*taskNode {
	t.Helper()
	e := openEngine(t, t.TempDir())
	var nodes []*taskNode
	for i := range n {
		nodes = append(nodes, serve(i, newTasks(t, anotherTo(t, e), opts)))
	}
	return nodes
}

func TestServicesShareTheWork(t *testing.T) {
	t.Parallel()
	log := newTaskLog()
	var mu sync.Mutex
	ran := map[string]int{}
	by := map[int]int{}
	nodes := shared(t, 3, Options{}, func(i int, store *Store) *taskNode {
		return serveTasks(t, store, task.Options{Publisher: log, Workers: 2}, task.Type{
			Name: "work", Run: func(ctx context.Context, run *task.Run) (any, error) {
				mu.Lock()
				defer mu.Unlock()
				ran[run.ID()]++
				by[i]++
				_ = backoff.Wait(ctx, time.Millisecond)
				return nil, nil
			},
		})
	})
	var ids []string
	for i := range 150 {
		ids = append(ids, nodes[i%3].start(t, "work", ""))
	}
	for _, id := range ids {
		wantLog(t, log, id, "task_started", "task_completed", "close task_completed")
	}
	mu.Lock()
	defer mu.Unlock()
	for _, id := range ids {
		if ran[id] != 1 {
			t.Errorf("a task ran %d times", ran[id])
		}
	}
	if len(by) != 3 {
		t.Errorf("tasks ran by node: %v; want all three at work", by)
	}
	slices.Reverse(ids)
	for i, n := range nodes {
		natstest.Eventually(t, "lists agree", func() bool {
			items, _ := n.List(task.Filter{State: task.Completed, Limit: 1000})
			var got []string
			for _, info := range items {
				got = append(got, info.ID)
			}
			return len(got) == 150 && n.Counts()[task.Completed] == 150
		})
		items, _ := n.List(task.Filter{Limit: 1000})
		first, _ := nodes[0].List(task.Filter{Limit: 1000})
		if !slices.EqualFunc(items, first, func(a, b task.Info) bool { return a.ID == b.ID && a.Status == b.Status }) {
			t.Errorf("node %d lists something else than the first", i)
		}
	}
}

func TestANodeRunsOnlyTypesThatItHas(t *testing.T) {
	t.Parallel()
	log := newTaskLog()
	done := func(name string) task.Type {
		return task.Type{Name: name, Run: func(context.Context, *task.Run) (any, error) { return name, nil }}
	}
	nodes := shared(t, 2, short, func(i int, store *Store) *taskNode {
		return serveTasks(t, store, task.Options{Publisher: log}, done([]string{"plain", "with space/é.>"}[i]))
	})
	for range 20 {
		for _, n := range nodes {
			typ := n.Types()[0]
			id := n.start(t, typ, "")
			log.waitClosed(t, id)
			if info := n.info(t, id); string(info.Result) != `"`+typ+`"` {
				t.Errorf("%s: result is %s, error %v", typ, info.Result, info.Error)
			}
		}
	}
	if _, err := nodes[0].Start(t.Context(), "with space/é.>", nil); !errors.Is(err, task.ErrUnknownType) {
		t.Errorf("Start() = %v, want ErrUnknownType", err)
	}
}

func TestAnyNodeCancelsAndRemovesATask(t *testing.T) {
	t.Parallel()
	log := newTaskLog()
	var mu sync.Mutex
	forgotten := map[string]int{}
	nodes := shared(t, 2, Options{}, func(i int, store *Store) *taskNode {
		types := []task.Type{waiting}
		if i == 1 {
			types = nil
		}
		return serveTasks(t, store, task.Options{Publisher: log, Workers: 1, OnDelete: func(id string) {
			mu.Lock()
			defer mu.Unlock()
			forgotten[id]++
		}}, types...)
	})
	running, pending := nodes[0].start(t, "waiting", ""), nodes[0].start(t, "waiting", "")
	log.here(t, running)
	for _, id := range []string{pending, running} {
		if err := nodes[1].Cancel(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		rec, err := nodes[1].store.Load(t.Context(), id)
		if err != nil || rec.State != task.Cancelled {
			t.Errorf("after Cancel the record says %s, error %v", rec.State, err)
		}
		if err := nodes[1].Cancel(t.Context(), id); !errors.Is(err, task.ErrNotFound) {
			t.Errorf("second Cancel() = %v, want ErrNotFound", err)
		}
	}
	wantLog(t, log, running, "task_started", "progress_update", "task_cancelled", "close task_cancelled")
	wantLog(t, log, pending, "task_cancelled", "close task_cancelled")

	if err := nodes[1].Remove(t.Context(), running); err != nil {
		t.Fatal(err)
	}
	natstest.Eventually(t, "both have forgotten", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return forgotten[running] == 2
	})
	for _, n := range nodes {
		if _, err := n.Get(t.Context(), running); !errors.Is(err, task.ErrNotFound) {
			t.Errorf("Get() = %v, want ErrNotFound", err)
		}
	}
}

// TestCancelOfATaskWhoseWorkerDoesNotAnswer is finished by whoever gets it next.
func TestCancelOfATaskWhoseWorkerDoesNotAnswer(t *testing.T) {
	t.Parallel()
	log := newTaskLog()
	typ, began, release := blocking(3)
	defer close(release)
	nodes := shared(t, 2, short, func(_ int, store *Store) *taskNode {
		return serveTasks(t, store, task.Options{Publisher: log, Workers: 1}, typ)
	})
	id := nodes[0].start(t, "blocking", "")
	<-began
	worker := nodes[0]
	if rec, _ := nodes[1].store.Load(t.Context(), id); rec.Worker == nodes[1].store.hooks.Worker {
		worker = nodes[1]
	}
	other := nodes[0]
	if worker == other {
		other = nodes[1]
	}
	worker.cut(t)
	if err := other.Cancel(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	wantLog(t, log, id, "task_started", "task_cancelled", "close task_cancelled")
	worker.mend(t)
	waitState(t, worker, id, task.Cancelled)
}

func TestANodeThatStopsHandsItsTasksOn(t *testing.T) {
	t.Parallel()
	log := newTaskLog()
	began := make(chan *task.Run, 10)
	release := make(chan struct{})
	run := func(ctx context.Context, run *task.Run) (any, error) {
		began <- run
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-release:
			return "done", nil
		}
	}
	e := openEngine(t, t.TempDir())
	types := []task.Type{{Name: "twice", MaxAttempts: 2, Run: run}, {Name: "once", Run: run}}
	stopping := serveTasks(t, newTasks(t, anotherTo(t, e), Options{}), task.Options{Publisher: log, Workers: 2}, types...)
	twice, once := stopping.start(t, "twice", ""), stopping.start(t, "once", "")
	<-began
	<-began
	waits := stopping.start(t, "twice", "")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	stopping.Drain(ctx)
	if err := stopping.stop(); err != nil {
		t.Error(err)
	}
	wantLog(t, log, once, "task_started", "task_cancelled", "close task_cancelled")
	other := serveTasks(t, newTasks(t, e, Options{}), task.Options{Publisher: log}, types...)
	close(release)
	wantLog(t, log, twice, "task_started", "progress_update", "task_completed", "close task_completed")
	wantLog(t, log, waits, "task_started", "task_completed", "close task_completed")
	if info := other.info(t, twice); info.Attempt != 1 {
		t.Errorf("task ended in attempt %d: the stop was counted", info.Attempt)
	}
	if data := string(log.of(twice)[1].Data); !strings.Contains(data, "Attempt 1 of 2") {
		t.Errorf("begin of the second run is reported as %s", data)
	}
}

func TestAnOverdueTaskThatNobodyCanRunEnds(t *testing.T) {
	t.Parallel()
	log := newTaskLog()
	e := openEngine(t, t.TempDir())
	typ, began, release := blocking(2)
	typ.Timeout = time.Second
	defer close(release)
	gone := serveTasks(t, newTasks(t, anotherTo(t, e), short), task.Options{Publisher: log}, typ)
	id := gone.start(t, "blocking", "")
	<-began
	gone.cut(t)
	other := serveTasks(t, newTasks(t, e, short), task.Options{Publisher: log}) // it has no types
	log.waitClosed(t, id)
	if info := other.info(t, id); info.Status != task.Failed || *info.Error != "Task timed out" {
		t.Errorf("task is %s, error %v", info.Status, info.Error)
	}
	gone.mend(t)
}
