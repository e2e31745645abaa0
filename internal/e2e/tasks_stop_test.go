package e2e

import (
	"fmt"
	"net/http"
	"syscall"
	"testing"
)

// wantGoodbye wants a stream to end in order, with a time to come back and
// nothing that looks like the end of what it was about.
func (w *watch) wantGoodbye(t *testing.T, what string) {
	t.Helper()
	if events := w.toEnd(t); len(events) != 0 {
		t.Errorf("%s: the stream ends with %q, want nothing but its end", what, shapes(events))
	}
	if retry, ok := w.read.Retry(); !ok || retry <= 0 {
		t.Errorf("%s: the end of the stream says no time to come back", what)
	}
}

func TestBE15StopEndsEveryStream(t *testing.T) {
	inBothForms(t, flags{backend: []string{"--log-level", "debug"}}, func(t *testing.T, s *system) {
		var streams []*watch
		for i := range 20 {
			streams = append(streams, s.open(t, versionStream(fmt.Sprint("tab-", i)), ""))
		}
		s.gateway.stop()
		for i, w := range streams {
			w.wantGoodbye(t, fmt.Sprint("stream ", i))
		}
		eventually(t, "the backend knows that all have ended", func() bool {
			return len(s.backend.logged("stream disconnected")) == len(streams)
		})
	})
}

func TestStopGivesRunningTasksTheirTimeAndCancelsTheRest(t *testing.T) {
	t.Parallel()
	s := oneProcess(t, flags{backend: []string{"--grace", "1500ms", "--task-workers", "2"}})
	slow, quick := s.startParked(t), s.start(t, "demo_task", jsonObject{"steps": 2, "delay": 0.3})
	s.waitStatus(t, slow, "running")
	s.waitStatus(t, quick, "running")
	ofSlow, ofQuick, version := s.open(t, taskStream(slow), ""), s.open(t, taskStream(quick), ""), s.open(t, versionStream("tab"), "")

	s.gateway.signal(syscall.SIGTERM)
	eventually(t, "it is not ready any more", func() bool {
		got, err := s.request("GET", s.gateway.public+"/readyz", nil)
		return err == nil && got.status == http.StatusServiceUnavailable
	})
	got, err := s.request("POST", s.backend.public+"/api/tasks", jsonObject{"type": "demo_task"})
	if err != nil || got.status != http.StatusServiceUnavailable {
		t.Errorf("start of a task while stopping: %v, %v, want 503", got, err)
	}
	late := s.open(t, taskStream(slow), "") // streams are still welcome while tasks have their time

	wantLog(t, "the quick task", ofQuick.toEnd(t), demoLog(2, demoMessage))
	for _, w := range []*watch{ofSlow, late} {
		wantLog(t, "the slow task", w.toEnd(t), append(parkedLog[:2:2], taskCancelledEnd...))
	}
	version.wantGoodbye(t, "the version stream")
	if code := s.gateway.exit(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

func TestStopDoesNotWaitLongerThanItsTasks(t *testing.T) {
	t.Parallel()
	s := oneProcess(t, flags{backend: []string{"--grace", "1h"}})
	id := s.start(t, "demo_task", jsonObject{"steps": 2, "delay": 0.4})
	w := s.open(t, taskStream(id), "")
	s.waitStatus(t, id, "running") // one that waits is left to the next process
	s.backend.stop()
	wantLog(t, "the task", w.toEnd(t), demoLog(2, demoMessage))
}

// Where the backend stops and the gateway does not, tasks that are in memory end,
// and streams stay.
func TestStopOfTheBackendEndsItsTasksAndNoOtherStream(t *testing.T) {
	t.Parallel()
	s := twoProcesses(t, flags{backend: []string{"--task-workers", "1", "--data", ""}})
	running, pending := s.startParked(t), s.startParked(t)
	ofRunning, ofPending, version := s.open(t, taskStream(running), ""), s.open(t, taskStream(pending), ""), s.open(t, versionStream("tab"), "")
	wantLog(t, "before", ofRunning.events(t, 2), parkedLog)
	s.backend.stop()
	wantLog(t, "the running task", ofRunning.toEnd(t), taskCancelledEnd)
	wantLog(t, "the pending task", ofPending.toEnd(t), taskCancelledEnd)

	s.startBackend(t)
	s.publishVersion(t, jsonObject{"version": "2"})
	version.wantVersion(t, "who stayed", "2")
	for id, want := range map[string][]string{running: append(parkedLog[:2:2], taskCancelledEnd...), pending: taskCancelledEnd} {
		if err := s.wantWhole(id, want); err != nil {
			t.Errorf("from the gateway's log: %v", err)
		}
	}
}

// TestATaskThatWaitsSurvivesTheStopOfItsBackend: one that is stored runs when a
// backend is there again; one that ran, and may not be begun twice, is cancelled.
func TestATaskThatWaitsSurvivesTheStopOfItsBackend(t *testing.T) {
	t.Parallel()
	s := twoProcesses(t, flags{backend: []string{"--task-workers", "1", "--data", t.TempDir()}})
	running := s.startParked(t)
	waiting := s.start(t, "demo_task", jsonObject{"steps": 2, "delay": 0})
	ofRunning, ofWaiting := s.open(t, taskStream(running), ""), s.open(t, taskStream(waiting), "")
	wantLog(t, "before", ofRunning.events(t, 2), parkedLog)
	s.backend.stop()
	wantLog(t, "the running task", ofRunning.toEnd(t), taskCancelledEnd)
	s.startBackend(t)
	wantLog(t, "the waiting task", ofWaiting.toEnd(t), demoLog(2, demoMessage))
}

// TestAKilledBackendsTasksEnd: who watches a task is notified when its process is
// gone, and what waited runs.
func TestAKilledBackendsTasksEnd(t *testing.T) {
	t.Parallel()
	s := twoProcesses(t, flags{backend: []string{"--task-workers", "1", "--data", t.TempDir()}})
	running := s.startParked(t)
	waiting := s.start(t, "demo_task", jsonObject{"steps": 2, "delay": 0})
	ofRunning, ofWaiting := s.open(t, taskStream(running), ""), s.open(t, taskStream(waiting), "")
	wantLog(t, "before", ofRunning.events(t, 2), parkedLog)
	s.backend.signal(syscall.SIGKILL)
	s.backend.exit()
	s.startBackend(t)
	wantLog(t, "the running task", ofRunning.toEnd(t), taskFailedEnd("worker_lost: the process that ran the task is gone"))
	wantLog(t, "the waiting task", ofWaiting.toEnd(t), demoLog(2, demoMessage))
}
