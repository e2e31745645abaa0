package task_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/task"
)

// inside runs f as the function of a task and returns the task's id.
func inside(t *testing.T, opts task.Options, f func(ctx context.Context, run *task.Run)) (*bundle, string) {
	t.Helper()
	b := serve(t, opts, typeOf("inside", func(ctx context.Context, run *task.Run) (any, error) {
		f(ctx, run)
		return nil, nil
	}))
	return b, b.start(t, "inside", "")
}

// progressData returns the data of the progress events of a task.
func (b *bundle) progressData(t *testing.T, id string) []string {
	t.Helper()
	var all []string
	for _, ev := range b.logs.of(id) {
		if nameOf(t, ev) == "progress_update" {
			_, data, _ := strings.Cut(string(ev.Data), `,"data":`)
			all = append(all, strings.TrimSuffix(data, "}"))
		}
	}
	return all
}

func TestProgressData(t *testing.T) {
	bubble(t, func(t *testing.T) {
		fields := map[string]any{"z": 1, "text": "loses", "a": []string{"<"}, "value": 9}
		b, id := inside(t, task.Options{}, func(_ context.Context, run *task.Run) {
			for _, p := range []task.Progress{
				{},
				{Text: "half", Value: new(0.5)},
				{Text: "back", Value: new(0.25)},
				{Text: "highest so far"},
				{Text: "fields", Value: new(1.0), Fields: fields},
				{Text: "only losers", Fields: map[string]any{"text": 1}},
				{Text: "bad \xff utf-8"},
			} {
				if err := run.Progress(p); err != nil {
					t.Errorf("Progress(%+v) = %v", p, err)
				}
			}
		})
		synctest.Wait()
		want := []string{
			`{"text":"","value":0}`,
			`{"text":"half","value":0.5}`,
			`{"text":"back","value":0.25}`,
			`{"text":"highest so far","value":0.5}`,
			`{"text":"fields","value":1,"a":["<"],"z":1}`,
			`{"text":"only losers","value":1}`,
			`{"text":"bad ` + "\ufffd" + ` utf-8","value":1}`,
		}
		got := b.progressData(t, id)
		if strings.Join(got, "\n") != strings.ReplaceAll(strings.Join(want, "\n"), "\ufffd", `\ufffd`) {
			t.Errorf("progress:\n got %s\nwant %s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if len(fields) != 4 {
			t.Errorf("Progress changed the caller's fields: %v", fields)
		}
		if last := b.info(t, id).Progress; last == nil || string(last.Data) != got[len(got)-1] || last.Value != 1 {
			t.Errorf("Info.Progress is %+v, want the last event's data", last)
		}
	})
}

func TestProgressRefusesAndGoesOn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, id := inside(t, task.Options{MaxEventBytes: 2048}, func(_ context.Context, run *task.Run) {
			for _, c := range []struct {
				p    task.Progress
				want error
			}{
				{task.Progress{Value: new(-0.01)}, task.ErrBadProgress},
				{task.Progress{Value: new(1.01)}, task.ErrBadProgress},
				{task.Progress{Value: new(math.NaN())}, task.ErrBadProgress},
				{task.Progress{Value: new(math.Inf(1))}, task.ErrBadProgress},
				{task.Progress{Fields: map[string]any{"f": func() {}}}, task.ErrBadProgress},
				{task.Progress{Text: long(2048), Value: new(0.9)}, task.ErrTooLarge},
				{task.Progress{Text: "ok"}, nil}, // with the value of none of those above
			} {
				if err := run.Progress(c.p); !errors.Is(err, c.want) {
					t.Errorf("Progress(%.40v) = %v, want %v", c.p, err, c.want)
				}
			}
		})
		synctest.Wait()
		if got := b.progressData(t, id); len(got) != 1 || got[0] != `{"text":"ok","value":0}` {
			t.Errorf("progress is %q, want the last one only", got)
		}
		b.wantState(t, id, task.Completed)
	})
}

func TestBE24FullOutboxHoldsTheTaskBack(t *testing.T) {
	for name, opts := range map[string]task.Options{
		"events": {OutboxEvents: 10},
		"bytes":  {OutboxBytes: 10 * 200, MaxEventBytes: 1024},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				reported := 0
				valve, publisher := gated()
				opts.Publisher = publisher
				b, id := inside(t, opts, func(_ context.Context, run *task.Run) {
					for range 50 {
						if err := run.Progress(task.Progress{Text: "step"}); err != nil {
							t.Errorf("Progress() = %v", err)
						}
						reported++
					}
				})
				time.Sleep(time.Minute)
				synctest.Wait()
				if reported < 5 || reported > 11 {
					t.Errorf("%d events were taken by an outbox for about 10", reported)
				}
				b.wantState(t, id, task.Running)
				valve.open.Store(true)
				time.Sleep(10 * time.Second)
				if got := b.progressData(t, id); len(got) != 50 {
					t.Errorf("%d progress events are in the log, want 50", len(got))
				}
				b.wantState(t, id, task.Completed)
			})
		})
	}
}

func TestLastEventsAlwaysFit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var refused error
		valve, publisher := gated()
		b, id := inside(t, task.Options{OutboxEvents: 1, Publisher: publisher}, func(_ context.Context, run *task.Run) {
			refused = run.Progress(task.Progress{Text: "no room"})
		})
		time.Sleep(time.Minute)
		if err := b.Cancel(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if !errors.Is(refused, task.ErrCancelled) {
			t.Errorf("Progress() that waited for room = %v, want ErrCancelled", refused)
		}
		valve.open.Store(true)
		time.Sleep(10 * time.Second)
		b.wantNames(t, id, "task_started", "task_cancelled", "connection_close task_cancelled")
	})
}

func TestProgressFromManyGoroutines(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const each, goroutines = 50, 8
		b, id := inside(t, task.Options{OutboxEvents: 3, BatchEvents: 2}, func(_ context.Context, run *task.Run) {
			var wg sync.WaitGroup
			for g := range goroutines {
				wg.Go(func() {
					for i := range each {
						if err := run.Progress(task.Progress{Fields: map[string]any{"g": g, "i": i}}); err != nil {
							t.Errorf("Progress() = %v", err)
						}
					}
				})
			}
			wg.Wait()
		})
		synctest.Wait()
		next := make([]int, goroutines)
		for _, data := range b.progressData(t, id) {
			var p struct{ G, I int }
			if err := json.Unmarshal([]byte(data), &p); err != nil {
				t.Fatal(err)
			}
			if p.I != next[p.G] {
				t.Errorf("goroutine %d: event %d, want %d", p.G, p.I, next[p.G])
			}
			next[p.G]++
		}
		for g, n := range next {
			if n != each {
				t.Errorf("goroutine %d: %d events, want %d", g, n, each)
			}
		}
	})
}

func TestProgressAfterTheFunctionReturnedIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var kept *task.Run
		b, id := inside(t, task.Options{}, func(_ context.Context, run *task.Run) { kept = run })
		synctest.Wait()
		if err := kept.Progress(task.Progress{Text: "late"}); err == nil {
			t.Error("Progress() after the end = nil, want an error")
		}
		b.wantNames(t, id, "task_started", "task_completed", "connection_close task_completed")
	})
}
