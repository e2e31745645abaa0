package backend

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/client"
	"tidegate/internal/wire"
)

func TestTheSweepClosesLogsThatNobodyWrites(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, func(o *Options) { o.Tasks.Timeout = 10 * time.Minute })
		send := func(id string, close bool) {
			b.gateway.mu.Lock()
			defer b.gateway.mu.Unlock()
			b.gateway.send(client.Message{Topic: "task:" + id, Event: &client.Event{Name: "task_event"}, Close: close})
		}
		send("gone", false)
		send("closed", true)
		b.gateway.send(client.Message{Topic: "version:x", Event: &client.Event{Name: "version"}})
		b.gateway.topic("task:empty")
		b.run(t)
		mine := b.start(t, "waiting")
		time.Sleep(9 * time.Minute)
		send("slow", false)
		time.Sleep(3*time.Minute + 30*time.Second)
		for topic, want := range map[string]string{
			"task:gone": "task_event task_failed connection_close", "task:closed": "task_event", "task:slow": "task_event",
			"task:empty": "", "version:x": "version",
		} {
			if got := b.gateway.kinds(topic); got != want {
				t.Errorf("%s = %q, want %q", topic, got, want)
			}
		}
		if got := b.gateway.kinds("task:" + mine); strings.Contains(got, "lost") {
			t.Errorf("the task of this process = %q", got)
		}
		var event struct {
			EventType string    `json:"event_type"`
			TaskID    string    `json:"task_id"`
			Timestamp time.Time `json:"timestamp"`
			Data      struct {
				Error string `json:"error"`
			} `json:"data"`
		}
		_, data, _ := strings.Cut(b.gateway.sent("task:gone")[1], " ")
		if err := json.Unmarshal([]byte(data), &event); err != nil || event.TaskID != "gone" ||
			event.Data.Error != "Task lost: the process that ran it is gone" || event.Timestamp.IsZero() {
			t.Errorf("event = %s, %v", data, err)
		}
		if n := b.metric(t, "tidegate_backend_tasks_swept_total"); n != 1 {
			t.Errorf("swept = %v, want 1", n)
		}
	})
}

func TestTheSweepSurvivesAGatewayThatIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil)
		b.gateway.mu.Lock()
		b.gateway.send(client.Message{Topic: "task:gone", Event: &client.Event{Name: "task_event"}})
		b.gateway.mu.Unlock()
		var away atomic.Bool
		away.Store(true)
		b.gateway.before = func(http.ResponseWriter, *http.Request) bool { return away.Load() }
		b.run(t)
		time.Sleep(20 * time.Minute)
		away.Store(false)
		time.Sleep(2 * time.Minute)
		if got := b.gateway.kinds("task:gone"); got != "task_event task_failed connection_close" {
			t.Errorf("log = %q", got)
		}
		if n := strings.Count(b.log.String(), "sweep of task logs"); n != 1 {
			t.Errorf("the failure was logged %d times, want once", n)
		}
	})
}

func TestARetrySetIsBoundedAndDoesEachOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		set := newRetrySet()
		for i := range maxRetrySet {
			if !set.add(fmt.Sprint(i)) {
				t.Fatalf("%d was refused", i)
			}
		}
		if set.add("one more") || !set.add("0") {
			t.Error("a full set takes what it has and nothing else")
		}
		ctx, cancel := context.WithCancel(t.Context())
		tries := map[string]int{}
		failures := 0
		go set.run(ctx, func(_ context.Context, id string) error {
			if tries[id]++; id == "7" && tries[id] < 4 {
				return wire.Errorf(503, wire.CodeDraining, "not now")
			}
			return nil
		}, func(string, error) { failures++ })
		time.Sleep(time.Minute)
		cancel()
		synctest.Wait()
		if len(tries) != maxRetrySet || tries["7"] != 4 || tries["8"] != 1 || failures != 1 {
			t.Errorf("%d ids, %d tries of 7, %d of 8, %d failures reported", len(tries), tries["7"], tries["8"], failures)
		}
	})
}
