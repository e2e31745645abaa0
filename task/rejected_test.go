package task_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
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
			t.Errorf("the observer got %q, want %q", dropped, want)
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
			t.Error("the task was not deleted: its outbox still holds something")
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
