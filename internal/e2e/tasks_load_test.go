package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"

	"tidegate/internal/longtest"
	"tidegate/sse"
)

// tasksInAWave is how many of the tasks are under way together.
const tasksInAWave = 250

// TestTasksAtRandomMoments opens the stream of each of many short tasks before, while or
// after the task runs. It cuts the stream at random and resumes it. Every stream must
// show the task's seven events in order, once.
func TestTasksAtRandomMoments(t *testing.T) {
	t.Parallel()
	s := quietProcess(t, flags{backend: []string{"--task-workers", "16", "--task-queue", "20000"}})
	s.manyTasks(t, longtest.Number(500, 2500))
}

// quietProcess is one process that logs no stream: to read the lines would cost
// the test as much as to read the streams.
func quietProcess(t *testing.T, f flags) *system {
	t.Helper()
	public, internal := freeAddress(t), freeAddress(t)
	p := launch(t, nil, append(f.serve(public, internal), "--log-level", "warn")...)
	p.public, p.internal = "http://"+public, "http://"+internal // it does not log them either
	s := &system{flags: f, gateway: p, backend: p, web: webClient(t)}
	s.stopAtEnd(t)
	eventually(t, "the server answers", func() bool {
		got, err := s.request("GET", p.public+"/healthz", nil)
		return err == nil && got.status == http.StatusOK
	})
	return s
}

// TestTasksInTwoProcessesAtRandomMoments is the same over two processes.
func TestTasksInTwoProcessesAtRandomMoments(t *testing.T) {
	t.Parallel()
	s := twoProcesses(t, flags{backend: []string{"--task-workers", "16", "--task-queue", "20000"}})
	s.manyTasks(t, longtest.Number(250, 1000))
}

func (s *system) manyTasks(t *testing.T, n int) {
	t.Helper()
	seed := rand.Uint64()
	for first := 0; first < n; first += tasksInAWave {
		w := &wave{system: s, seed: seed, workers: 16}
		w.run(t, first, min(tasksInAWave, n-first))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	s.waitStreams(t, 0)
}

// wave is a number of tasks that wait behind a barrier: the workers are kept
// busy until a third of the streams are open. The others open as those end, one
// by one, so that they meet tasks that wait, run, or are over.
type wave struct {
	*system
	seed    uint64
	workers int

	mu    sync.Mutex
	ended int
	gates map[int]chan struct{} // closed when so many streams have ended
}

func (w *wave) run(t *testing.T, first, n int) {
	t.Helper()
	var barrier []string
	for range w.workers {
		barrier = append(barrier, w.startParked(t))
	}
	for _, id := range barrier {
		w.waitStatus(t, id, "running")
	}
	ids := make([]string, n)
	each(t, n, 16, func(i int) (err error) {
		ids[i], err = w.tryStart("demo_task", jsonObject{"delay": 0})
		return err
	})

	w.gates = make(map[int]chan struct{})
	early := n / 3
	var open, visits sync.WaitGroup
	errs := make(chan error, n)
	open.Add(early)
	for i, id := range ids {
		v := &visitor{system: w.system, id: id, random: rand.New(rand.NewPCG(w.seed, uint64(first+i)))}
		moment := 0
		if i%3 == 0 && i/3 < early {
			v.opened = open.Done
		} else {
			moment = 1 + v.random.IntN(early)
		}
		gate := w.gate(moment)
		visits.Go(func() {
			<-gate
			if err := v.visit(); err != nil {
				errs <- fmt.Errorf("task %d, which came after %d streams had ended: %w", first+i, moment, err)
			}
			w.oneMore()
		})
	}
	open.Wait()
	for _, id := range barrier {
		w.cancel(t, id)
	}
	visits.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
}

// gate opens when n streams have ended.
func (w *wave) gate(n int) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	gate, ok := w.gates[n]
	if !ok {
		gate = make(chan struct{})
		w.gates[n] = gate
		if n <= w.ended {
			close(gate)
		}
	}
	return gate
}

// oneMore says that a stream has ended.
func (w *wave) oneMore() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended++
	if gate, ok := w.gates[w.ended]; ok {
		close(gate)
	}
}

// visitor follows one task.
type visitor struct {
	*system
	id     string
	random *rand.Rand
	opened func() // called when its first stream is open, or has failed; may be nil
}

// visit follows the task to its end with cuts, then opens its stream once more
// from the beginning and once more from the end.
func (v *visitor) visit() error {
	want := demoLog(3, demoMessage)
	events, err := v.withCuts(v.random.IntN(3))
	if err == nil {
		err = sameLog(events, want)
	}
	if err != nil {
		return fmt.Errorf("first visit: %w", err)
	}
	if err := v.wantWhole(v.id, want); err != nil {
		return fmt.Errorf("second visit: %w", err)
	}
	return nil
}

// withCuts reads the stream and cuts it a number of times, each time after a
// random number of events.
func (v *visitor) withCuts(cuts int) (events []sse.Event, err error) {
	for lastID := ""; ; {
		w, err := v.dialUntilServed(taskStream(v.id), lastID)
		if v.opened != nil {
			v.opened()
			v.opened = nil
		}
		if err != nil {
			return events, err
		}
		if w.head.StatusCode == http.StatusNoContent && len(events) > 0 && strings.HasPrefix(shape(events[len(events)-1]), "connection_close") {
			w.reset()
			return events, nil
		}
		if w.head.StatusCode != http.StatusOK {
			w.reset()
			return events, fmt.Errorf("status %d after %d events", w.head.StatusCode, len(events))
		}
		n := -1
		if cuts > 0 {
			n = v.random.IntN(8)
		}
		cuts--
		got, ended, err := w.take(n)
		events, lastID = append(events, got...), w.lastID()
		if v.random.IntN(2) == 0 {
			w.reset()
		} else {
			w.leave()
		}
		if ended || err != nil {
			return events, err
		}
	}
}
