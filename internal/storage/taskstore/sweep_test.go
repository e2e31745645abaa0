package taskstore

import (
	"testing"
	"time"

	"tidegate/task"
)

// orphan stores a task that is not in the queue.
func orphan(t *testing.T, s *Store, id string) task.Record {
	t.Helper()
	subject, _ := s.taskSubject(id)
	rec, err := s.store(t.Context(), subject, task.Record{
		ID: id, Type: "t", State: task.Pending, MaxAttempts: 1, Created: time.Now().Add(-time.Hour),
	}, taskParts{})
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// TestTwoSweepersQueueATaskOnce has both see a task that is in no queue, and the second
// act on it when the task is leased already.
func TestTwoSweepersQueueATaskOnce(t *testing.T) {
	t.Parallel()
	e := openEngine(t, t.TempDir())
	a, b := newTasks(t, e, Options{}), newTasks(t, anotherTo(t, e), Options{})
	rec := orphan(t, a, "orphan")
	wantLeasedOnce(t, a, b, rec, func(s *Store) error { return s.queueOrphan(t.Context(), rec.ID) })
}

// TestTwoSweepersDeleteAMessageOnce is the same for a task whose message nobody would
// get.
func TestTwoSweepersDeleteAMessageOnce(t *testing.T) {
	t.Parallel()
	e := openEngine(t, t.TempDir())
	a, b := newTasks(t, e, Options{}), newTasks(t, anotherTo(t, e), Options{})
	rec := orphan(t, a, "stuck")
	if err := a.queueOrphan(t.Context(), rec.ID); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Store{a, b} {
		seq, err := s.requeueStuck(t.Context(), rec) // the first sweep of each
		if err != nil || seq == 0 {
			t.Fatalf("unstick() = %d, %v; want the number of the message", seq, err)
		}
		s.stuck = map[string]uint64{rec.ID: seq}
	}
	wantLeasedOnce(t, a, b, rec, func(s *Store) error {
		_, err := s.requeueStuck(t.Context(), rec)
		return err
	})
}

// wantLeasedOnce lets a sweep and lease a task, and then b sweep.
func wantLeasedOnce(t *testing.T, a, b *Store, rec task.Record, sweep func(s *Store) error) {
	t.Helper()
	if err := sweep(a); err != nil {
		t.Fatal(err)
	}
	leased, err := a.fetchLane(t.Context(), lane{typ: "t"}, 10)
	if err != nil || len(leased) != 1 {
		t.Fatalf("%d tasks are leased, %v; want 1", len(leased), err)
	}
	if err := sweep(b); err != nil {
		t.Fatal(err)
	}
	if again, err := b.fetchLane(t.Context(), lane{typ: "t"}, 10); err != nil || len(again) != 0 {
		t.Errorf("a task that is leased is leased %d times more, error %v", len(again), err)
	}
	if err := a.Acknowledge(t.Context(), rec, leased[0]); err != nil {
		t.Error(err)
	}
	if queued, err := a.Queued(t.Context(), rec); queued || err != nil {
		t.Errorf("after it was acknowledged it is queued: %v, %v", queued, err)
	}
}

// TestAnOrphanIsQueuedInTheLaneOfItsPriority: else it would be leased with others.
func TestAnOrphanIsQueuedInTheLaneOfItsPriority(t *testing.T) {
	t.Parallel()
	s := newTasks(t, openEngine(t, t.TempDir()), Options{})
	rec := orphan(t, s, "urgent")
	rec.Priority = task.High
	rec, err := s.Update(t.Context(), rec)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second sweep finds it there
		if err := s.queueOrphans(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if queued, err := s.Queued(t.Context(), rec); err != nil || !queued {
		t.Errorf("Queued() = %v, %v", queued, err)
	}
	if leases, err := s.fetchLane(t.Context(), lane{typ: "t"}, 10); err != nil || len(leases) != 0 {
		t.Errorf("%d tasks are leased with a normal priority, %v", len(leases), err)
	}
	if leases, err := s.fetchLane(t.Context(), lane{"t", task.High}, 10); err != nil || len(leases) != 1 {
		t.Errorf("%d tasks are leased with a high priority, %v", len(leases), err)
	}
}
