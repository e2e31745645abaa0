package e2e

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// A gateway that hangs while tasks end delays their events, and nothing else.
func TestBE11StalledGatewayDelaysNobodyElse(t *testing.T) {
	t.Parallel()
	s := twoProcesses(t, flags{})
	parked := s.startParked(t)
	alsoParked := []string{parked, s.startParked(t), s.startParked(t)}
	w := s.open(t, taskStream(parked), "")
	wantLog(t, "before", w.events(t, 2), parkedLog)

	s.gateway.signal(syscall.SIGSTOP)
	running := true
	goOn := func() {
		if running {
			running = false
			s.gateway.signal(syscall.SIGCONT)
		}
	}
	defer goOn()
	// A call to a gateway that hangs is given up after 5 s: who waits for one takes
	// so long, each time. What a busy machine makes slow is quick at other times.
	quickest := map[string]time.Duration{}
	prompt := func(what string, do func()) {
		t.Helper()
		began := time.Now()
		do()
		took := time.Since(began)
		if best, ok := quickest[what]; !ok || took < best {
			quickest[what] = took
		}
	}
	var ids []string
	for i := range 6 {
		prompt("start", func() { ids = append(ids, s.start(t, "demo_task", jsonObject{"delay": 0, "message": fmt.Sprint(i)})) })
	}
	for _, id := range ids {
		s.waitStatus(t, id, "completed") // their events are on their way, to nowhere
		for range 20 {
			prompt("status of another task", func() { s.task(t, parked) })
		}
	}
	for _, id := range alsoParked {
		prompt("cancel", func() { s.cancel(t, id) })
		prompt("list", func() { s.call(t, "GET", s.backend.public+"/api/tasks", nil, http.StatusOK, nil) })
	}
	goOn()
	for what, took := range quickest {
		if took > 4*time.Second {
			t.Errorf("%s took %v at best while the gateway was stopped", what, took)
		}
	}

	wantLog(t, "the watcher", w.toEnd(t), taskCancelledEnd)
	for i, id := range ids {
		if err := s.wantWhole(id, demoLog(3, fmt.Sprint(i))); err != nil {
			t.Error(err)
		}
	}
}

// Whatever answer is lost on the way back, the sender repeats itself and nobody
// sees it.
func TestBE17LostAnswersNeitherLoseNorRepeatEvents(t *testing.T) {
	t.Parallel()
	flaky := newTap()
	var calls atomic.Int32
	flaky.loses = func(path string) bool { return path == "/internal/send" && calls.Add(1)%2 == 0 }
	s := twoProcesses(t, flags{sends: flaky.between(t)})
	each(t, 30, 30, func(int) error {
		id, err := s.tryStart("demo_task", jsonObject{"steps": 10, "delay": 0.002})
		if err != nil {
			return err
		}
		events, _, err := s.follow(taskStream(id), 3)
		if err != nil {
			return err
		}
		if err := sameLog(events, demoLog(10, demoMessage)); err != nil {
			return err
		}
		return s.wantWhole(id, demoLog(10, demoMessage))
	})
	if n := s.metric(t, "tidegate_backend_publish_total", `outcome="failed"`); n == 0 {
		t.Error("no answer was lost, so nothing was tested")
	}
}

func TestBE18EndOfAStreamDoesNotWaitForItsCallback(t *testing.T) {
	t.Parallel()
	slow := holdDisconnects()
	s := twoProcesses(t, flags{callbacks: slow.between(t)})
	for range 5 {
		id := s.start(t, "demo_task", jsonObject{"delay": 0.01})
		events, _, err := s.follow(taskStream(id))
		if err != nil {
			t.Fatal(err)
		}
		wantLog(t, "the stream", events, demoLog(3, demoMessage))
	}
	eventually(t, "disconnect callbacks are held back", func() bool { return slow.held.Load() == 5 })
	if n := s.metric(t, "tidegate_backend_publish_total", `outcome="failed"`); n != 0 {
		t.Errorf("%v sends count as failed", n)
	}
	s.waitStreams(t, 0)
	if n := s.metric(t, "tidegate_disconnects_queued"); n != 5 {
		t.Errorf("%v disconnect callbacks wait, want 5", n)
	}
	slow.release()
	eventually(t, "the backend has been notified", func() bool { return s.metric(t, "tidegate_backend_disconnects_total") == 5 })
}
