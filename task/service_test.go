package task_test

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tidegate/task"
)

func TestLogOfATaskByteForByte(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := serve(t, task.Options{}, task.Demo(), task.Failing())
		demo := b.start(t, "demo_task", `{"steps":2,"delay":0.5,"message":"<hey> & \u2028"}`)
		failing := b.start(t, "failing_task", "")
		time.Sleep(time.Minute)

		for _, c := range []struct {
			id   string
			want []string
		}{
			{demo, []string{
				`{"event_type":"task_started","task_id":"ID","timestamp":"2000-01-01T00:00:00.000000Z","data":null}`,
				`{"event_type":"progress_update","task_id":"ID","timestamp":"2000-01-01T00:00:00.000000Z","data":{"text":"Starting test task","value":0}}`,
				`{"event_type":"progress_update","task_id":"ID","timestamp":"2000-01-01T00:00:00.500000Z","data":{"text":"Step 1/2","value":0.5}}`,
				`{"event_type":"progress_update","task_id":"ID","timestamp":"2000-01-01T00:00:01.000000Z","data":{"text":"Step 2/2","value":1}}`,
				`{"event_type":"task_completed","task_id":"ID","timestamp":"2000-01-01T00:00:01.000000Z","data":{"message":"<hey> & \u2028","steps_completed":2,"status":"success"}}`,
				`{"reason":"task_completed"}`,
			}},
			{failing, []string{
				`{"event_type":"task_started","task_id":"ID","timestamp":"2000-01-01T00:00:00.000000Z","data":null}`,
				`{"event_type":"progress_update","task_id":"ID","timestamp":"2000-01-01T00:00:00.000000Z","data":{"text":"Starting failing task","value":0}}`,
				`{"event_type":"task_failed","task_id":"ID","timestamp":"2000-01-01T00:00:00.100000Z","data":{"error":"Test error"}}`,
				`{"reason":"task_failed"}`,
			}},
		} {
			var got []string
			for _, ev := range b.logs.of(c.id) {
				got = append(got, strings.ReplaceAll(string(ev.Data), c.id, "ID"))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("data (-want +got):\n%s", diff)
			}
			b.wantKeys(t, c.id)
		}
	})
}

func TestInfoEncodesAsStatusEndpointsAnswer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := serve(t, task.Options{Workers: 1}, task.Demo(), task.Failing())
		demo := b.start(t, "demo_task", `{"steps":1}`)
		failing := b.start(t, "failing_task", `{"error_message":"no"}`)

		check := func(id, want string) {
			t.Helper()
			got, err := json.Marshal(b.info(t, id))
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.ReplaceAll(string(got), id, "ID"); got != want {
				t.Errorf("info:\n got %s\nwant %s", got, want)
			}
		}
		synctest.Wait()
		check(demo, `{"task_id":"ID","type":"demo_task","status":"running","start_time":"2000-01-01T00:00:00Z","end_time":null,"result":null,"error":null,`+
			`"progress":{"text":"Starting test task","value":0},"created_at":"2000-01-01T00:00:00Z"}`)
		check(failing, `{"task_id":"ID","type":"failing_task","status":"pending","start_time":null,"end_time":null,"result":null,"error":null,`+
			`"progress":null,"created_at":"2000-01-01T00:00:00Z"}`)
		time.Sleep(time.Second)
		check(demo, `{"task_id":"ID","type":"demo_task","status":"completed","start_time":"2000-01-01T00:00:00Z","end_time":"2000-01-01T00:00:00.1Z",`+
			`"result":{"message":"default message","steps_completed":1,"status":"success"},"error":null,`+
			`"progress":{"text":"Step 1/1","value":1},"created_at":"2000-01-01T00:00:00Z"}`)
		check(failing, `{"task_id":"ID","type":"failing_task","status":"failed","start_time":"2000-01-01T00:00:00.1Z","end_time":"2000-01-01T00:00:00.2Z",`+
			`"result":null,"error":"no","progress":{"text":"Starting failing task","value":0},"created_at":"2000-01-01T00:00:00Z"}`)
	})
}

func TestInfoSurvivesEncodingAndDecoding(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := serve(t, task.Options{}, typeOf("one", func(_ context.Context, run *task.Run) (any, error) {
			return []int{1}, run.Progress(task.Progress{Text: "a", Value: new(0.25), Fields: map[string]any{"n": 1}})
		}))
		id := b.start(t, "one", "")
		synctest.Wait()
		want := b.info(t, id)
		encoded, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got task.Info
		if err := json.Unmarshal(encoded, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("info (-want +got):\n%s", diff)
		}
	})
}

func TestStartRefuses(t *testing.T) {
	t.Parallel()
	b := prepare(t, task.Options{MaxParamsBytes: 100}, task.Demo(), task.Failing())
	for _, c := range []struct {
		typ, params string
		want        error
		says        string
	}{
		{"demo", ``, task.ErrUnknownType, `"demo"`},
		{"", ``, task.ErrUnknownType, `""`},
		{"demo_task", `[]`, task.ErrBadParams, "JSON object"},
		{"demo_task", `"x"`, task.ErrBadParams, "JSON object"},
		{"demo_task", `{`, task.ErrBadParams, "JSON object"},
		{"demo_task", `{} {}`, task.ErrBadParams, "JSON object"},
		{"demo_task", `{"message":"` + long(100) + `"}`, task.ErrBadParams, "114 bytes, may be 100"},
		{"demo_task", `{"stepz":1}`, task.ErrBadParams, "stepz"},
		{"demo_task", `{"steps":2.5}`, task.ErrBadParams, "steps must be a whole number"},
		{"demo_task", `{"steps":"2"}`, task.ErrBadParams, "steps must be a whole number, not string"},
		{"demo_task", `{"steps":1000001}`, task.ErrBadParams, "may be 1000000"},
		{"demo_task", `{"delay":-0.1}`, task.ErrBadParams, "delay is -0.1"},
		{"demo_task", `{"delay":3601}`, task.ErrBadParams, "delay is 3601"},
		{"demo_task", `{"delay":"1"}`, task.ErrBadParams, "delay must be a number"},
		{"demo_task", `{"message":1}`, task.ErrBadParams, "message must be a string"},
		{"failing_task", `{"delay":-1}`, task.ErrBadParams, "delay is -1"},
		{"failing_task", `{"message":"x"}`, task.ErrBadParams, "message"},
	} {
		_, err := b.Start(t.Context(), c.typ, json.RawMessage(c.params))
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("Start(%q, %s) = %v, want %v saying %q", c.typ, c.params, err, c.want, c.says)
		}
	}
	if n := b.Counts()[task.Pending]; n != 0 {
		t.Errorf("%d refused tasks are pending", n)
	}
}

func TestParamsAreTheTasksOwn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var got []string
		b := serve(t, task.Options{Workers: 1}, typeOf("echo", func(_ context.Context, run *task.Run) (any, error) {
			got = append(got, string(run.Params()))
			return nil, nil
		}))
		mine := json.RawMessage(` {"a":1} `)
		for _, params := range []json.RawMessage{nil, json.RawMessage(""), json.RawMessage(" null "), mine} {
			if _, err := b.Start(t.Context(), "echo", params); err != nil {
				t.Fatal(err)
			}
		}
		copy(mine, "XXXXXXXXX")
		synctest.Wait()
		if want := []string{"{}", "{}", "{}", `{"a":1}`}; !slices.Equal(got, want) {
			t.Errorf("params are %q, want %q", got, want)
		}
	})
}

func TestIDsAreRandomUUIDs(t *testing.T) {
	t.Parallel()
	b := prepare(t, task.Options{}, quick)
	form := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	seen := map[string]bool{}
	for range 1000 {
		id := b.start(t, "quick", "")
		if !form.MatchString(id) || seen[id] {
			t.Fatalf("id %q is not a new version 4 UUID", id)
		}
		seen[id] = true
	}
}

func TestRegisterRefuses(t *testing.T) {
	t.Parallel()
	b := prepare(t, task.Options{}, quick)
	for _, typ := range []task.Type{
		{Run: quick.Run},
		{Name: "no function"},
		{Name: "negative", Run: quick.Run, Timeout: -1},
		quick,
	} {
		if err := b.Register(typ); err == nil {
			t.Errorf("Register(%q) = nil, want an error", typ.Name)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if err := b.Register(typeOf("late", quick.Run)); err == nil {
		t.Error("Register after Run = nil, want an error")
	}
	if err := b.Run(ctx); err == nil {
		t.Error("second Run = nil, want an error")
	}
	if got := b.Types(); !slices.Equal(got, []string{"quick"}) {
		t.Errorf("Types() = %q", got)
	}
}

func TestOptionsReportAllThatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := task.New(task.Options{Workers: -1, Retention: -1, MaxEventBytes: 10, MaxBytes: 5, StatusPath: long(257)})
	if err == nil {
		t.Fatal("New() = nil, want an error")
	}
	for _, want := range []string{"Workers", "Retention", "MaxEventBytes", "MaxBytes", "StatusPath"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error does not name %s: %v", want, err)
		}
	}
	if _, err := task.New(task.Options{Publisher: &logs{}, OutboxBytes: 1 << 10}); err == nil {
		t.Error("an outbox smaller than an event is accepted")
	}
}

func TestListPagesNewestFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := serve(t, task.Options{}, quick, obedient)
		var want []string
		for i := range 2500 {
			typ := "quick"
			if i%5 == 0 {
				typ = "obedient"
			}
			want = append(want, b.start(t, typ, ""))
		}
		slices.Reverse(want)
		synctest.Wait() // until all workers are taken by obedient ones

		var got []string
		pages := 0
		for f := (task.Filter{Limit: 99}); ; pages++ {
			items, next := b.List(f)
			for _, info := range items {
				got = append(got, info.ID)
			}
			if pages == 3 {
				b.start(t, "quick", "") // does not move the pages
			}
			if f.After = next; next == "" {
				break
			}
		}
		if !slices.Equal(got, want) || pages != 25 {
			t.Errorf("%d pages list %d tasks, want 25 and %d in order", pages, len(got), len(want))
		}

		for _, c := range []struct {
			f    task.Filter
			n    int
			more bool
		}{
			{task.Filter{}, 100, true},
			{task.Filter{Limit: -1}, 100, true},
			{task.Filter{Limit: 5000}, 1000, true},
			{task.Filter{Type: "obedient", Limit: 500}, 500, false},
			{task.Filter{Type: "obedient", Limit: 499}, 499, true},
			{task.Filter{Type: "obedient", State: task.Running, Limit: 500}, 4, false},
			{task.Filter{Type: "none"}, 0, false},
			{task.Filter{After: "?"}, 0, false},
			{task.Filter{After: "0"}, 0, false},
		} {
			items, next := b.List(c.f)
			if len(items) != c.n || (next != "") != c.more {
				t.Errorf("List(%+v) has %d items, next %q; want %d, more %v", c.f, len(items), next, c.n, c.more)
			}
		}
	})
}
