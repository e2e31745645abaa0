package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"tidegate/internal/leftover"
	"tidegate/measure/reliability/harness"
	"tidegate/measure/reliability/testbinary"
)

// The test is a short run with a few kills. For more:
//
//	go test -C measure ./reliability/tasks -kills 50
var kills = flag.Int("kills", 3, "how often the server is killed")

var binary string

func TestMain(m *testing.M) {
	os.Exit(testbinary.With(&binary, func() int { return leftover.RunWithDescriptors(m) }))
}

func TestAShortRunHasNoFaults(t *testing.T) {
	t.Parallel()
	o := options{
		deployment: harness.Defaults(), plan: harness.Plan{Rounds: *kills, Mean: time.Second, Down: time.Second},
		tasks: 60, watch: 30, workers: 8, delay: 20 * time.Millisecond, settle: 30 * time.Second,
	}
	o.deployment.Dir, o.deployment.Tidegate = t.TempDir(), binary
	var out strings.Builder
	if err := run(t.Context(), o, &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	t.Log(out.String())
}

// task returns log entries with unique ids.
func task(types ...string) (log []entry) {
	for n, typ := range types {
		e := entry{ID: fmt.Sprint(n), Name: "task_event", Data: fmt.Sprintf(`{"event_type":%q,"task_id":"T"}`, typ)}
		if reason, ok := strings.CutPrefix(typ, "close:"); ok {
			e.Name, e.Data = "connection_close", fmt.Sprintf(`{"reason":%q}`, reason)
		}
		log = append(log, e)
	}
	return log
}

func TestProblemsOfALog(t *testing.T) {
	t.Parallel()
	s := &started{id: "T", kind: "demo_task"}
	whole := task("task_started", "progress_update", "task_completed", "close:task_completed")
	twice := task("task_started", "task_started", "task_completed", "close:task_completed")
	for _, log := range [][]entry{whole, twice} {
		if found := problems(s, "completed", log); len(found) > 0 {
			t.Errorf("%s: %v", outline(log), found)
		}
	}
	sameID := task("task_started", "task_completed", "close:task_completed")
	sameID[1].ID = "0"
	other := task("task_started", "task_completed", "close:task_completed")
	other[0].Data = strings.ReplaceAll(other[0].Data, `"T"`, `"U"`)
	foreign := task("task_started", "task_completed", "close:task_completed")
	foreign[0].Name = "error"
	for name, test := range map[string]struct {
		kind, status string
		log          []entry
	}{
		"no end":                   {"demo_task", "completed", whole[:2]},
		"no close":                 {"demo_task", "completed", whole[:3]},
		"two ends":                 {"demo_task", "failed", task("task_completed", "task_failed", "close:task_failed")},
		"progress after the end":   {"demo_task", "completed", task("task_completed", "progress_update", "close:task_completed")},
		"two closes":               {"demo_task", "completed", task("task_completed", "close:task_completed", "close:task_completed")},
		"an event after the close": {"demo_task", "completed", task("close:task_completed", "task_completed")},
		"another reason in close":  {"demo_task", "completed", task("task_completed", "close:task_failed")},
		"another status":           {"demo_task", "failed", whole},
		"an id twice":              {"demo_task", "completed", sameID},
		"an event of another task": {"demo_task", "completed", other},
		"an event of unknown name": {"demo_task", "completed", foreign},
		"a failing task completed": {"failing_task", "completed", whole},
		"nothing":                  {"demo_task", "completed", nil},
	} {
		s := &started{id: "T", kind: test.kind}
		if found := problems(s, test.status, test.log); len(found) == 0 {
			t.Errorf("%s: no problem was found in %s", name, outline(test.log))
		}
	}
}

func TestWatchersAreComparedWithTheLog(t *testing.T) {
	t.Parallel()
	whole := task("task_started", "task_completed", "close:task_completed")
	for name, test := range map[string]struct {
		watched *watch
		allow   bool
		faults  int
	}{
		"the same":             {&watch{seen: whole, over: true}, false, 0},
		"an event less":        {&watch{seen: whole[1:], over: true}, false, 1},
		"no end":               {&watch{seen: whole[:2]}, false, 1},
		"a reset":              {&watch{seen: whole, over: true, resets: 1}, false, 1},
		"an allowed reset":     {&watch{seen: whole, over: true, resets: 1}, true, 0},
		"an event more, twice": {&watch{seen: append(whole[:1:1], whole...), over: true}, false, 1},
	} {
		j := &job{report: &report{allowResets: test.allow}}
		j.compare(test.watched, &watch{seen: whole})
		if j.report.faultCount != test.faults || j.report.watched != 1 {
			t.Errorf("%s: %d faults %v, want %d", name, j.report.faultCount, j.report.faults, test.faults)
		}
	}
}
