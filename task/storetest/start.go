package storetest

import (
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"tidegate/task"
)

func aTaskDoesNotBeginBeforeItsTime(t *testing.T, s Suite) {
	n := serve(t, s.Open(t, Bounds{}), task.Options{Workers: 1}, task.Demo())
	at := time.Now().Add(500 * time.Millisecond)
	late, err := n.StartWith(within(t), "demo_task", json.RawMessage(`{"delay":0,"steps":1}`), task.StartOptions{RunAt: at})
	if err != nil {
		t.Fatal(err)
	}
	if late.RunAt == nil || at.Sub(*late.RunAt).Abs() > time.Millisecond {
		t.Errorf("run_at is %v, want %v", late.RunAt, at)
	}
	soon := n.start(t, "demo_task", `{"delay":0,"steps":1}`)
	n.log.waitClosed(t, soon) // the worker is not held up
	n.log.want(t, late.ID, "task_started", "progress_update", "progress_update", "task_completed", "close task_completed")
	info := n.info(t, late.ID)
	if info.StartTime == nil || info.StartTime.Before(*late.RunAt) || info.RunAt != nil {
		t.Errorf("a task for %v began at %v; its run_at is %v now", *late.RunAt, info.StartTime, info.RunAt)
	}
}

func aDelayedTaskCanBeCancelled(t *testing.T, s Suite) {
	n := serve(t, s.Open(t, Bounds{}), task.Options{}, task.Demo())
	late, err := n.StartWith(within(t), "demo_task", nil, task.StartOptions{RunAt: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Cancel(within(t), late.ID); err != nil {
		t.Fatal(err)
	}
	n.log.want(t, late.ID, "task_cancelled", "close task_cancelled")
}

func aSecondStartWithAKeyIsTheFirst(t *testing.T, s Suite) {
	n := serve(t, s.Open(t, Bounds{}), task.Options{}, task.Demo(), task.Failing())
	start := func(typ, params, key string) (task.Info, error) {
		return n.StartWith(within(t), typ, json.RawMessage(params), task.StartOptions{Key: key})
	}
	var mu sync.Mutex
	started := map[string]int{}
	fresh := 0
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			params := []string{`{"steps":1,"delay":0}`, ` {"delay": 0, "steps": 1} `}[i%2]
			info, err := start("demo_task", params, "order/1 <é>")
			mu.Lock()
			defer mu.Unlock()
			if started[info.ID]++; err != nil {
				t.Errorf("StartWith = %v", err)
			}
			if !info.Repeated {
				fresh++
			}
		})
	}
	wg.Wait()
	if len(started) != 1 || fresh != 1 {
		t.Errorf("eight starts made %d tasks, of which %d are new; want one", len(started), fresh)
	}
	for id := range started {
		n.log.want(t, id, "task_started", "progress_update", "progress_update", "task_completed", "close task_completed")
		if info, err := start("demo_task", `{"steps":1,"delay":0}`, "order/1 <é>"); err != nil || info.ID != id || info.Status != task.Completed {
			t.Errorf("a start after the end = %s %s, %v; want the task that has ended", info.ID, info.Status, err)
		}
	}
	for name, c := range map[string][2]string{"params": {"demo_task", `{"steps":2,"delay":0}`}, "type": {"failing_task", `{"delay":0}`}} {
		if _, err := start(c[0], c[1], "order/1 <é>"); !errors.Is(err, task.ErrKeyConflict) {
			t.Errorf("a start with other %s = %v, want ErrKeyConflict", name, err)
		}
	}
	other, err := start("demo_task", `{"steps":1,"delay":0}`, "order/2")
	if err != nil || other.Repeated || started[other.ID] > 0 {
		t.Errorf("a start with another key = %+v, %v", other, err)
	}
	n.log.waitClosed(t, other.ID)
	removeWithKey(t, n, other.ID, start)
}

// removeWithKey removes a task that has a key, whose log stays closed: as long as it is
// there, a second task would write to it in vain.
func removeWithKey(t *testing.T, n *service, id string, start func(typ, params, key string) (task.Info, error)) {
	t.Helper()
	eventually(t, "the task can be removed", func() bool { return n.Remove(within(t), id) == nil })
	if _, err := start("demo_task", `{}`, "order/2"); !errors.Is(err, task.ErrBusy) {
		t.Errorf("a start while the old log is there = %v, want ErrBusy", err)
	}
}
