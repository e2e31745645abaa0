package taskstore

import (
	"context"
	"slices"
	"testing"
	"time"

	"tidegate/task"
)

// TestARecordThatIsOverwrittenIsNotTakenForGone begins a pass through the stream, in
// which one record is not seen because it was just overwritten, and one because it
// is gone. The store is away at first.
func TestARecordThatIsOverwrittenIsNotTakenForGone(t *testing.T) {
	t.Parallel()
	e := openEngine(t, t.TempDir())
	s, other := newTasks(t, anotherTo(t, e), short), newTasks(t, e, short)
	var gone []string
	s.hooks.Deleted = func(id string) { gone = append(gone, id) }
	submit := func(id string) task.Record {
		rec, err := s.Submit(t.Context(), task.Record{ID: id, Type: "t", State: task.Pending, MaxAttempts: 1, Created: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		return rec
	}
	runs, removed := submit("runs"), submit("removed")
	last := removed.Revision
	runs.State, runs.Run, runs.Attempt, runs.Worker = task.Running, 1, 1, "w"
	if _, err := other.Update(t.Context(), runs); err != nil {
		t.Fatal(err)
	}
	if err := other.Remove(t.Context(), removed); err != nil {
		t.Fatal(err)
	}

	f := &follower{tasks: s, hooks: task.Hooks{Changed: func(task.Record) {}}, last: last}
	s.list.resetSeen()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f.sawAll(ctx)
	if len(gone) != 0 || len(f.missing) != 2 {
		t.Errorf("while the store is away, %q are taken for gone, and %d are to be looked for; want 2", gone, len(f.missing))
	}
	f.lookForMissing(t.Context())
	if !slices.Equal(gone, []string{"removed"}) || len(f.missing) != 0 {
		t.Errorf("%q are taken for gone, want the one that was removed; %d are still to be looked for", gone, len(f.missing))
	}
	if _, known := s.Peek("runs"); !known {
		t.Error("the task that runs is not in the list any more")
	}
}

// TestARemovalIsReportedOnce, also where the list is behind. A record that a removal replaces in
// the stream never comes to a list that has not had it. One that is on its way comes after
// the removal.
func TestARemovalIsReportedOnce(t *testing.T) {
	t.Parallel()
	e := openEngine(t, t.TempDir())
	s, other := newTasks(t, anotherTo(t, e), short), newTasks(t, e, short)
	var gone []string
	s.hooks.Deleted = func(id string) { gone = append(gone, id) }
	rec, err := other.Submit(t.Context(), task.Record{ID: "a", Type: "t", State: task.Pending, MaxAttempts: 1, Created: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(gone, []string{"a"}) {
		t.Errorf("%q are gone, want the one that was removed", gone)
	}
	late := rec
	if s.list.put(late, taskParts{}, time.Time{}) {
		t.Error("a record from before the removal brings the task back")
	}
	s.dropRemoved(t.Context(), "a", rec.Revision+1) // as who follows the stream sees it
	if len(gone) != 1 {
		t.Errorf("%q are gone, want one", gone)
	}
	s.list.expired(time.Now().Add(2 * tombstoneTTL))
	if len(s.list.removed) != 0 {
		t.Errorf("%d tombstones are kept for ever", len(s.list.removed))
	}
}
