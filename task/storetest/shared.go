package storetest

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"tidegate/task"
)

// sharedTests are about stores that share tasks, as two processes have them.
var sharedTests = map[string]func(*testing.T, Suite){
	"ChangesReachTheOther":                     changesReachTheOther,
	"RequestCancelReachesTheWorker":            requestCancelReachesTheWorker,
	"ALeaseThatExpiresIsLeasedToTheOther":      aLeaseThatExpiresIsLeasedToTheOther,
	"ServicesShareTheWork":                     servicesShareTheWork,
	"TheOtherCancelsAndWaits":                  theOtherCancelsAndWaits,
	"AServiceThatStopsHandsItsTasksToTheOther": aServiceThatStopsHandsItsTasksToTheOther,
	"AWriteOfTheOtherIsAConflict":              aWriteOfTheOtherIsAConflict,
}

// openTwo opens two stores that share their tasks.
func openTwo(t *testing.T, s Suite, b Bounds) (one, two *running) {
	t.Helper()
	first := s.Open(t, b)
	if !first.Durable() {
		t.Fatal("the suite has Join, and the store is not durable")
	}
	second := s.Join(t, first)
	return runStore(t, first, "worker-1"), runStore(t, second, "worker-2")
}

func changesReachTheOther(t *testing.T, s Suite) {
	one, two := openTwo(t, s, Bounds{})
	rec := one.submit(t, record("followed"))
	rec.State, rec.Run, rec.Worker = task.Running, 1, "worker-1"
	rec = one.update(t, rec)
	rec = one.finish(t, rec, time.Hour)
	for {
		got := receive(t, two.changed, "Hooks.Changed with the final record")
		if got.ID == rec.ID && got.State == task.Completed {
			break
		}
	}
	if got, ok := two.Peek(rec.ID); !ok || got.State != task.Completed || got.Revision != rec.Revision || got.Seq != rec.Seq {
		t.Errorf("Peek of the other = %+v, %v; want %+v", got, ok, rec)
	}
	if counts := two.Counts(); counts[task.Completed] != 1 || counts[task.Pending]+counts[task.Running] != 0 {
		t.Errorf("Counts of the other = %v", counts)
	}
	if err := two.Remove(within(t), rec); err != nil {
		t.Fatalf("Remove by the other = %v", err)
	}
	if id := receive(t, one.deleted, "Hooks.Deleted of a task that the other removed"); id != rec.ID {
		t.Errorf("Hooks.Deleted was called for %q", id)
	}
	if _, ok := one.Peek(rec.ID); ok {
		t.Error("Peek finds a task that the other has removed")
	}
}

func aWriteOfTheOtherIsAConflict(t *testing.T, s Suite) {
	one, two := openTwo(t, s, Bounds{})
	rec := one.submit(t, record("contended"))
	theirs, err := two.Load(within(t), rec.ID)
	if err != nil || !same(theirs, rec) {
		t.Fatalf("Load by the other = %+v, %v; want %+v", theirs, err, rec)
	}
	theirs.State, theirs.Run, theirs.Worker = task.Running, 1, "worker-2"
	two.update(t, theirs)
	rec.State, rec.Ended, rec.Retention = task.Cancelled, stamp(), time.Hour
	if _, err := one.Update(within(t), rec); err == nil {
		t.Error("Update of a record that the other has changed is no error")
	}
	if got, err := one.Load(within(t), rec.ID); err != nil || got.Worker != "worker-2" {
		t.Errorf("Load = %+v, %v; want what the other wrote", got, err)
	}
}

func requestCancelReachesTheWorker(t *testing.T, s Suite) {
	one, two := openTwo(t, s, Bounds{})
	rec := one.submit(t, record("asked"))
	rec.State, rec.Run, rec.Worker = task.Running, 1, "worker-1"
	rec = one.update(t, rec)
	// The worker may not listen yet: then nobody answers.
	eventually(t, "the worker answers", func() bool {
		answered, done := two.RequestCancel(within(t), rec)
		return answered && done
	})
	if id := receive(t, one.cancels, "Hooks.Cancel"); id != rec.ID {
		t.Errorf("Hooks.Cancel was called for %q", id)
	}
	rec.Worker = "worker-3"
	if answered, done := two.RequestCancel(within(t), rec); answered || done {
		t.Errorf("RequestCancel of a worker that is gone = %v, %v", answered, done)
	}
}

func aLeaseThatExpiresIsLeasedToTheOther(t *testing.T, s Suite) {
	one, two := openTwo(t, s, Bounds{LeaseTTL: 600 * time.Millisecond})
	one.submit(t, record("renewed"))
	one.submit(t, record("expires"))
	begun := time.Now()
	_, leases := one.fetchAll(t, 2, "work")
	ttl := leases[0].TTL()
	if ttl <= 0 {
		t.Fatalf("TTL of a lease of a durable store is %v", ttl)
	}
	ctx, stop := context.WithCancel(within(t))
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	wg.Go(func() {
		ticker := time.NewTicker(ttl / 4)
		defer ticker.Stop()
		for {
			for _, lease := range leases {
				if lease.TaskID() == "renewed" && lease.Renew(ctx) != nil && ctx.Err() == nil {
					t.Error("a lease is not renewed")
				}
			}
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return
			}
		}
	})
	got, again := two.fetchAll(t, 1, "work")
	if waited := time.Since(begun); got[0] != "expires" || waited < ttl {
		t.Errorf("%q is leased to the other after %v, want expires after %v", got[0], waited, ttl)
	}
	if err := again[0].Renew(within(t)); err != nil {
		t.Errorf("Renew by the other = %v", err)
	}
}

func servicesShareTheWork(t *testing.T, s Suite) {
	first := s.Open(t, Bounds{})
	log := newEventLog()
	var mu sync.Mutex
	ran := map[string]int{}
	work := task.Type{Name: "work", Run: func(_ context.Context, run *task.Run) (any, error) {
		mu.Lock()
		defer mu.Unlock()
		ran[run.ID()]++
		return nil, nil
	}}
	one := serve(t, first, task.Options{Publisher: log, Workers: 2}, work)
	two := serve(t, s.Join(t, first), task.Options{Publisher: log, Workers: 2}, work)
	var started []string
	for i := range 60 {
		started = append(started, []*service{one, two}[i%2].start(t, "work", ""))
	}
	for _, id := range started {
		log.want(t, id, "task_started", "task_completed", "close task_completed")
	}
	mu.Lock()
	for id, n := range ran {
		if n != 1 {
			t.Errorf("task %s ran %d times", id, n)
		}
	}
	mu.Unlock()
	slices.Sort(started)
	for _, n := range []*service{one, two} {
		var listed []string
		eventually(t, "both list all as completed", func() bool {
			items, _ := n.List(task.Filter{State: task.Completed})
			listed = nil
			for _, info := range items {
				listed = append(listed, info.ID)
			}
			return len(listed) == 60 && n.Counts()[task.Completed] == 60
		})
		if slices.Sort(listed); !slices.Equal(listed, started) {
			t.Errorf("List has other tasks: %q, want %q", listed, started)
		}
	}
}

func theOtherCancelsAndWaits(t *testing.T, s Suite) {
	first := s.Open(t, Bounds{})
	log := newEventLog()
	one := serve(t, first, task.Options{Publisher: log}, waiting)
	two := serve(t, s.Join(t, first), task.Options{Publisher: log})
	id := one.start(t, "waiting", "")
	log.waitText(t, id, "here")
	ended := make(chan error, 1)
	go func() {
		_, err := two.Wait(within(t), id)
		ended <- err
	}()
	if err := two.Cancel(within(t), id); err != nil {
		t.Fatalf("Cancel by the other = %v", err)
	}
	err := receive(t, ended, "Wait of the other")
	if end, ok := err.(*task.EndError); !ok || end.State != task.Cancelled {
		t.Errorf("Wait = %v, want an EndError that says cancelled", err)
	}
	log.want(t, id, "task_started", "progress_update", "task_cancelled", "close task_cancelled")
	one.waitState(t, id, task.Cancelled)
}

func aServiceThatStopsHandsItsTasksToTheOther(t *testing.T, s Suite) {
	first := s.Open(t, Bounds{})
	log := newEventLog()
	again := waiting
	again.MaxAttempts = 2
	one := serve(t, first, task.Options{Publisher: log}, again)
	id := one.start(t, "waiting", "")
	log.waitText(t, id, "here")
	two := serve(t, s.Join(t, first), task.Options{Publisher: log}, task.Type{
		Name: "waiting", MaxAttempts: 2, Run: func(_ context.Context, run *task.Run) (any, error) {
			n, _ := run.Attempt()
			return n, nil
		},
	})
	if err := one.stop(); err != nil {
		t.Fatalf("Run = %v", err)
	}
	log.waitClosed(t, id)
	if info := two.info(t, id); info.Status != task.Completed || string(info.Result) != "1" {
		t.Errorf("the task is %s with result %s, want completed at attempt 1", info.Status, info.Result)
	}
}
