package task_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"tidegate/task"
)

// endData returns the data of the terminal event of a task.
func (b *bundle) endData(t *testing.T, id string) string {
	t.Helper()
	events := b.logs.of(id)
	if len(events) < 2 {
		t.Fatalf("log has %d events", len(events))
	}
	_, data, _ := strings.Cut(string(events[len(events)-2].Data), `,"data":`)
	return strings.TrimSuffix(data, "}")
}

func TestBE7LargeResultIsKeptWholeAndPointedTo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := serve(t, task.Options{StatusPath: "/status/"}, task.Demo(), task.Failing())
		message := long(1_000_000)
		demo := b.start(t, "demo_task", `{"delay":0,"message":"`+message+`"}`)
		synctest.Wait()

		b.wantNames(t, demo, "task_started", "progress_update", "progress_update", "progress_update", "progress_update",
			"task_completed", "connection_close task_completed")
		if got, want := b.endData(t, demo), `{"truncated":true,"bytes":1000053,"status_url":"/status/`+demo+`"}`; got != want {
			t.Errorf("data of task_completed is %s, want %s", got, want)
		}
		var result struct{ Message string }
		if err := json.Unmarshal(b.info(t, demo).Result, &result); err != nil || result.Message != message {
			t.Errorf("Info.Result has a message of %d bytes, error %v; want all %d", len(result.Message), err, len(message))
		}
	})
}

func TestBE7LargeErrorIsCutAtARune(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, text := range []string{
			"é" + strings.Repeat("€", 3000),
			strings.Repeat("\x01", 3000), // six bytes each when encoded
		} {
			b := serve(t, task.Options{MaxEventBytes: 2000}, task.Failing())
			params, _ := json.Marshal(map[string]any{"delay": 0, "error_message": text})
			id := b.start(t, "failing_task", string(params))
			synctest.Wait()
			var data struct {
				Error     string
				Truncated bool
				Bytes     int
				StatusURL string `json:"status_url"`
			}
			if err := json.Unmarshal([]byte(b.endData(t, id)), &data); err != nil {
				t.Fatal(err)
			}
			if !data.Truncated || data.Bytes <= 2000 || data.StatusURL != "/api/tasks/"+id {
				t.Errorf("data of task_failed is %+v", data)
			}
			if data.Error == "" || !strings.HasPrefix(text, data.Error) || !utf8.ValidString(data.Error) {
				t.Errorf("error of %d bytes is not a beginning of the text", len(data.Error))
			}
			if got := b.info(t, id).Error; got == nil || *got != text {
				t.Error("Info.Error is not whole")
			}
			if n := len(b.logs.of(id)[2].Data); n > 2000 {
				t.Errorf("event has %d bytes, may have 2000", n)
			}
		}
	})
}

func TestBE7RejectedEventsDoNotStopTheLog(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mu sync.Mutex
		var dropped []string
		publisher := &logs{on: func(_ context.Context, _ string, events []task.Event) (int, error) {
			for i, ev := range events {
				if len(ev.Data) > 5000 {
					return i, errors.Join(errors.New("publish"), &task.RejectedError{Index: i, Err: errors.New("too large")})
				}
			}
			return len(events), nil
		}}
		b := serve(t, task.Options{Publisher: publisher, Observer: observer{dropped: func(id string, reason error) {
			mu.Lock()
			defer mu.Unlock()
			dropped = append(dropped, reason.Error())
		}}}, typeOf("large", func(_ context.Context, run *task.Run) (any, error) {
			for _, text := range []string{"a", long(6000), "b", long(7000), long(8000), "c"} {
				if err := run.Progress(task.Progress{Text: text}); err != nil {
					return nil, err
				}
			}
			return long(9000), nil
		}))
		begun := time.Now()
		id := b.start(t, "large", "")
		synctest.Wait()

		b.wantNames(t, id, "task_started", "progress_update", "progress_update", "progress_update",
			"task_completed", "connection_close task_completed")
		if got, want := b.endData(t, id), `{"truncated":true,"bytes":9002,"status_url":"/api/tasks/`+id+`"}`; got != want {
			t.Errorf("data of task_completed is %s, want %s", got, want)
		}
		if want := []string{"too large", "too large", "too large"}; !slices.Equal(dropped, want) {
			t.Errorf("observer was told of %q, want %q", dropped, want)
		}
		if took := time.Since(begun); took != 0 {
			t.Errorf("publishing paused for %v after a rejection", took)
		}
	})
}

func TestRejectingEverythingEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		publisher := &logs{on: func(context.Context, string, []task.Event) (int, error) {
			return 0, &task.RejectedError{Index: 0, Err: errors.New("never")}
		}}
		b := serve(t, task.Options{Publisher: publisher, Retention: time.Minute}, task.Demo())
		id := b.start(t, "demo_task", `{"delay":0}`)
		time.Sleep(time.Hour)
		if _, err := b.Get(t.Context(), id); !errors.Is(err, task.ErrNotFound) {
			t.Error("the task was not forgotten: its outbox still holds something")
		}
		// 7 events, and the terminal one once more without its payload.
		if n := len(publisher.calls); n > 8 {
			t.Errorf("the Publisher was called %d times", n)
		}
	})
}

func TestRejectedIndexOutOfRangeIsAnOrdinaryError(t *testing.T) {
	bubble(t, func(t *testing.T) {
		tries := 0
		publisher := &logs{on: func(_ context.Context, _ string, events []task.Event) (int, error) {
			if tries++; tries <= 3 {
				return 0, &task.RejectedError{Index: []int{0, -1, len(events), 1 << 40}[tries], Err: errAway}
			}
			return len(events), nil
		}}
		b := serve(t, task.Options{Publisher: publisher}, quick)
		id := b.start(t, "quick", "")
		time.Sleep(time.Minute)
		synctest.Wait()
		if tries < 3 {
			t.Errorf("%d tries", tries)
		}
		if got := b.logs.names(t, id); got[len(got)-1] != "connection_close task_completed" {
			t.Errorf("log is %q", got)
		}
	})
}

// observer passes on what its fields ask for.
type observer struct {
	ended     func(task.Info)
	published func(events int, took time.Duration, err error)
	dropped   func(id string, reason error)
}

func (o observer) Ended(info task.Info) {
	if o.ended != nil {
		o.ended(info)
	}
}

func (o observer) Published(events int, took time.Duration, err error) {
	if o.published != nil {
		o.published(events, took, err)
	}
}

func (o observer) Dropped(id string, reason error) {
	if o.dropped != nil {
		o.dropped(id, reason)
	}
}

func TestObserverIsToldOfEachEndAndEachPublish(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mu sync.Mutex
		ended := map[string]task.State{}
		taken, failed := 0, 0
		var longest time.Duration
		var tries atomic.Int32
		b := serve(t, task.Options{
			Workers: 1,
			Publisher: &logs{on: func(_ context.Context, _ string, events []task.Event) (int, error) {
				time.Sleep(time.Second)
				if tries.Add(1) == 1 {
					return 0, errAway
				}
				return len(events), nil
			}},
			Observer: observer{
				ended: func(info task.Info) {
					mu.Lock()
					defer mu.Unlock()
					ended[info.ID] = info.Status
				},
				published: func(events int, took time.Duration, err error) {
					mu.Lock()
					defer mu.Unlock()
					longest = max(longest, took)
					if err != nil {
						failed++
					} else {
						taken += events
					}
				},
			},
		}, task.Demo())
		id := b.start(t, "demo_task", "")
		cancelled := b.start(t, "demo_task", "")
		if err := b.Cancel(t.Context(), cancelled); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if ended[id] != task.Completed || ended[cancelled] != task.Cancelled || len(ended) != 2 {
			t.Errorf("observer was told of the ends %v", ended)
		}
		if taken != 7+2 || failed != 1 || longest != time.Second {
			t.Errorf("observer was told of %d events, %d failures, %v at the longest", taken, failed, longest)
		}
	})
}

func TestBE24PendingTasksAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := serve(t, task.Options{Workers: 2, QueueLimit: 5}, obedient)
		var ids []string
		for range 2 {
			ids = append(ids, b.start(t, "obedient", ""))
			synctest.Wait()
		}
		for range 5 {
			ids = append(ids, b.start(t, "obedient", ""))
		}
		if _, err := b.Start(t.Context(), "obedient", nil); !errors.Is(err, task.ErrBusy) || !strings.Contains(err.Error(), "5 are pending") {
			t.Errorf("Start() = %v, want ErrBusy that says why", err)
		}
		if err := b.Cancel(t.Context(), ids[6]); err != nil {
			t.Fatal(err)
		}
		b.start(t, "obedient", "") // there is room again
	})
}

func TestBE24RememberedTasksAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		forgotten := &forgetter{}
		b := serve(t, task.Options{Workers: 2, MaxTasks: 4, OnDelete: forgotten.add}, quick, obedient)
		running := b.start(t, "obedient", "")
		var ids []string
		for range 5 {
			ids = append(ids, b.start(t, "quick", ""))
			synctest.Wait()
		}
		if got := forgotten.ids(); !slices.Equal(got, ids[:2]) {
			t.Errorf("forgotten are %q, want the two oldest finished, %q", got, ids[:2])
		}
		b.wantState(t, running, task.Running)
		if _, err := b.Get(t.Context(), ids[0]); !errors.Is(err, task.ErrNotFound) {
			t.Error("a forgotten task is still known")
		}
	})
}

func TestBE24NothingToForgetIsBusy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		door, publisher := gated()
		b := serve(t, task.Options{MaxTasks: 3, Publisher: publisher}, quick)
		var first string
		for range 3 {
			first = b.start(t, "quick", "")
			synctest.Wait()
		}
		b.wantState(t, first, task.Completed)
		// They are finished, but their logs are not written: none may be forgotten.
		if _, err := b.Start(t.Context(), "quick", nil); !errors.Is(err, task.ErrBusy) || !strings.Contains(err.Error(), "3 are remembered") {
			t.Errorf("Start() = %v, want ErrBusy that says why", err)
		}
		door.open.Store(true)
		time.Sleep(10 * time.Second)
		b.start(t, "quick", "")
	})
}

func TestBE24BytesAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		forgotten := &forgetter{}
		b := serve(t, task.Options{MaxBytes: 10_000, MaxParamsBytes: 4000, MaxResultBytes: 6000, OnDelete: forgotten.add},
			typeOf("returns", func(context.Context, *task.Run) (any, error) { return long(4000), nil }), obedient)
		var ids []string
		for range 3 {
			ids = append(ids, b.start(t, "returns", `{"x":"`+long(1000)+`"}`))
			synctest.Wait()
		}
		if got := forgotten.ids(); !slices.Equal(got, ids[:1]) {
			t.Errorf("forgotten are %q, want the oldest of three results of 4000 bytes, %q", got, ids[:1])
		}
		b.wantState(t, ids[2], task.Completed)

		for range 2 {
			b.start(t, "obedient", `{"x":"`+long(3900)+`"}`)
		}
		if _, err := b.Start(t.Context(), "obedient", json.RawMessage(`{"x":"`+long(3900)+`"}`)); !errors.Is(err, task.ErrBusy) {
			t.Errorf("Start() with no room for its parameters = %v, want ErrBusy", err)
		}
	})
}

func TestBE24OutboxesTogetherAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		door, publisher := gated()
		b := serve(t, task.Options{Workers: 2, UnpublishedBytes: 10_000, Publisher: publisher},
			typeOf("tells", func(_ context.Context, run *task.Run) (any, error) {
				return nil, run.Progress(task.Progress{Text: long(3000)})
			}))
		for range 10 {
			b.start(t, "tells", "")
		}
		time.Sleep(time.Minute)
		if counts := b.Counts(); counts[task.Completed] < 3 || counts[task.Completed] > 5 || counts[task.Running] != 0 {
			t.Errorf("while the Publisher is away: %v, want 3 to 5 completed and the rest pending", counts)
		}
		before := b.Counts()[task.Pending]
		for range 2 { // what is removed makes room, too
			items, _ := b.List(task.Filter{State: task.Completed})
			if err := b.Remove(t.Context(), items[0].ID); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if counts := b.Counts(); counts[task.Pending] >= before {
			t.Errorf("after two were removed: %v, want less than %d pending", counts, before)
		}
		door.open.Store(true)
		time.Sleep(time.Minute)
		if n := b.Counts()[task.Completed]; n != 8 {
			t.Errorf("%d tasks are completed, want all 8 that are left", n)
		}
	})
}
