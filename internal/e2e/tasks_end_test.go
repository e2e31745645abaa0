package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"tidegate/sse"
)

func TestBE7LargeEventsArriveWhole(t *testing.T) {
	inBothForms(t, flags{}, func(t *testing.T, s *system) {
		for _, size := range []int{150_000, 900_000} {
			message := strings.Repeat("m", size)
			id := s.start(t, "demo_task", jsonObject{"delay": 0.01, "message": message})
			live := s.open(t, taskStream(id), "")
			wantLog(t, "who was there", live.toEnd(t), demoLog(3, message))
			if err := s.wantWhole(id, demoLog(3, message)); err != nil {
				t.Errorf("who came later: %v", err)
			}

			id = s.start(t, "failing_task", jsonObject{"delay": 0, "error_message": message})
			events, _, err := s.follow(taskStream(id))
			if err != nil {
				t.Error(err)
			}
			wantLog(t, "a failing task", events, append([]string{"task_started null",
				`progress_update {"text":"Starting failing task","value":0}`}, taskFailedEnd(message)...))
		}
	})
}

func TestBE7ResultBeyondOneEventIsPointedTo(t *testing.T) {
	inBothForms(t, flags{}, func(t *testing.T, s *system) {
		message := strings.Repeat("m", 1_000_000)
		id := s.start(t, "demo_task", jsonObject{"delay": 0, "message": message})
		events, _, err := s.follow(taskStream(id))
		if err != nil {
			t.Fatal(err)
		}
		want := demoLog(3, "")
		want[len(want)-2] = `task_completed {"truncated":true,"bytes":1000053,"status_url":"/api/tasks/` + id + `"}`
		wantLog(t, "the stream", events, want)
		var info struct{ Result struct{ Message string } }
		s.call(t, "GET", s.backend.public+"/api/tasks/"+id, nil, http.StatusOK, &info)
		if info.Result.Message != message {
			t.Errorf("the status has a message of %d bytes, want all", len(info.Result.Message))
		}
	})
}

func TestBE7VersionTooLargeIsRefusedAtOnce(t *testing.T) {
	inBothForms(t, flags{}, func(t *testing.T, s *system) {
		w := s.open(t, versionStream("tab"), "")
		s.call(t, "POST", s.backend.public+"/api/versions", jsonObject{"version": "1", "changelog": strings.Repeat("x", 65_537)}, http.StatusBadRequest, nil)
		changelog := strings.Repeat("x", 65_536)
		s.publishVersion(t, jsonObject{"version": "2", "changelog": changelog})
		if e := w.event(t); shape(e) != `version {"version":"2","changelog":"`+changelog+`"}` {
			t.Errorf("got %.100s", shape(e))
		}
	})
}

func TestBE9CancelEndsEveryStreamOfTheTask(t *testing.T) {
	inBothForms(t, flags{backend: []string{"--task-workers", "1"}}, func(t *testing.T, s *system) {
		running := s.startParked(t)
		s.waitStatus(t, running, "running")
		pending := s.startParked(t)
		var ofRunning, ofPending []*watch
		for range 3 {
			ofRunning = append(ofRunning, s.open(t, taskStream(running), ""))
			ofPending = append(ofPending, s.open(t, taskStream(pending), ""))
		}
		s.cancel(t, pending)
		s.cancel(t, running)
		wantRunning := append(parkedLog[:2:2], taskCancelledEnd...)
		for i := range ofRunning {
			wantLog(t, "the running task", ofRunning[i].toEnd(t), wantRunning)
			wantLog(t, "the pending task", ofPending[i].toEnd(t), taskCancelledEnd)
		}
		for id, want := range map[string][]string{running: wantRunning, pending: taskCancelledEnd} {
			if err := s.wantWhole(id, want); err != nil {
				t.Error(err)
			}
			s.call(t, "POST", s.backend.public+"/api/tasks/"+id+"/cancel", nil, http.StatusNotFound, nil)
		}
	})
}

func TestBE10CancelledStaysCancelled(t *testing.T) {
	inBothForms(t, flags{backend: []string{"--task-workers", "1"}}, func(t *testing.T, s *system) {
		running := s.start(t, "failing_task", jsonObject{"delay": 3600}) // when asked to end, it fails
		s.waitStatus(t, running, "running")
		pending := s.start(t, "demo_task", jsonObject{"delay": 0})
		s.cancel(t, pending)
		s.cancel(t, running)
		// There is one worker: what it does last comes after all that was cancelled.
		last := s.start(t, "demo_task", jsonObject{"delay": 0})
		if err := s.wantWhole(last, demoLog(3, demoMessage)); err != nil {
			t.Error(err)
		}
		if info := s.task(t, pending); info.Status != "cancelled" || info.StartTime != nil || info.Result != nil {
			t.Errorf("the pending task is %+v, want cancelled and never begun", info)
		}
		if info := s.task(t, running); info.Status != "cancelled" || info.EndTime == nil || info.Error != nil {
			t.Errorf("the running task is %+v, want cancelled", info)
		}
		if err := s.wantWhole(pending, taskCancelledEnd); err != nil {
			t.Error(err)
		}
	})
}

func TestBE14TimeoutEndsTheTaskAndFreesItsWorker(t *testing.T) {
	inBothForms(t, flags{backend: []string{"--task-workers", "1", "--task-timeout", "300ms"}}, func(t *testing.T, s *system) {
		stuck := s.startParked(t)
		next := s.start(t, "demo_task", jsonObject{"delay": 0})
		watcher, behind := s.open(t, taskStream(stuck), ""), s.open(t, taskStream(next), "")
		wantLog(t, "the stuck task", watcher.toEnd(t), append(parkedLog[:2:2], taskFailedEnd("Task timed out after 300ms")...))
		wantLog(t, "the one behind it", behind.toEnd(t), demoLog(3, demoMessage))
		if info := s.task(t, stuck); info.Status != "failed" || info.Error == nil {
			t.Errorf("the stuck task is %+v", info)
		}
	})
}

func TestBE16UnknownTaskIsSaidOnceAndForAll(t *testing.T) {
	inBothForms(t, flags{}, func(t *testing.T, s *system) {
		target := taskStream("no-such-task")
		for range 2 {
			events, lastID, err := s.follow(target)
			if err != nil {
				t.Fatal(err)
			}
			wantLog(t, "the stream", events, []string{
				`error {"error":"Task not found","task_id":"no-such-task"}`, `connection_close {"reason":"task_not_found"}`})
			if err := s.wantNothingMore(target, lastID); err != nil {
				t.Error(err)
			}
		}
		// A browser comes back by itself, and is answered not to; the client does as a browser.
		client := sse.NewClient(sse.ClientOptions{URL: s.gateway.public + target, HTTPClient: s.web, Retry: 1})
		n := 0
		for _, err := range client.Events(t.Context()) {
			if n++; err != nil {
				t.Error(err)
			}
		}
		if n != 2 {
			t.Errorf("a client that comes back by itself gets %d events, want 2", n)
		}
	})
}

func TestBE21NoTracebackReachesTheBrowser(t *testing.T) {
	inBothForms(t, flags{}, func(t *testing.T, s *system) {
		id := s.start(t, "failing_task", jsonObject{"delay": 0, "error_message": "Disk\nis \"full\""})
		events, _, err := s.follow(taskStream(id))
		if err != nil {
			t.Fatal(err)
		}
		var failed struct{ Data map[string]any }
		if err := json.Unmarshal([]byte(events[len(events)-2].Data), &failed); err != nil {
			t.Fatal(err)
		}
		if len(failed.Data) != 1 || failed.Data["error"] != "Disk\nis \"full\"" {
			t.Errorf("task_failed says %v, want the message and nothing else", failed.Data)
		}
	})
}

func TestF18DisconnectIsNotTheEndOfATask(t *testing.T) {
	inBothForms(t, flags{}, func(t *testing.T, s *system) {
		id := s.startParked(t)
		w := s.open(t, taskStream(id), "")
		wantLog(t, "before the cut", w.events(t, 2), parkedLog)
		s.call(t, "DELETE", s.gateway.internal+"/internal/streams/"+s.listing(t)[0].Token, nil, http.StatusOK, nil)
		if events := w.toEnd(t); len(events) != 0 {
			t.Errorf("the end of the stream shows %q, want nothing that looks like the end of the task", shapes(events))
		}
		if info := s.task(t, id); info.Status != "running" {
			t.Errorf("the task is %s, want running", info.Status)
		}
		back := s.open(t, taskStream(id), w.lastID())
		back.reset()
		s.waitStreams(t, 0)
		if info := s.task(t, id); info.Status != "running" {
			t.Errorf("the task is %s after its last watcher left, want running", info.Status)
		}
		s.cancel(t, id)
		events, _, err := s.follow(taskStream(id))
		if err != nil {
			t.Fatal(err)
		}
		wantLog(t, "after the task's end", events, append(parkedLog[:2:2], taskCancelledEnd...))
	})
}

// Beyond what is kept, a late stream receives a reset; it is never silently short.
func TestLongLogIsWholeOrHonestlyCut(t *testing.T) {
	const steps = 20_000
	log := demoLog(steps, demoMessage)
	for name, c := range map[string]struct {
		namespace string
		want      []string // what a late stream sees
	}{
		"default retention": {"task=events:10000", append([]string{`reset {"reason":"history_lost"}`}, log[len(log)-10_000:]...)},
		"larger retention":  {"task=events:50000", log},
	} {
		t.Run(name, func(t *testing.T) {
			inBothForms(t, flags{gateway: []string{"--namespace", c.namespace}}, func(t *testing.T, s *system) {
				id := s.start(t, "demo_task", jsonObject{"steps": steps, "delay": 0})
				events, _, err := s.follow(taskStream(id)) // live
				if err != nil {
					t.Fatal(err)
				}
				wantLog(t, "who was there", events, log)
				for range 2 {
					events, lastID, err := s.follow(taskStream(id))
					if err != nil {
						t.Fatal(err)
					}
					wantLog(t, "who came late", withIDs(events), c.want)
					if err := s.wantNothingMore(taskStream(id), lastID); err != nil {
						t.Error(err)
					}
				}
				if n := s.metric(t, "tidegate_callbacks_total", `status="none"`); n != 0 {
					t.Errorf("%v callbacks had no answer in time", n)
				}
			})
		})
	}
}
