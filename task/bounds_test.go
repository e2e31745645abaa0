package task_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/task"
)

// observer passes on what its fields ask for.
type observer struct {
	ended     func(task.Info)
	published func(events int, took time.Duration, err error)
	dropped   func(id string, reason error)
}

func (o observer) Ended(info task.Info) {
	if o.ended != nil {
		o.ended(info)
	}
}

func (o observer) Published(events int, took time.Duration, err error) {
	if o.published != nil {
		o.published(events, took, err)
	}
}

func (o observer) Dropped(id string, reason error) {
	if o.dropped != nil {
		o.dropped(id, reason)
	}
}

func TestObserverGetsEachEndAndEachPublish(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mu sync.Mutex
		ended := map[string]task.State{}
		taken, failed := 0, 0
		var longest time.Duration
		var tries atomic.Int32
		b := serve(t, task.Options{
			Workers: 1,
			Publisher: &logs{on: func(_ context.Context, _ string, events []task.Event) (int, error) {
				time.Sleep(time.Second)
				if tries.Add(1) == 1 {
					return 0, errAway
				}
				return len(events), nil
			}},
			Observer: observer{
				ended: func(info task.Info) {
					mu.Lock()
					defer mu.Unlock()
					ended[info.ID] = info.Status
				},
				published: func(events int, took time.Duration, err error) {
					mu.Lock()
					defer mu.Unlock()
					longest = max(longest, took)
					if err != nil {
						failed++
					} else {
						taken += events
					}
				},
			},
		}, task.Demo())
		id := b.start(t, "demo_task", "")
		cancelled := b.start(t, "demo_task", "")
		if err := b.Cancel(t.Context(), cancelled); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if ended[id] != task.Completed || ended[cancelled] != task.Cancelled || len(ended) != 2 {
			t.Errorf("the observer got the ends %v", ended)
		}
		if taken != 7+2 || failed != 1 || longest != time.Second {
			t.Errorf("the observer got %d events, %d failures, %v at the longest", taken, failed, longest)
		}
	})
}

func TestBE24PendingTasksAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := serve(t, task.Options{Workers: 2, QueueLimit: 5}, obedient)
		var ids []string
		for range 2 {
			ids = append(ids, b.start(t, "obedient", ""))
			synctest.Wait()
		}
		for range 5 {
			ids = append(ids, b.start(t, "obedient", ""))
		}
		if _, err := b.Start(t.Context(), "obedient", nil); !errors.Is(err, task.ErrBusy) || !strings.Contains(err.Error(), "5 are pending") {
			t.Errorf("Start() = %v, want ErrBusy that says why", err)
		}
		if err := b.Cancel(t.Context(), ids[6]); err != nil {
			t.Fatal(err)
		}
		b.start(t, "obedient", "") // there is room again
	})
}

func TestBE24KeptTasksAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		deleted := &deletions{}
		b := serve(t, task.Options{Workers: 2, MaxTasks: 4, OnDelete: deleted.add}, quick, obedient)
		running := b.start(t, "obedient", "")
		var ids []string
		for range 5 {
			ids = append(ids, b.start(t, "quick", ""))
			synctest.Wait()
		}
		if got := deleted.ids(); !slices.Equal(got, ids[:2]) {
			t.Errorf("deleted are %q, want the two oldest finished, %q", got, ids[:2])
		}
		b.wantState(t, running, task.Running)
		if _, err := b.Get(t.Context(), ids[0]); !errors.Is(err, task.ErrNotFound) {
			t.Error("a deleted task is still known")
		}
	})
}

func TestBE24NothingToDeleteIsBusy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		valve, publisher := gated()
		b := serve(t, task.Options{MaxTasks: 3, Publisher: publisher}, quick)
		var first string
		for range 3 {
			first = b.start(t, "quick", "")
			synctest.Wait()
		}
		b.wantState(t, first, task.Completed)
		// They are finished, but their logs are not written: none may be deleted.
		if _, err := b.Start(t.Context(), "quick", nil); !errors.Is(err, task.ErrBusy) || !strings.Contains(err.Error(), "3 are kept") {
			t.Errorf("Start() = %v, want ErrBusy that says why", err)
		}
		valve.open.Store(true)
		time.Sleep(10 * time.Second)
		b.start(t, "quick", "")
	})
}

func TestBE24BytesAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		deleted := &deletions{}
		b := serve(t, task.Options{MaxBytes: 10_000, MaxParamsBytes: 4000, MaxResultBytes: 6000, OnDelete: deleted.add},
			typeOf("returns", func(context.Context, *task.Run) (any, error) { return long(4000), nil }), obedient)
		var ids []string
		for range 3 {
			ids = append(ids, b.start(t, "returns", `{"x":"`+long(1000)+`"}`))
			synctest.Wait()
		}
		if got := deleted.ids(); !slices.Equal(got, ids[:1]) {
			t.Errorf("deleted are %q, want the oldest of three results of 4000 bytes, %q", got, ids[:1])
		}
		b.wantState(t, ids[2], task.Completed)

		for range 2 {
			b.start(t, "obedient", `{"x":"`+long(3900)+`"}`)
		}
		if _, err := b.Start(t.Context(), "obedient", json.RawMessage(`{"x":"`+long(3900)+`"}`)); !errors.Is(err, task.ErrBusy) {
			t.Errorf("Start() with no room for its parameters = %v, want ErrBusy", err)
		}
	})
}

func TestBE24OutboxesTogetherAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		valve, publisher := gated()
		b := serve(t, task.Options{Workers: 2, UnpublishedBytes: 10_000, Publisher: publisher},
			typeOf("reports", func(_ context.Context, run *task.Run) (any, error) {
				return nil, run.Progress(task.Progress{Text: long(3000)})
			}))
		for range 10 {
			b.start(t, "reports", "")
		}
		time.Sleep(time.Minute)
		if counts := b.Counts(); counts[task.Completed] < 3 || counts[task.Completed] > 5 || counts[task.Running] != 0 {
			t.Errorf("while the Publisher is away: %v, want 3 to 5 completed and the rest pending", counts)
		}
		before := b.Counts()[task.Pending]
		for range 2 { // what is removed makes room, too
			items, _ := b.List(task.Filter{State: task.Completed})
			if err := b.Remove(t.Context(), items[0].ID); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if counts := b.Counts(); counts[task.Pending] >= before {
			t.Errorf("after two were removed: %v, want less than %d pending", counts, before)
		}
		valve.open.Store(true)
		time.Sleep(time.Minute)
		if n := b.Counts()[task.Completed]; n != 8 {
			t.Errorf("%d tasks are completed, want all 8 that are left", n)
		}
	})
}
