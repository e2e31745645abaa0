package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"tidegate/task"
)

// flakyType fails a number of times, as its parameters say, then completes.
func flakyType(attempts int, failure error) task.Type {
	return task.Type{Name: "flaky", MaxAttempts: attempts, Run: func(_ context.Context, run *task.Run) (any, error) {
		var p struct{ Failures int }
		if err := json.Unmarshal(run.Params(), &p); err != nil {
			return nil, err
		}
		if n, _ := run.Attempt(); n <= p.Failures {
			return nil, failure
		}
		return "well", nil
	}}
}

func tasksAreRepeatedAsOftenAsTheyMayBe(t *testing.T, s Suite) {
	n := serve(t, s.Open(t, Bounds{}), task.Options{RetryPause: 10 * time.Millisecond}, flakyType(3, errors.New("bad luck")))
	well, ill := n.start(t, "flaky", `{"Failures":2}`), n.start(t, "flaky", `{"Failures":3}`)
	n.log.want(t, well, "task_started", "task_retrying", "progress_update", "task_retrying", "progress_update", "task_completed", "close task_completed")
	n.log.want(t, ill, "task_started", "task_retrying", "progress_update", "task_retrying", "progress_update", "task_failed", "close task_failed")
	data := string(n.log.of(well)[4].Data)
	if !strings.HasSuffix(data, `"data":{"text":"Attempt 3 of 3","value":0,"attempt":3}}`) {
		t.Errorf("third attempt begins with %s", data)
	}
	for id, want := range map[string]task.State{well: task.Completed, ill: task.Failed} {
		if info := n.info(t, id); info.Status != want || info.Attempt != 3 || info.MaxAttempts != 3 {
			t.Errorf("task is %s after attempt %d of %d, want %s after 3 of 3", info.Status, info.Attempt, info.MaxAttempts, want)
		}
	}
}

func permanentErrorsAreNotTriedAgain(t *testing.T, s Suite) {
	n := serve(t, s.Open(t, Bounds{}), task.Options{}, flakyType(3, fmt.Errorf("import: %w", task.Permanent(errors.New("no such table")))))
	id := n.start(t, "flaky", `{"Failures":1}`)
	n.log.want(t, id, "task_started", "task_failed", "close task_failed")
	if info := n.info(t, id); *info.Error != "import: no such table" || info.Attempt != 1 {
		t.Errorf("error is %q after attempt %d", *info.Error, info.Attempt)
	}
}

func aTaskThatWaitsForItsNextAttemptCanBeCancelled(t *testing.T, s Suite) {
	n := serve(t, s.Open(t, Bounds{}), task.Options{RetryPause: time.Hour}, flakyType(3, errors.New("bad luck")))
	id := n.start(t, "flaky", `{"Failures":1}`)
	n.log.waitFor(t, id, "started", func(log []task.Event) bool { return len(log) > 0 })
	n.waitState(t, id, task.Pending)
	if err := n.Cancel(within(t), id); err != nil {
		t.Fatal(err)
	}
	n.log.want(t, id, "task_started", "task_retrying", "task_cancelled", "close task_cancelled")
}
