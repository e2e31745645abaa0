package backend

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/task"
)

// kinds are the event types, or the names of other events, in a topic.
func (g *fakeGateway) kinds(topic string) string {
	var kinds []string
	for _, line := range g.sent(topic) {
		name, data, _ := strings.Cut(line, " ")
		var e struct {
			Type string `json:"event_type"`
		}
		_ = json.Unmarshal([]byte(data), &e)
		if e.Type != "" {
			name = e.Type
		}
		kinds = append(kinds, name)
	}
	return strings.Join(kinds, " ")
}

func TestATaskWritesItsWholeLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil)
		b.run(t)
		id := b.start(t, "demo_task")
		time.Sleep(time.Second)
		want := "task_started progress_update progress_update progress_update progress_update task_completed connection_close"
		if got := b.gateway.kinds("task:" + id); got != want {
			t.Errorf("log = %s, want %s", got, want)
		}
		if n := b.metric(t, "tidegate_tasks_finished_total", "completed", "demo_task"); n != 1 {
			t.Errorf("finished = %v, want 1", n)
		}
		if n := b.metric(t, "tidegate_tasks", "completed"); n != 1 {
			t.Errorf("tasks = %v, want 1", n)
		}
	})
}

func TestBE7AnEventThatIsTooLargeDoesNotLoseTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		large := task.Type{Name: "large", Run: func(context.Context, *task.Run) (any, error) {
			return strings.Repeat("x", 10_000), nil
		}}
		b := setup(t, func(o *Options) { o.Types = []task.Type{large} })
		b.gateway.before = func(w http.ResponseWriter, r *http.Request) bool {
			if r.ContentLength < 5000 {
				return false // as usual
			}
			lines := slices.Repeat([]string{lineOK}, strings.Count(b.gateway.lastCall(), "\n"))
			return answering(append(lines, lineTooLarge)...)(w, r) // the result is in the last line
		}
		b.run(t)
		id := b.start(t, "large")
		time.Sleep(time.Second)
		if got := b.gateway.kinds("task:" + id); !strings.HasSuffix(got, "task_completed connection_close") {
			t.Errorf("log = %s", got)
		}
		if sent := b.gateway.sent("task:" + id); !strings.Contains(strings.Join(sent, "\n"), `"status_url":"/api/tasks/`+id+`"`) {
			t.Errorf("log = %s", sent)
		}
	})
}

// lose empties the gateway, as a restart does.
func (g *fakeGateway) lose() {
	g.mu.Lock()
	defer g.mu.Unlock()
	clear(g.topics)
	clear(g.log)
	clear(g.keys)
}

func TestALostLogIsWrittenAgainWhenSomebodyConnects(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil)
		b.run(t)
		id := b.start(t, "demo_task")
		time.Sleep(time.Second)
		b.gateway.lose()
		wantOK(t, b.connect("t1", "/api/sse/tasks?task_id="+id))
		wantOK(t, b.connect("t2", "/api/sse/tasks?task_id="+id))
		synctest.Wait()
		if got, want := b.gateway.kinds("task:"+id), "task_started progress_update task_completed connection_close"; got != want {
			t.Errorf("log = %s, want %s", got, want)
		}
	})
}

func TestALostLogIsWrittenAgainAlthoughTheGatewayIsAwayAtFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil)
		var away atomic.Bool
		b.gateway.before = func(_ http.ResponseWriter, r *http.Request) bool {
			return away.Load() && r.URL.Path == "/internal/send"
		}
		b.run(t)
		id := b.start(t, "demo_task")
		time.Sleep(time.Second)
		b.gateway.lose()
		away.Store(true)
		wantOK(t, b.connect("t1", "/api/sse/tasks?task_id="+id))
		time.Sleep(15 * time.Second)
		away.Store(false)
		time.Sleep(time.Minute)
		if got, want := b.gateway.kinds("task:"+id), "task_started progress_update task_completed connection_close"; got != want {
			t.Errorf("log = %s, want %s", got, want)
		}
	})
}

func TestARunningTaskIsLeftAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil)
		b.run(t)
		id := b.start(t, "waiting")
		synctest.Wait()
		wantOK(t, b.connect("t1", "/api/sse/tasks?task_id="+id))
		synctest.Wait()
		if got := b.gateway.kinds("task:" + id); got != "task_started" {
			t.Errorf("log = %s", got)
		}
	})
}

func TestBE16ATaskThatAnotherProcessWritesIsLeftAlone(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.gateway.topic("task:theirs").Appended = 3
	wantOK(t, b.connect("t1", "/api/sse/tasks?task_id=theirs"))
	if got := b.gateway.sent("task:theirs"); len(got) > 0 {
		t.Errorf("log = %s", got)
	}
}

// TestX11UnknownTasksAreNotWritten: their streams get the answer from the gateway, which
// stores nothing.
func TestX11UnknownTasksAreNotWritten(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	var query []string
	for i := range maxStreamTasks {
		query = append(query, fmt.Sprint("task_id=nobody", i))
	}
	wantOK(t, b.connect("t1", "/api/sse/stream?"+strings.Join(query, "&")))
	calls := b.gateway.called()
	if len(calls) != 1 || !strings.HasPrefix(calls[0], "POST /internal/subscribe ") {
		t.Fatalf("calls %.300q, want one subscribe", calls)
	}
	if len(b.gateway.topics) > 0 {
		t.Errorf("%d topics were asked for or made", len(b.gateway.topics))
	}
}

func TestATaskThatIsDeletedBeforeItsLogIsWrittenAgainIsNotFound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil)
		b.run(t)
		id := b.start(t, "demo_task")
		time.Sleep(time.Second)
		b.gateway.lose()
		if err := b.Tasks().Remove(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()               // its log is deleted
		b.gateway.topic("task:" + id) // a stream is at it
		b.logs.lost.add(id)
		synctest.Wait()
		if got := b.gateway.kinds("task:" + id); got != "error connection_close" {
			t.Errorf("log = %q", got)
		}
	})
}

func TestDeletedTasksTakeTheirLogsWithThem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, nil)
		b.run(t)
		id := b.start(t, "demo_task")
		time.Sleep(time.Second)
		if err := b.Tasks().Remove(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		b.gateway.mu.Lock()
		defer b.gateway.mu.Unlock()
		if n := b.gateway.topics["task:"+id].Appended; n != 0 {
			t.Errorf("the topic still has %d events", n)
		}
	})
}
