package e2e

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"tidegate/sse"
)

// The defects of this file were all of one kind: a queue and a connection that
// two processes raced on, so that events were lost, doubled or out of order
// around a connect.

func TestBE2ReconnectDuringASendKeepsTheNewStream(t *testing.T) {
	inBothForms(t, flags{backend: []string{"--task-workers", "20"}}, func(t *testing.T, s *system) {
		each(t, 20, 20, func(int) error {
			id, err := s.tryStart("demo_task", jsonObject{"steps": 30, "delay": 0.006})
			if err != nil {
				return err
			}
			events, _, err := s.follow(taskStream(id), 4, 4, 4, 4, 4)
			if err != nil {
				return err
			}
			return sameLog(events, demoLog(30, demoMessage))
		})
	})
}

func TestBE3EventsAroundConnectAreInOrder(t *testing.T) {
	inBothForms(t, flags{backend: []string{"--task-workers", "20"}}, func(t *testing.T, s *system) {
		each(t, 150, 10, func(int) error {
			id, err := s.tryStart("demo_task", jsonObject{"steps": 3, "delay": 0.002})
			if err != nil {
				return err
			}
			events, _, err := s.follow(taskStream(id))
			if err != nil {
				return err
			}
			return sameLog(events, demoLog(3, demoMessage))
		})
	})
}

func TestBE4StreamThatOpensAsTheTaskEndsIsEnded(t *testing.T) {
	inBothForms(t, flags{backend: []string{"--task-workers", "20"}}, func(t *testing.T, s *system) {
		want := append([]string{"task_started null", `progress_update {"text":"Starting failing task","value":0}`}, taskFailedEnd("Test error")...)
		each(t, 300, 10, func(i int) error {
			// The end of the task moves through the time that a connect takes.
			id, err := s.tryStart("failing_task", jsonObject{"delay": float64(i%30) * 0.0001})
			if err != nil {
				return err
			}
			events, _, err := s.follow(taskStream(id))
			if err != nil {
				return err
			}
			return sameLog(events, want)
		})
	})
}

func TestBE5FinishedTaskIsShownAgainAndAgain(t *testing.T) {
	inBothForms(t, flags{}, func(t *testing.T, s *system) {
		id := s.start(t, "demo_task", jsonObject{"delay": 0, "message": "hey"})
		for visit := range 4 {
			if err := s.wantWhole(id, demoLog(3, "hey")); err != nil {
				t.Errorf("visit %d: %v", visit, err)
			}
		}
	})
}

func TestBE6WhoComesBackMissesNothingAndANewcomerSeesAll(t *testing.T) {
	inBothForms(t, flags{}, func(t *testing.T, s *system) {
		const steps = 1_000_000
		id := s.start(t, "demo_task", jsonObject{"steps": steps, "delay": 0.001})
		first := s.open(t, taskStream(id), "")
		seen := first.events(t, 20)
		first.reset() // while events are on their way to it

		late := s.open(t, taskStream(id), "")
		if got, want := shapes(late.events(t, 20)), shapes(seen); !slices.Equal(got, want) {
			t.Errorf("a newcomer sees %q, want what the first one saw, %q", got, want)
		}
		back := s.open(t, taskStream(id), first.lastID())
		s.waitProgress(t, id, 100)
		s.cancel(t, id)
		seen = append(seen, back.toEnd(t)...)
		all := append(seen[:20:20], late.toEnd(t)...)
		if got, want := shapes(seen), shapes(all); !slices.Equal(got, want) {
			t.Errorf("who came back has seen %d events, who stayed %d", len(got), len(want))
		}
		want := append(demoBegin(len(seen)-4, steps), taskCancelledEnd...)
		wantLog(t, "the task", seen, want)
		if err := s.wantWhole(id, want); err != nil {
			t.Error(err)
		}
	})
}

func TestBE8BacklogOutlastsTheCallbackTimeout(t *testing.T) {
	// The events would take longer to send one by one than the callback may take.
	inBothForms(t, flags{gateway: []string{"--callback-timeout", "2s"}}, func(t *testing.T, s *system) {
		id := s.start(t, "demo_task", jsonObject{"steps": 6000, "delay": 0})
		s.waitStatus(t, id, "completed")
		for range 2 {
			if err := s.wantWhole(id, demoLog(6000, demoMessage)); err != nil {
				t.Error(err)
			}
		}
		if n := s.metric(t, "tidegate_callbacks_total", `status="none"`); n != 0 {
			t.Errorf("%v callbacks had no answer in time", n)
		}
	})
}

func TestBE12TwoTabsWithOneIdShareIt(t *testing.T) {
	inBothForms(t, flags{}, func(t *testing.T, s *system) {
		id := s.startParked(t)
		var tabs []*watch
		for range 2 {
			tabs = append(tabs, s.open(t, versionStream("tab"), ""), s.open(t, taskStream(id), ""))
		}
		if n := s.publishVersion(t, jsonObject{"version": "1.2", "request_id": "tab"}); n != 2 {
			t.Errorf("%d streams got the version, want both", n)
		}
		for i, tab := range tabs {
			if i%2 == 0 {
				if e := tab.event(t); shape(e) != `version {"version":"1.2"}` {
					t.Errorf("tab %d got %s", i, shape(e))
				}
				continue
			}
			wantLog(t, fmt.Sprint("tab ", i), tab.events(t, 2), parkedLog)
		}
		s.cancel(t, id)
		wantLog(t, "first tab", tabs[1].toEnd(t), taskCancelledEnd)
		wantLog(t, "second tab", tabs[3].toEnd(t), taskCancelledEnd)
		s.waitStreams(t, 2) // the version streams
		if n := s.metric(t, "tidegate_streams_ended_total"); n != 2 {
			t.Errorf("%v streams have ended, want those of the task only", n)
		}
	})
}

func TestBE27EventsForNobodyAreKept(t *testing.T) {
	inBothForms(t, flags{}, func(t *testing.T, s *system) {
		id := s.start(t, "demo_task", jsonObject{"delay": 0})
		s.waitStatus(t, id, "completed")
		if n := s.publishVersion(t, jsonObject{"version": "7", "request_id": "nobody-yet"}); n != 0 {
			t.Errorf("%d streams got the version", n)
		}
		if err := s.wantWhole(id, demoLog(3, demoMessage)); err != nil {
			t.Error(err)
		}
		if e := s.open(t, versionStream("nobody-yet"), "").event(t); shape(e) != `version {"version":"7"}` {
			t.Errorf("a client that comes later receives %s", shape(e))
		}
	})
}

func TestBE27ClientsThatDoNotReadDelayNobody(t *testing.T) {
	inBothForms(t, flags{gateway: []string{"--write-timeout", "1m"}}, func(t *testing.T, s *system) {
		for i := range 10 {
			w := s.open(t, versionStream(fmt.Sprint("asleep-", i)), "")
			if err := w.conn.SetReadBuffer(4096); err != nil {
				t.Fatal(err)
			}
		}
		awake := s.open(t, versionStream("awake"), "")
		changelog := strings.Repeat("x", 60_000)
		for i := range 40 {
			want := jsonObject{"version": fmt.Sprint(i), "changelog": changelog}
			s.publishVersion(t, want)
			if e := awake.event(t); shape(e) != fmt.Sprintf(`version {"version":"%d","changelog":"%s"}`, i, changelog) {
				t.Fatalf("version %d arrives as %.100s", i, shape(e))
			}
		}
	})
}

func TestF10NothingIsLostBetweenHistoryAndLive(t *testing.T) {
	inBothForms(t, flags{}, func(t *testing.T, s *system) {
		const steps = 500
		id := s.start(t, "demo_task", jsonObject{"steps": steps, "delay": 0.001})
		// Each stream opens when the one before it has had an event more.
		var followers sync.WaitGroup
		logs := make(chan []sse.Event, 40)
		for i := range cap(logs) {
			w := s.open(t, taskStream(id), "")
			head := w.events(t, min(i+1, steps))
			followers.Go(func() {
				rest, _, err := w.take(-1)
				if err != nil {
					t.Errorf("stream %d: %v", i, err)
				}
				logs <- append(head, rest...)
			})
		}
		followers.Wait()
		close(logs)
		for events := range logs {
			wantLog(t, "a stream", events, demoLog(steps, demoMessage))
		}
	})
}

func TestF11OneIdResumesAllTopicsOfAStream(t *testing.T) {
	inBothForms(t, flags{}, func(t *testing.T, s *system) {
		const steps = 60
		ids := []string{
			s.start(t, "demo_task", jsonObject{"steps": steps, "delay": 0.004, "message": "a"}),
			s.start(t, "demo_task", jsonObject{"steps": steps, "delay": 0.005, "message": "b"}),
		}
		target := "/api/sse/stream?task_id=" + ids[0] + "&task_id=" + ids[1] + "&request_id=tab"
		var events []sse.Event
		lastID := ""
		for cut := 0; len(closings(events)) < 2 || !hasVersion(events, "30"); cut++ {
			w, n := s.open(t, target, lastID), 1
			if cut < 30 {
				s.publishVersion(t, jsonObject{"version": fmt.Sprint(cut + 1)})
				n += cut % 5
			}
			events = append(events, w.events(t, n)...)
			lastID = w.lastID()
			w.reset()
		}
		wantSplit(t, events, ids, steps)
	})
}

// closings are the events that end tasks.
func closings(events []sse.Event) (ends []sse.Event) {
	for _, e := range events {
		if e.Name == "connection_close" {
			ends = append(ends, e)
		}
	}
	return ends
}

func hasVersion(events []sse.Event, version string) bool {
	return slices.ContainsFunc(events, func(e sse.Event) bool { return shape(e) == `version {"version":"`+version+`"}` })
}

// wantSplit wants each task's log whole in a mixture, and versions that only rise.
func wantSplit(t *testing.T, events []sse.Event, ids []string, steps int) {
	t.Helper()
	for i, id := range ids {
		var own []sse.Event
		for _, e := range events {
			if e.Name == "task_event" && strings.Contains(e.Data, id) {
				own = append(own, e)
			}
		}
		log := demoLog(steps, string(rune('a'+i)))
		wantLog(t, "task "+id, own, log[:len(log)-1])
	}
	if n := len(closings(events)); n != len(ids) {
		t.Errorf("%d ends, want %d", n, len(ids))
	}
	last := 0
	for _, e := range events {
		var v int
		if _, err := fmt.Sscanf(shape(e), `version {"version":"%d"}`, &v); err != nil {
			continue
		}
		if v <= last {
			t.Errorf("version %d after %d", v, last)
		}
		last = v
	}
	if last == 0 {
		t.Error("no version was seen")
	}
	shapes := shapes(events)
	if i := slices.IndexFunc(shapes, func(s string) bool { return strings.HasSuffix(s, " again") }); i >= 0 {
		t.Errorf("event %d has an id that another has: %s", i, shapes[i])
	}
}
