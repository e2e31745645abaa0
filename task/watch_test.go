package task_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/task"
)

// gather watches a task to its end, or to an error.
func gather(ctx context.Context, svc *task.Service, id, after string) (events []task.Event, err error) {
	for ev, err := range svc.Watch(ctx, id, after) {
		if err != nil {
			return events, err
		}
		events = append(events, ev)
	}
	return events, nil
}

// watchable is a service whose events are kept in memory.
func watchable(t *testing.T, opts task.Options, log task.LogOptions, types ...task.Type) *bundle {
	t.Helper()
	opts.Publisher = task.NewLog(log)
	return serve(t, opts, types...)
}

// reporting reports n times, a second apart.
func reporting(n int) task.Type {
	return typeOf("reporting", func(_ context.Context, run *task.Run) (any, error) {
		for i := range n {
			if err := run.Progress(task.Progress{Text: fmt.Sprint(i)}); err != nil {
				return nil, err
			}
			time.Sleep(time.Second)
		}
		return n, nil
	})
}

func TestWatchYieldsAllEventsWheneverItBegins(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := watchable(t, task.Options{Timeout: time.Hour}, task.LogOptions{}, reporting(600))
		id := b.start(t, "reporting", "")
		var wg sync.WaitGroup
		logs := make([][]task.Event, 4)
		for i := range logs {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 250 * time.Second) // before, while, and after it runs
				var err error
				if logs[i], err = gather(t.Context(), b.Service, id, ""); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		ids := map[string]bool{}
		for i, ev := range logs[0] {
			ids[ev.ID] = true
			want := "progress_update"
			switch i {
			case 0:
				want = "task_started"
			case 601:
				want = "task_completed"
			case 602:
				want = "connection_close task_completed"
			}
			if got := nameOf(t, ev); got != want || want == "progress_update" && !strings.Contains(string(ev.Data), fmt.Sprintf(`"text":"%d"`, i-1)) {
				t.Errorf("event %d is %s", i, ev.Data)
			}
		}
		if len(ids) != 603 {
			t.Errorf("%d events with %d ids, want 603", len(logs[0]), len(ids))
		}
		for i, log := range logs[1:] {
			if !slices.EqualFunc(log, logs[0], func(a, b task.Event) bool { return a.ID == b.ID && string(a.Data) == string(b.Data) }) {
				t.Errorf("watcher %d saw %d other events", i+1, len(log))
			}
		}
		rest, err := gather(t.Context(), b.Service, id, logs[0][500].ID)
		if err != nil || len(rest) != 102 || rest[0].ID != logs[0][501].ID {
			t.Errorf("after event 500: %d events, %v", len(rest), err)
		}
		if rest, err := gather(t.Context(), b.Service, id, logs[0][602].ID); err != nil || len(rest) != 0 {
			t.Errorf("after the last event: %v, %v", rest, err)
		}
	})
}

func TestWatchReportsWhatIsNotHeldAnyMore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := watchable(t, task.Options{}, task.LogOptions{MaxEvents: 4}, reporting(10))
		id := b.start(t, "reporting", "")
		var first task.Event
		for ev, err := range b.Watch(t.Context(), id, "") {
			if err != nil {
				t.Fatal(err)
			}
			first = ev
			break
		}
		if _, err := b.Wait(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for _, after := range []string{first.ID, "nonsense", first.ID + "x", "1-1", strings.Replace(first.ID, "-1", "-99", 1)} {
			if got, err := gather(t.Context(), b.Service, id, after); !errors.Is(err, task.ErrHistoryLost) || len(got) != 0 {
				t.Errorf("Watch(after %q): %d events, %v; want ErrHistoryLost", after, len(got), err)
			}
		}
		if got, err := gather(t.Context(), b.Service, id, ""); err != nil || len(got) != 4 {
			t.Errorf("Watch of what is held: %d events, %v; want 4", len(got), err)
		}
	})
}

// TestWatchOfALogThatWasDroppedSeesItsEnd has the logs of two tasks not fit: the first
// is written again for who asks, and positions of before are of no use in it.
func TestWatchOfALogThatWasDroppedSeesItsEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := watchable(t, task.Options{}, task.LogOptions{TotalBytes: 1500}, reporting(5))
		first := b.start(t, "reporting", "")
		seen, err := gather(t.Context(), b.Service, first, "")
		if err != nil {
			t.Fatal(err)
		}
		second := b.start(t, "reporting", "")
		if _, err := gather(t.Context(), b.Service, second, ""); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		again, err := gather(t.Context(), b.Service, first, "")
		if err != nil {
			t.Fatal(err)
		}
		want := []task.Event{seen[0], seen[5], seen[6], seen[7]}
		if !slices.EqualFunc(again, want, func(a, b task.Event) bool { return string(a.Data) == string(b.Data) && a.ID != b.ID }) {
			t.Errorf("the log that was written again has %d events", len(again))
		}
		if got, err := gather(t.Context(), b.Service, first, seen[1].ID); !errors.Is(err, task.ErrHistoryLost) || len(got) != 0 {
			t.Errorf("Watch(a position of before): %d events, %v; want ErrHistoryLost", len(got), err)
		}
	})
}

func TestWatchEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := watchable(t, task.Options{Workers: 1}, task.LogOptions{}, obedient, quick)
		if _, err := gather(t.Context(), b.Service, "unknown", ""); !errors.Is(err, task.ErrNotFound) {
			t.Errorf("Watch of an unknown task: %v", err)
		}
		running := b.start(t, "obedient", "")
		pending := b.start(t, "quick", "") // has no events yet
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errAway)
		defer cancel()
		for _, id := range []string{running, pending} {
			if _, err := gather(ctx, b.Service, id, ""); !errors.Is(err, errAway) {
				t.Errorf("Watch whose context ends: %v", err)
			}
		}
		if err := b.Cancel(t.Context(), running); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if _, err := gather(t.Context(), b.Service, pending, ""); err != nil {
			t.Error(err)
		}
		if err := b.Remove(t.Context(), running); err != nil {
			t.Fatal(err)
		}
		if _, err := gather(t.Context(), b.Service, running, ""); !errors.Is(err, task.ErrNotFound) {
			t.Errorf("Watch of a task that was deleted: %v", err)
		}
	})
}

// slowWatch is a LogWatcher whose logs never get an event.
type slowWatch struct{ logs }

func (*slowWatch) Watch(ctx context.Context, _, _ string) iter.Seq2[task.Event, error] {
	return func(yield func(task.Event, error) bool) {
		<-ctx.Done()
		yield(task.Event{}, context.Cause(ctx))
	}
}

func TestWatchOfATaskThatIsDeletedMeanwhileEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := &slowWatch{}
		b := serve(t, task.Options{Publisher: w}, quick)
		id := b.start(t, "quick", "")
		synctest.Wait()
		ended := make(chan error, 1)
		go func() {
			_, err := gather(t.Context(), b.Service, id, "")
			ended <- err
		}()
		synctest.Wait()
		if err := b.Remove(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; !errors.Is(err, task.ErrNotFound) {
			t.Errorf("Watch ended with %v, want ErrNotFound", err)
		}
	})
}

func TestWatchNeedsALogWatcher(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := serve(t, task.Options{}, quick)
		if _, err := gather(t.Context(), b.Service, b.start(t, "quick", ""), ""); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("Watch() = %v, want ErrUnsupported", err)
		}
	})
}

func TestLogKeepsEachEventOnce(t *testing.T) {
	t.Parallel()
	log := task.NewLog(task.LogOptions{})
	events := []task.Event{
		{Key: "a:started", Data: []byte("1")}, {Key: "a:1:1", Data: []byte("2")}, {Key: "a:started", Data: []byte("1")},
		{Key: "a:end", Data: []byte("3")}, {Key: "a:end", Data: []byte("3")}, {Key: "a:close", Data: []byte("4"), Close: true},
		{Key: "a:close", Data: []byte("4"), Close: true}, {Key: "a:r1", Data: []byte("1")},
	}
	if err := log.Publish(t.Context(), "a", events); err != nil {
		t.Fatal(err)
	}
	var got []string
	for ev, err := range log.Watch(t.Context(), "a", "") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(ev.Data))
	}
	if strings.Join(got, "") != "1234" {
		t.Errorf("log is %q", got)
	}
	if terminal, closed, err := log.Ended(t.Context(), "a"); !terminal || !closed || err != nil {
		t.Errorf("Ended() = %v, %v, %v", terminal, closed, err)
	}
	if terminal, closed, err := log.Ended(t.Context(), "b"); terminal || closed || err != nil {
		t.Errorf("Ended(unknown) = %v, %v, %v", terminal, closed, err)
	}
}

func FuzzWatchPosition(f *testing.F) {
	log := task.NewLog(task.LogOptions{MaxEvents: 4})
	var events []task.Event
	for i := range 10 {
		events = append(events, task.Event{Key: fmt.Sprint("a:1:", i), Data: []byte(strconv.Itoa(i)), Close: i == 9})
	}
	if err := log.Publish(f.Context(), "a", events); err != nil {
		f.Fatal(err)
	}
	for ev, err := range log.Watch(f.Context(), "a", "") {
		if err != nil {
			f.Fatal(err)
		}
		f.Add(ev.ID)
	}
	for _, s := range []string{"", "-", "1-1", "-1--1", "x", "99999999999999999999-1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, after string) {
		last, known := 9, 0
		for ev, err := range log.Watch(t.Context(), "a", after) {
			if err != nil {
				if !errors.Is(err, task.ErrHistoryLost) || known > 0 {
					t.Errorf("Watch(after %q) = %v after %d events", after, err, known)
				}
				return
			}
			n, _ := strconv.Atoi(string(ev.Data))
			if known > 0 && n != last+1 || n < 6 || ev.ID == after {
				t.Errorf("Watch(after %q) yields event %d after %d", after, n, last)
			}
			last, known = n, known+1
		}
		if last != 9 {
			t.Errorf("Watch(after %q) ends after event %d", after, last)
		}
	})
}
