package task_test

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/internal/leftover"
	"tidegate/task"
)

var errAway = errors.New("publisher is away")

// flaky fails with the given probability, before or after it has taken some.
func flaky(rng *rand.Rand, p float64) func(context.Context, string, []task.Event) (int, error) {
	var mu sync.Mutex
	return func(_ context.Context, _ string, events []task.Event) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		if rng.Float64() < p {
			return rng.IntN(len(events) + 1), errAway
		}
		return len(events), nil
	}
}

// TestBE3OrderAndCompleteness checks many random schedules against a model: the
// log of each task must be what its function saw taken, between the
// right first and last events, and the last must say what Get says.
func TestBE3OrderAndCompleteness(t *testing.T) {
	t.Parallel()
	for seed := range uint64(100) {
		synctest.Test(t, func(t *testing.T) { checkSchedule(t, seed) })
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// script is what one task of a schedule does.
type script struct {
	Steps   int
	Every   time.Duration // between steps
	Ending  string        // "return", "fail", "panic", "linger"
	Workers int           // goroutines that report the steps
}

func checkSchedule(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 0))
	var mu sync.Mutex
	accepted := map[string]int{} // progress that was taken, by task

	b := serve(t, task.Options{
		Publisher:    &logs{on: flaky(rand.New(rand.NewPCG(seed, 1)), rng.Float64()*0.9)},
		Workers:      1 + rng.IntN(6),
		Timeout:      time.Duration(1+rng.IntN(2000)) * time.Millisecond,
		OutboxEvents: 1 + rng.IntN(20),
		BatchEvents:  1 + rng.IntN(10),
	}, typeOf("script", func(ctx context.Context, run *task.Run) (any, error) {
		var s script
		if err := json.Unmarshal(run.Params(), &s); err != nil {
			return nil, err
		}
		var wg sync.WaitGroup
		for range s.Workers {
			wg.Go(func() {
				for range s.Steps {
					if s.Every > 0 {
						time.Sleep(s.Every)
					}
					if run.Progress(task.Progress{Text: "step"}) != nil {
						return
					}
					mu.Lock()
					accepted[run.ID()]++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		switch s.Ending {
		case "fail":
			return nil, errors.New("as asked")
		case "panic":
			panic("as asked")
		case "linger":
			<-ctx.Done()
		}
		return s.Steps, nil
	}))

	var ids []string
	for range 1 + rng.IntN(20) {
		params, _ := json.Marshal(script{
			Steps:   rng.IntN(30),
			Every:   time.Duration(rng.IntN(3)*rng.IntN(100)) * time.Millisecond,
			Ending:  []string{"return", "return", "fail", "panic", "linger"}[rng.IntN(5)],
			Workers: 1 + rng.IntN(2),
		})
		ids = append(ids, b.start(t, "script", string(params)))
		time.Sleep(time.Duration(rng.IntN(2)*rng.IntN(50)) * time.Millisecond)
		if rng.IntN(4) == 0 {
			_ = b.Cancel(t.Context(), ids[rng.IntN(len(ids))]) // it may be over
		}
	}
	time.Sleep(time.Hour)

	for _, id := range ids {
		info := b.info(t, id)
		if !info.Status.Final() {
			t.Errorf("task is %s after an hour", info.Status)
		}
		want := []string{}
		if info.StartTime != nil {
			want = append(want, "task_started")
		}
		want = append(want, slices.Repeat([]string{"progress_update"}, accepted[id])...)
		want = append(want, "task_"+string(info.Status), "connection_close task_"+string(info.Status))
		b.wantNames(t, id, want...)
		b.wantKeys(t, id)
	}
}

func TestManyTasksAgainstAFlakyPublisher(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const tasks = 2000
		b := serve(t, task.Options{
			Publisher: &logs{on: flaky(rand.New(rand.NewPCG(1, 2)), 0.2)},
			Workers:   8,
		}, task.Demo())
		var ids []string
		for range tasks {
			ids = append(ids, b.start(t, "demo_task", `{"steps":3,"delay":0}`))
		}
		time.Sleep(time.Hour)

		for _, id := range ids {
			b.wantNames(t, id, "task_started", "progress_update", "progress_update", "progress_update",
				"progress_update", "task_completed", "connection_close task_completed")
		}
		if n := b.Counts()[task.Completed]; n != tasks {
			t.Errorf("%d tasks are completed, want %d", n, tasks)
		}
	})
}

func TestPublisherAwayForTenMinutesLosesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		valve, publisher := gated()
		b := serve(t, task.Options{Publisher: publisher}, task.Demo())
		id := b.start(t, "demo_task", `{"steps":500,"delay":0.1}`)
		time.Sleep(5 * time.Minute)
		b.wantState(t, id, task.Completed) // final meanwhile
		time.Sleep(5 * time.Minute)
		b.wantNames(t, id)
		valve.open.Store(true)
		time.Sleep(10 * time.Second) // the longest pause

		want := slices.Concat([]string{"task_started"}, slices.Repeat([]string{"progress_update"}, 501),
			[]string{"task_completed", "connection_close task_completed"})
		b.wantNames(t, id, want...)
		// Pauses grow from 0.1 s to between 5 and 10 s.
		if tries := len(publisher.calls); tries < 60 || tries > 140 {
			t.Errorf("the Publisher was tried %d times in 10 minutes, want about 90", tries)
		}
	})
}

func TestAFailedBatchIsRepeatedAsItWas(t *testing.T) {
	bubble(t, func(t *testing.T) {
		tries := 0
		b := serve(t, task.Options{Publisher: &logs{on: func(_ context.Context, _ string, events []task.Event) (int, error) {
			if tries++; tries <= 3 {
				return 0, errAway
			}
			return len(events), nil
		}}}, task.Demo())
		b.start(t, "demo_task", `{"steps":5,"delay":0.01}`)
		time.Sleep(time.Minute)
		synctest.Wait()

		var sizes []int
		for _, call := range b.logs.calls {
			sizes = append(sizes, len(call))
			if call[0].Key != b.logs.calls[0][0].Key && len(sizes) <= 4 {
				t.Errorf("try %d begins with %s", len(sizes), call[0].Key)
			}
		}
		// At first task_started alone, with its progress if that was quick enough;
		// once it is taken, all the rest in one call.
		n := sizes[0]
		if want := []int{n, n, n, n, 9 - n}; !slices.Equal(sizes, want) {
			t.Errorf("batches of %d events, want %d", sizes, want)
		}
	})
}

func TestBatchesAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		open := make(chan struct{})
		b := serve(t, task.Options{
			BatchEvents: 7,
			BatchBytes:  10_000,
			Publisher: &logs{on: func(_ context.Context, _ string, events []task.Event) (int, error) {
				<-open
				return len(events), nil
			}},
		}, typeOf("mixed", func(_ context.Context, run *task.Run) (any, error) {
			for range 20 {
				if err := run.Progress(task.Progress{Text: "small"}); err != nil {
					return nil, err
				}
			}
			for range 5 {
				if err := run.Progress(task.Progress{Text: long(4000)}); err != nil {
					return nil, err
				}
			}
			return nil, run.Progress(task.Progress{Text: long(20_000)})
		}))
		b.start(t, "mixed", "")
		synctest.Wait()
		close(open)
		synctest.Wait()

		large := 0
		for i, call := range b.logs.calls {
			size := 0
			for _, ev := range call {
				size += len(ev.Data)
			}
			if len(call) > 7 || size > 10_000 && len(call) > 1 {
				t.Errorf("batch %d has %d events, %d bytes", i, len(call), size)
			}
			if size > 10_000 {
				large++
			}
		}
		if n := len(b.logs.calls); n > 10 || large != 1 {
			t.Errorf("%d calls, %d with one large event; want at most 10 and 1", n, large)
		}
	})
}

func TestNoPumpWhileThereIsNothingToPublish(t *testing.T) {
	bubble(t, func(t *testing.T) {
		valve, publisher := gated()
		b := serve(t, task.Options{Workers: 100, Publisher: publisher}, obedient)
		for range 100 {
			b.start(t, "obedient", "")
		}
		synctest.Wait()
		if n := pumps(t); n != 100 {
			t.Errorf("%d pumps are at work while the Publisher is away, want one a task, 100", n)
		}
		valve.open.Store(true)
		time.Sleep(time.Minute)
		if n := pumps(t); n != 0 {
			t.Errorf("%d pumps are at work while there is nothing to publish", n)
		}
	})
}

// pumps counts the pumps in the bubble of the caller.
func pumps(t *testing.T) (n int) {
	t.Helper()
	own := make([]byte, 200)
	own = own[:runtime.Stack(own, false)]
	bubble := regexp.MustCompile(`synctest bubble \d+\]`).FindString(string(own))
	if bubble == "" {
		t.Fatalf("not in a bubble: %s", own)
	}
	for _, stack := range leftover.Goroutines() {
		if strings.Contains(stack, bubble) && strings.Contains(stack, "(*Service).pump(") {
			n++
		}
	}
	return n
}
