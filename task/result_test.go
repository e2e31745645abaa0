package task_test

import (
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/task"
)

func TestBE21NoStackTraceReachesTheLog(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := serve(t, task.Options{},
			typeOf("panics", func(context.Context, *task.Run) (any, error) { panic("secret of the inside") }),
			typeOf("nil panic", func(context.Context, *task.Run) (any, error) { panic(nil) }),
			typeOf("goes", func(context.Context, *task.Run) (any, error) { runtime.Goexit(); return nil, nil }),
			typeOf("encodes", func(context.Context, *task.Run) (any, error) { return panicsWhenEncoded{}, nil }),
		)
		for _, typ := range b.Types() {
			id := b.start(t, typ, "")
			synctest.Wait()
			info := b.info(t, id)
			if info.Status != task.Failed || info.Error == nil || *info.Error != "internal error" {
				t.Errorf("%s: task is %s, error %v; want failed, internal error", typ, info.Status, info.Error)
			}
			b.wantNames(t, id, "task_started", "task_failed", "connection_close task_failed")
			if data := string(b.logs.of(id)[1].Data); !strings.HasSuffix(data, `"data":{"error":"internal error"}}`) {
				t.Errorf("%s: event is %s", typ, data)
			}
		}
		if n := b.Counts()[task.Failed]; n != 4 {
			t.Errorf("%d tasks failed, want 4", n)
		}
	})
}

type panicsWhenEncoded struct{}

func TestResultThatCannotBeKeptFailsTheTask(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := serve(t, task.Options{MaxResultBytes: 100},
			typeOf("channel", func(context.Context, *task.Run) (any, error) { return make(chan int), nil }),
			typeOf("large", func(context.Context, *task.Run) (any, error) { return long(99), nil }),
			typeOf("empty error", func(context.Context, *task.Run) (any, error) { return nil, errors.New("") }),
			typeOf("large error", func(context.Context, *task.Run) (any, error) { return nil, errors.New(long(101)) }),
		)
		for typ, want := range map[string]string{
			"channel":     "result cannot be encoded: json: unsupported type: chan int",
			"large":       "result has 101 bytes, may have 100",
			"empty error": "task failed",
			"large error": long(100),
		} {
			id := b.start(t, typ, "")
			synctest.Wait()
			if info := b.info(t, id); info.Error == nil || *info.Error != want {
				t.Errorf("%s: task is %s, error %v; want %q", typ, info.Status, info.Error, want)
			}
		}
	})
}

func TestResultIsPassedAsItIs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, c := range []struct {
			result any
			want   string
		}{
			{nil, "null"},
			{7, "7"},
			{"<&>", `"<&>"`},
			{json.RawMessage("{\n \"a\": [1,\n2] }"), `{"a":[1,2]}`},
			{(*int)(nil), "null"},
		} {
			b := serve(t, task.Options{}, typeOf("returns", func(context.Context, *task.Run) (any, error) { return c.result, nil }))
			id := b.start(t, "returns", "")
			synctest.Wait()
			if data := string(b.logs.of(id)[1].Data); !strings.HasSuffix(data, `"data":`+c.want+`}`) {
				t.Errorf("event is %s, want data %s", data, c.want)
			}
			if got := b.info(t, id).Result; string(got) != c.want && (got != nil || c.want != "null") {
				t.Errorf("Info.Result is %s, want %s", got, c.want)
			}
		}
	})
}

func TestDelayZeroTakesNoTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := serve(t, task.Options{}, task.Demo(), task.Failing())
		begun := time.Now()
		ids := map[string]task.State{
			b.start(t, "demo_task", `{"delay":0,"steps":1000}`):                 task.Completed,
			b.start(t, "demo_task", `{"delay":3600,"steps":0}`):                 task.Completed,
			b.start(t, "demo_task", `{"delay":3600,"steps":-1}`):                task.Completed,
			b.start(t, "failing_task", `{"delay":0,"error_message":"at once"}`): task.Failed,
		}
		synctest.Wait()
		for id, want := range ids {
			b.wantState(t, id, want)
			if end := b.info(t, id).EndTime; end == nil || !end.Equal(begun) {
				t.Errorf("ended at %v, want %v", end, begun)
			}
		}
	})
}

func TestDemoTasksCanBeCancelledBetweenSteps(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := serve(t, task.Options{Workers: 1}, task.Demo(), task.Failing(), quick)
		for _, typ := range []string{"demo_task", "failing_task"} {
			id := b.start(t, typ, `{"delay":3600}`)
			next := b.start(t, "quick", "")
			synctest.Wait()
			if err := b.Cancel(t.Context(), id); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			b.wantState(t, next, task.Completed) // it returned at once
		}
	})
}
