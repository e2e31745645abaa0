package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tidegate/task"
)

// serviceTests run tasks.
var serviceTests = map[string]func(*testing.T, Suite){
	"TasksEndAsTheirFunctionsDo":                    tasksEndAsTheirFunctionsDo,
	"KeysOfEventsAreTheSameForAnyWriter":            keysOfEventsAreTheSameForAnyWriter,
	"CancelEndsPendingAndRunningTasks":              cancelEndsPendingAndRunningTasks,
	"TasksAreRepeatedAsOftenAsTheyMayBe":            tasksAreRepeatedAsOftenAsTheyMayBe,
	"PermanentErrorsAreNotTriedAgain":               permanentErrorsAreNotTriedAgain,
	"ATaskThatWaitsForItsNextAttemptCanBeCancelled": aTaskThatWaitsForItsNextAttemptCanBeCancelled,
	"ListsPageNewestFirst":                          listsPageNewestFirst,
	"RemovedTasksAreDeleted":                        removedTasksAreDeleted,
	"ATaskDoesNotBeginBeforeItsTime":                aTaskDoesNotBeginBeforeItsTime,
	"ADelayedTaskCanBeCancelled":                    aDelayedTaskCanBeCancelled,
	"ASecondStartWithAKeyIsTheFirst":                aSecondStartWithAKeyIsTheFirst,
	"LogsAreWrittenAgain":                           logsAreWrittenAgain,
	"LargePartsOfATaskAreKeptWhole":                 largePartsOfATaskAreKeptWhole,
}

func tasksEndAsTheirFunctionsDo(t *testing.T, s Suite) {
	n := serve(t, s.Open(t, Bounds{}), task.Options{}, task.Demo(), task.Failing(),
		task.Type{Name: "panics", Run: func(context.Context, *task.Run) (any, error) { panic("secret") }},
		task.Type{Name: "slow", Timeout: 50 * time.Millisecond, Run: waiting.Run},
		task.Type{Name: "echo", Run: func(_ context.Context, run *task.Run) (any, error) { return run.Params(), nil }},
	)
	params := `{"text":"<é> & \u2028","n":[1,2.50]}`
	for _, c := range []struct {
		typ, params string
		state       task.State
		result, err string
		progress    int
	}{
		{"demo_task", `{"delay":0.01,"message":"<m>"}`, task.Completed, `{"message":"<m>","steps_completed":3,"status":"success"}`, "", 4},
		{"failing_task", `{"delay":0.01}`, task.Failed, "", "Test error", 1},
		{"panics", ``, task.Failed, "", "internal error", 0},
		{"slow", ``, task.Failed, "", "Task timed out after 50ms", 1},
		{"echo", params, task.Completed, `{"text":"<é> & \u2028","n":[1,2.50]}`, "", 0},
	} {
		id := n.start(t, c.typ, c.params)
		want := slices.Concat([]string{"task_started"}, slices.Repeat([]string{"progress_update"}, c.progress),
			[]string{"task_" + string(c.state), "close task_" + string(c.state)})
		n.log.want(t, id, want...)
		info := n.info(t, id)
		if info.Status != c.state || string(info.Result) != c.result || (info.Error == nil) != (c.err == "") || info.Error != nil && *info.Error != c.err {
			t.Errorf("%s: %s, result %s, error %v; want %s, %s, %q", c.typ, info.Status, info.Result, info.Error, c.state, c.result, c.err)
		}
		if info.StartTime == nil || info.EndTime == nil || info.EndTime.Before(*info.StartTime) || info.StartTime.Before(info.CreatedAt) {
			t.Errorf("%s: created %v, started %v, ended %v", c.typ, info.CreatedAt, info.StartTime, info.EndTime)
		}
	}
	if counts := n.Counts(); counts[task.Completed] != 2 || counts[task.Failed] != 3 || counts[task.Pending]+counts[task.Running] != 0 {
		t.Errorf("counts are %v", counts)
	}
}

func keysOfEventsAreTheSameForAnyWriter(t *testing.T, s Suite) {
	n := serve(t, s.Open(t, Bounds{}), task.Options{}, task.Demo())
	id := n.start(t, "demo_task", `{"delay":0,"steps":1}`)
	n.log.waitClosed(t, id)
	var got []string
	for _, ev := range n.log.of(id) {
		got = append(got, strings.TrimPrefix(ev.Key, id))
	}
	if want := []string{":started", ":1:1", ":1:2", ":end", ":close"}; !slices.Equal(got, want) {
		t.Errorf("keys end with %q, want %q", got, want)
	}
}

func cancelEndsPendingAndRunningTasks(t *testing.T, s Suite) {
	n := serve(t, s.Open(t, Bounds{}), task.Options{Workers: 1}, waiting)
	running := n.start(t, "waiting", "")
	n.log.waitText(t, running, "here")
	pending := n.start(t, "waiting", "")
	for _, id := range []string{pending, running} {
		if err := n.Cancel(within(t), id); err != nil {
			t.Fatal(err)
		}
		if got := n.info(t, id).Status; got != task.Cancelled {
			t.Errorf("after Cancel the task is %s", got)
		}
		if err := n.Cancel(within(t), id); !errors.Is(err, task.ErrNotFound) {
			t.Errorf("second Cancel() = %v, want ErrNotFound", err)
		}
	}
	n.log.want(t, running, "task_started", "progress_update", "task_cancelled", "close task_cancelled")
	n.log.want(t, pending, "task_cancelled", "close task_cancelled")
	for _, id := range []string{"", "unknown", "a.b", ">", "*", strings.Repeat("x", 1000)} {
		if err := n.Cancel(within(t), id); !errors.Is(err, task.ErrNotFound) {
			t.Errorf("Cancel(%.20q) = %v, want ErrNotFound", id, err)
		}
		if _, err := n.Get(within(t), id); !errors.Is(err, task.ErrNotFound) {
			t.Errorf("Get(%.20q) = %v, want ErrNotFound", id, err)
		}
	}
}

func listsPageNewestFirst(t *testing.T, s Suite) {
	n := serve(t, s.Open(t, Bounds{}), task.Options{Workers: 2}, task.Demo(), waiting)
	var want []string
	for i := range 60 {
		typ := "demo_task"
		if i%20 == 19 {
			typ = "waiting"
		}
		want = append(want, n.start(t, typ, map[string]string{"demo_task": `{"delay":0,"steps":1}`}[typ]))
	}
	slices.Reverse(want)
	var got []string
	for f := (task.Filter{Limit: 7}); ; {
		items, next := n.List(f)
		for _, info := range items {
			got = append(got, info.ID)
		}
		if f.After = next; next == "" {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("pages list %d tasks, want %d in order", len(got), len(want))
	}
	n.log.waitText(t, want[20], "here")
	n.log.waitText(t, want[40], "here") // both workers are taken
	eventually(t, "two run", func() bool { return n.Counts()[task.Running] == 2 })
	for _, c := range []struct {
		f    task.Filter
		want int
	}{
		{task.Filter{Type: "waiting"}, 3},
		{task.Filter{Type: "waiting", State: task.Running}, 2},
		{task.Filter{Type: "none"}, 0},
		{task.Filter{After: "?"}, 0},
	} {
		if items, _ := n.List(c.f); len(items) != c.want {
			t.Errorf("List(%+v) has %d items, want %d", c.f, len(items), c.want)
		}
	}
}

func removedTasksAreDeleted(t *testing.T, s Suite) {
	deleted := make(chan string, 10)
	n := serve(t, s.Open(t, Bounds{}), task.Options{OnDelete: func(id string) { deleted <- id }}, task.Demo(), waiting)
	id, running := n.start(t, "demo_task", `{"delay":0}`), n.start(t, "waiting", "")
	n.log.waitClosed(t, id)
	n.log.waitText(t, running, "here")
	for _, id := range []string{running, "unknown"} {
		if err := n.Remove(within(t), id); !errors.Is(err, task.ErrNotFound) {
			t.Errorf("Remove(%q) = %v, want ErrNotFound", id, err)
		}
	}
	if err := n.Remove(within(t), id); err != nil {
		t.Fatal(err)
	}
	if got := <-deleted; got != id {
		t.Errorf("OnDelete was called for %q, want %q", got, id)
	}
	if err := n.Remove(within(t), id); !errors.Is(err, task.ErrNotFound) {
		t.Errorf("second Remove() = %v, want ErrNotFound", err)
	}
	if items, _ := n.List(task.Filter{}); len(items) != 1 {
		t.Errorf("List() has %d items, want 1", len(items))
	}
}

func logsAreWrittenAgain(t *testing.T, s Suite) {
	n := serve(t, s.Open(t, Bounds{}), task.Options{}, task.Demo(), waiting)
	id, running := n.start(t, "demo_task", `{"delay":0}`), n.start(t, "waiting", "")
	n.log.waitClosed(t, id)
	n.log.waitText(t, running, "here")
	before := n.log.of(id)
	n.log.lose(id) // the gateway was started anew
	for range 2 {
		// The task leaves the queue a moment after its last event is out.
		eventually(t, "written again", func() bool {
			err := n.Republish(within(t), id)
			if err != nil && !errors.Is(err, task.ErrBusy) {
				t.Fatal(err)
			}
			return err == nil
		})
	}
	again := n.log.of(id)
	want := []task.Event{before[0], before[4], before[5], before[6]}
	if len(again) != len(want) {
		t.Fatalf("%d events again, want %d", len(again), len(want))
	}
	for i, ev := range again {
		if key := fmt.Sprintf("%s:r%d", id, i+1); ev.Key != key || string(ev.Data) != string(want[i].Data) {
			t.Errorf("event %d is %s %s, want %s %s", i, ev.Key, ev.Data, key, want[i].Data)
		}
	}
	for _, id := range []string{running, "unknown"} {
		if err := n.Republish(within(t), id); !errors.Is(err, task.ErrNotFound) {
			t.Errorf("Republish(%q) = %v, want ErrNotFound", id, err)
		}
	}
}

func largePartsOfATaskAreKeptWhole(t *testing.T, s Suite) {
	n := serve(t, s.Open(t, Bounds{}), task.Options{},
		task.Type{Name: "echo", Run: func(_ context.Context, run *task.Run) (any, error) {
			err := run.Progress(task.Progress{Text: strings.Repeat("é", 200_000), Value: new(0.5)})
			return run.Params(), err
		}},
		task.Type{Name: "fails", Run: func(_ context.Context, run *task.Run) (any, error) {
			var p struct{ Text string }
			if err := json.Unmarshal(run.Params(), &p); err != nil {
				return nil, err
			}
			return nil, errors.New(strings.Repeat(p.Text, 200_000))
		}})
	params := `{"x":"` + strings.Repeat("<", 900_000) + `"}`
	id := n.start(t, "echo", params)
	n.log.waitClosed(t, id)
	info := n.info(t, id)
	if info.Status != task.Completed || string(info.Result) != params {
		t.Errorf("task is %s, result has %d bytes, want %d", info.Status, len(info.Result), len(params))
	}
	if info.Progress == nil || info.Progress.Value != 0.5 || !strings.HasPrefix(info.Progress.Text, "ééé") {
		t.Error("latest progress is not there")
	}
	for _, text := range []string{"text", "\x01"} { // the second is six times as long in JSON
		params, err := json.Marshal(map[string]string{"Text": text})
		if err != nil {
			t.Fatal(err)
		}
		id = n.start(t, "fails", string(params))
		n.log.waitClosed(t, id)
		if info := n.info(t, id); info.Error == nil || *info.Error != strings.Repeat(text, 200_000) {
			t.Errorf("error of many %q is not whole", text)
		}
	}
}
