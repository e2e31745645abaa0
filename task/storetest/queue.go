package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"tidegate/task"
)

// queueTests are about leases.
var queueTests = map[string]func(*testing.T, Suite){
	"TasksOfATypeAreLeasedOldestFirst":     tasksOfATypeAreLeasedOldestFirst,
	"HigherPrioritiesAreLeasedFirst":       higherPrioritiesAreLeasedFirst,
	"TasksOfOtherTypesAreNotLeased":        tasksOfOtherTypesAreNotLeased,
	"EachTaskIsLeasedToOne":                eachTaskIsLeasedToOne,
	"FetchWaitsForATask":                   fetchWaitsForATask,
	"ReleasedTasksAreLeasedAgain":          releasedTasksAreLeasedAgain,
	"ReleasedTasksWaitForTheirPause":       releasedTasksWaitForTheirPause,
	"AcknowledgedTasksAreOutOfTheQueue":    acknowledgedTasksAreOutOfTheQueue,
	"APendingTaskThatIsCancelledIsNotLost": aPendingTaskThatIsCancelledIsNotLost,
}

func tasksOfATypeAreLeasedOldestFirst(t *testing.T, s Suite) {
	r := open(t, s, Bounds{})
	var want []string
	for i := range 30 {
		want = append(want, r.submit(t, record(fmt.Sprint("t", i))).ID)
	}
	got, _ := r.fetchAll(t, 30, "work")
	if !slices.Equal(got, want) {
		t.Errorf("leased are %q, want %q", got, want)
	}
	r.wantNone(t, "work")
}

func higherPrioritiesAreLeasedFirst(t *testing.T, s Suite) {
	r := open(t, s, Bounds{})
	var want []string
	byPriority := map[task.Priority][]string{}
	for i := range 24 {
		rec := record(fmt.Sprint("t", i))
		rec.Priority = task.Priorities()[i*7%3]
		byPriority[rec.Priority] = append(byPriority[rec.Priority], r.submit(t, rec).ID)
	}
	for _, p := range task.Priorities() {
		want = append(want, byPriority[p]...)
	}
	got, leases := r.fetchAll(t, 24, "work")
	if !slices.Equal(got, want) {
		t.Errorf("leased are\n%q, want\n%q", got, want)
	}
	// Each is in the queue of its priority for the other calls, too.
	for _, i := range []int{0, 12, 23} {
		rec, err := r.Load(within(t), got[i])
		if err != nil {
			t.Fatal(err)
		}
		r.wantQueued(t, rec, true)
		if err := leases[i].Release(within(t), 0); err != nil {
			t.Fatal(err)
		}
		if again, _ := r.fetchAll(t, 1, "work"); again[0] != got[i] {
			t.Errorf("after its release %q is leased, want %q", again, got[i])
		}
		rec = r.finish(t, rec, time.Hour) // not leased, as far as Acknowledge knows
		r.wantQueued(t, rec, false)
	}
	r.wantNone(t, "work")
}

func tasksOfOtherTypesAreNotLeased(t *testing.T, s Suite) {
	r := open(t, s, Bounds{})
	types := []string{"work", "play", "with space/é.>*"}
	for i, typ := range types {
		rec := record(fmt.Sprint("t", i))
		rec.Type = typ
		r.submit(t, rec)
	}
	if got, _ := r.fetchAll(t, 1, "play"); got[0] != "t1" {
		t.Errorf("leased is %q", got)
	}
	r.wantNone(t, "play", "none")
	if got, _ := r.fetchAll(t, 1, types[2]); got[0] != "t2" {
		t.Errorf("leased is %q", got)
	}
}

func eachTaskIsLeasedToOne(t *testing.T, s Suite) {
	r := open(t, s, Bounds{})
	for i := range 100 {
		r.submit(t, record(fmt.Sprint("t", i)))
	}
	var mu sync.Mutex
	leased := map[string]int{}
	ctx, all := context.WithCancel(within(t))
	defer all()
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			for ctx.Err() == nil {
				leases, err := r.Fetch(ctx, []string{"work"}, 3)
				if err != nil && ctx.Err() == nil {
					t.Errorf("Fetch = %v", err)
				}
				mu.Lock()
				for _, lease := range leases {
					leased[lease.TaskID()]++
				}
				if len(leased) == 100 {
					all()
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for id, n := range leased {
		if n != 1 {
			t.Errorf("%s was leased to %d", id, n)
		}
	}
}

func fetchWaitsForATask(t *testing.T, s Suite) {
	r := open(t, s, Bounds{})
	got := make(chan string, 1)
	go func() {
		leases, err := r.Fetch(within(t), []string{"work"}, 1)
		if err != nil || len(leases) != 1 {
			t.Errorf("Fetch = %d leases, %v", len(leases), err)
			close(got)
			return
		}
		got <- leases[0].TaskID()
	}()
	r.submit(t, record("awaited"))
	if id := receive(t, got, "a lease"); id != "awaited" {
		t.Errorf("leased is %q", id)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errMoment)
	if leases, err := r.Fetch(ctx, []string{"work"}, 1); len(leases) > 0 || !errors.Is(err, errMoment) {
		t.Errorf("Fetch whose context has ended = %d leases, %v; want its cause", len(leases), err)
	}
}

func releasedTasksAreLeasedAgain(t *testing.T, s Suite) {
	r := open(t, s, Bounds{})
	for range 3 {
		r.submit(t, record(fmt.Sprint("t", r.Counts()[task.Pending])))
	}
	_, leases := r.fetchAll(t, 2, "work")
	if err := leases[0].Release(within(t), 0); err != nil {
		t.Fatalf("Release = %v", err)
	}
	got, _ := r.fetchAll(t, 2, "work")
	slices.Sort(got)
	if want := []string{"t0", "t2"}; !slices.Equal(got, want) {
		t.Errorf("leased are %q, want %q", got, want)
	}
	r.wantNone(t, "work")
}

func releasedTasksWaitForTheirPause(t *testing.T, s Suite) {
	r := open(t, s, Bounds{})
	r.submit(t, record("patient"))
	_, leases := r.fetchAll(t, 1, "work")
	const pause = 300 * time.Millisecond
	released := time.Now()
	if err := leases[0].Release(within(t), pause); err != nil {
		t.Fatalf("Release = %v", err)
	}
	got, _ := r.fetchAll(t, 1, "work")
	if waited := time.Since(released); waited < pause || got[0] != "patient" {
		t.Errorf("leased is %q after %v, want patient after %v", got, waited, pause)
	}
}

func acknowledgedTasksAreOutOfTheQueue(t *testing.T, s Suite) {
	r := open(t, s, Bounds{})
	for name, leased := range map[string]bool{"leased": true, "unleased": false} {
		rec := r.submit(t, record(name))
		var lease task.Lease
		if leased {
			_, leases := r.fetchAll(t, 1, "work")
			lease = leases[0]
		}
		rec.State, rec.Ended, rec.Retention = task.Cancelled, stamp(), time.Hour
		rec = r.update(t, rec)
		r.wantQueued(t, rec, true)
		for range 2 { // the second is a repeat
			if err := r.Acknowledge(within(t), rec, lease); err != nil {
				t.Errorf("%s: Acknowledge = %v", name, err)
			}
			r.wantQueued(t, rec, false)
		}
		if loaded, err := r.Load(within(t), rec.ID); err != nil || loaded.State != task.Cancelled {
			t.Errorf("%s: Load = %+v, %v", name, loaded, err)
		}
	}
	r.wantNone(t, "work")
}

// wantQueued fails unless Queued returns want.
func (r *running) wantQueued(t *testing.T, rec task.Record, want bool) {
	t.Helper()
	if got, err := r.Queued(within(t), rec); err != nil || got != want {
		t.Errorf("Queued(%s) = %v, %v; want %v", rec.ID, got, err, want)
	}
}

// aPendingTaskThatIsCancelledIsNotLost: whoever made it final may have died before it
// wrote the last events, so a durable store leases it to the next. The store in memory
// dies with that process, and need not.
func aPendingTaskThatIsCancelledIsNotLost(t *testing.T, s Suite) {
	r := open(t, s, Bounds{})
	rec := r.submit(t, record("cancelled"))
	rec.State, rec.Ended, rec.Retention = task.Cancelled, stamp(), time.Hour
	rec = r.update(t, rec)
	r.wantQueued(t, rec, true)
	if !r.Durable() {
		r.wantNone(t, "work")
		return
	}
	if got, _ := r.fetchAll(t, 1, "work"); got[0] != rec.ID {
		t.Errorf("leased is %q", got)
	}
}
