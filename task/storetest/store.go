package storetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tidegate/task"
)

// storeTests are about records.
var storeTests = map[string]func(*testing.T, Suite){
	"RecordsAreKeptWhole":             recordsAreKeptWhole,
	"LargePartsAreKeptWhole":          largePartsAreKeptWhole,
	"SubmitRefusesAnIDThatIsTaken":    submitRefusesAnIDThatIsTaken,
	"SubmitRefusesWhatIsBeyondABound": submitRefusesWhatIsBeyondABound,
	"UpdateComparesRevisions":         updateComparesRevisions,
	"OneOfManyUpdatesWins":            oneOfManyUpdatesWins,
	"RemoveComparesRevisions":         removeComparesRevisions,
	"UnknownTasksAreNotFound":         unknownTasksAreNotFound,
	"PeekIsNotBehindWhatWasWritten":   peekIsNotBehindWhatWasWritten,
	"ListIsNewestFirst":               listIsNewestFirst,
	"CountsHaveEveryState":            countsHaveEveryState,
	"FinalTasksAreDeletedInTime":      finalTasksAreDeletedInTime,
}

// same reports whether two records say the same, but for the revision and the parts
// that one of them leaves out.
func same(a, b task.Record) bool {
	a.Revision, b.Revision = 0, 0
	encode := func(rec task.Record) string {
		data, err := json.Marshal(rec)
		if err != nil {
			return err.Error()
		}
		return string(data)
	}
	return encode(a) == encode(b)
}

func recordsAreKeptWhole(t *testing.T, s Suite) {
	r := open(t, s, Bounds{})
	rec := record("whole")
	rec.Key, rec.Content = "order <1>\x00é", "0123abcd"
	rec.Priority, rec.RunAt = task.High, stamp().Add(time.Hour)
	stored := r.submit(t, rec)
	if stored.Seq == 0 || stored.Revision == 0 {
		t.Errorf("Submit returned Seq %d and Revision %d", stored.Seq, stored.Revision)
	}
	rec.Seq = stored.Seq
	if !same(rec, stored) {
		t.Errorf("Submit returned\n%+v, want\n%+v", stored, rec)
	}
	running := stored
	running.State, running.Run, running.Attempt, running.MaxAttempts = task.Running, 3, 2, 5
	running.Worker, running.Cancel = "worker-1", true
	running.Started, running.Deadline = stamp(), stamp().Add(time.Minute)
	running.Progress = &task.ProgressInfo{Text: "<half>", Value: 0.5, Data: json.RawMessage(`{"text":"<half>","value":0.5,"n":[1,2.50]}`)}
	running.ProgressAt = stamp()
	completed := running
	completed.State, completed.Params, completed.Worker, completed.Cancel, completed.Deadline = task.Completed, nil, "", false, time.Time{}
	completed.Result, completed.Ended, completed.Retention = json.RawMessage(`{"text":"<é> & \u2028","n":[1,2.50]}`), stamp(), time.Hour
	for _, next := range []task.Record{running, completed} {
		next.Revision = stored.Revision
		stored = r.update(t, next)
		if !same(next, stored) {
			t.Errorf("Update returned\n%+v, want\n%+v", stored, next)
		}
		loaded, err := r.Load(within(t), rec.ID)
		if err != nil || !same(next, loaded) || loaded.Revision != stored.Revision {
			t.Errorf("Load returned\n%+v, %v, want\n%+v", loaded, err, stored)
		}
	}
	if f := reflect.TypeFor[task.Record]().NumField(); f != recordFields {
		t.Errorf("task.Record has %d fields, this test knows %d", f, recordFields)
	}
}

// recordFields is how many fields a record has, so that a new one is not overlooked.
const recordFields = 25

func largePartsAreKeptWhole(t *testing.T, s Suite) {
	r := open(t, s, Bounds{})
	text := `"` + strings.Repeat("<é\\n>", 200_000) + `"`
	rec := record("large")
	rec.Params = json.RawMessage(`{"text":` + text + `}`)
	stored := r.submit(t, rec)
	if loaded, err := r.Load(within(t), rec.ID); err != nil || !bytes.Equal(loaded.Params, rec.Params) {
		t.Errorf("Load returned %d bytes of params, %v; want %d", len(loaded.Params), err, len(rec.Params))
	}
	stored.State, stored.Params = task.Completed, nil
	stored.Result, stored.Ended, stored.Retention = json.RawMessage(text), stamp(), time.Hour
	r.update(t, stored)
	if loaded, err := r.Load(within(t), rec.ID); err != nil || string(loaded.Result) != text || loaded.Partial {
		t.Errorf("Load returned %d bytes of result, %v; want %d", len(loaded.Result), err, len(text))
	}
}

func submitRefusesAnIDThatIsTaken(t *testing.T, s Suite) {
	r := open(t, s, Bounds{})
	first := r.submit(t, record("twice"))
	second := record("twice")
	second.Type = "other"
	if _, err := r.Submit(within(t), second); !errors.Is(err, task.ErrExists) {
		t.Errorf("second Submit = %v, want ErrExists", err)
	}
	if loaded, err := r.Load(within(t), "twice"); err != nil || !same(loaded, first) {
		t.Errorf("after it the record is %+v, %v; want %+v", loaded, err, first)
	}
}

func submitRefusesWhatIsBeyondABound(t *testing.T, s Suite) {
	r := open(t, s, Bounds{MaxPending: 3})
	first := r.submit(t, record("1"))
	r.submit(t, record("2"))
	r.submit(t, record("3"))
	if _, err := r.Submit(within(t), record("4")); !errors.Is(err, task.ErrBusy) {
		t.Errorf("Submit of one too many = %v, want ErrBusy", err)
	}
	if _, err := r.Load(within(t), "4"); !errors.Is(err, task.ErrNotFound) {
		t.Errorf("Load of what was refused = %v, want ErrNotFound", err)
	}
	r.finish(t, first, time.Hour)
	r.submit(t, record("4"))
}

func updateComparesRevisions(t *testing.T, s Suite) {
	r := open(t, s, Bounds{})
	first := r.submit(t, record("compared"))
	second := first
	second.State, second.Run, second.Started = task.Running, 1, stamp()
	second = r.update(t, second)
	if second.Revision == first.Revision {
		t.Errorf("both versions have revision %d", first.Revision)
	}
	first.State = task.Cancelled
	if _, err := r.Update(within(t), first); !errors.Is(err, task.ErrConflict) {
		t.Errorf("Update of an old version = %v, want ErrConflict", err)
	}
	if loaded, err := r.Load(within(t), "compared"); err != nil || !same(loaded, second) || loaded.Revision != second.Revision {
		t.Errorf("after it the record is %+v, %v; want %+v", loaded, err, second)
	}
}

func oneOfManyUpdatesWins(t *testing.T, s Suite) {
	r := open(t, s, Bounds{})
	rec := r.submit(t, record("contended"))
	for range 10 {
		var won atomic.Int64
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				next := rec
				next.State, next.Worker, next.Run = task.Running, fmt.Sprint("worker-", i), rec.Run+1
				_, err := r.Update(within(t), next)
				if err == nil {
					won.Add(1)
				} else if !errors.Is(err, task.ErrConflict) {
					t.Errorf("Update = %v, want ErrConflict", err)
				}
			})
		}
		wg.Wait()
		var err error
		if rec, err = r.Load(within(t), "contended"); err != nil || won.Load() != 1 {
			t.Fatalf("%d updates won, then Load = %v", won.Load(), err)
		}
	}
}

func removeComparesRevisions(t *testing.T, s Suite) {
	r := open(t, s, Bounds{})
	old := r.submit(t, record("removed"))
	rec := r.finish(t, old, time.Hour)
	if err := r.Remove(within(t), old); !errors.Is(err, task.ErrConflict) {
		t.Errorf("Remove of an old version = %v, want ErrConflict", err)
	}
	if err := r.Remove(within(t), rec); err != nil {
		t.Fatalf("Remove = %v", err)
	}
	if id := receive(t, r.deleted, "Hooks.Deleted"); id != "removed" {
		t.Errorf("Hooks.Deleted was called for %q", id)
	}
	if err := r.Remove(within(t), rec); !errors.Is(err, task.ErrNotFound) {
		t.Errorf("second Remove = %v, want ErrNotFound", err)
	}
	if _, err := r.Load(within(t), "removed"); !errors.Is(err, task.ErrNotFound) {
		t.Errorf("Load = %v, want ErrNotFound", err)
	}
	if _, ok := r.Peek("removed"); ok || len(r.List(math.MaxUint64, task.Filter{}, 10)) != 0 {
		t.Error("Peek and List have the task still")
	}
}

func unknownTasksAreNotFound(t *testing.T, s Suite) {
	r := open(t, s, Bounds{})
	r.submit(t, record("known"))
	for _, id := range []string{"", "unknown", "a.b", ">", "*", "known ", strings.Repeat("x", 1000)} {
		rec := record(id)
		rec.Revision = 1
		if _, err := r.Load(within(t), id); !errors.Is(err, task.ErrNotFound) {
			t.Errorf("Load(%.20q) = %v, want ErrNotFound", id, err)
		}
		if _, err := r.Update(within(t), rec); !errors.Is(err, task.ErrNotFound) {
			t.Errorf("Update(%.20q) = %v, want ErrNotFound", id, err)
		}
		if err := r.Remove(within(t), rec); !errors.Is(err, task.ErrNotFound) {
			t.Errorf("Remove(%.20q) = %v, want ErrNotFound", id, err)
		}
		if _, ok := r.Peek(id); ok {
			t.Errorf("Peek(%.20q) finds a task", id)
		}
	}
}

func peekIsNotBehindWhatWasWritten(t *testing.T, s Suite) {
	r := open(t, s, Bounds{})
	for i := range 50 {
		rec := r.submit(t, record(fmt.Sprint(i)))
		for run := range 3 {
			if got, ok := r.Peek(rec.ID); !ok || got.Run != run || got.State != rec.State || got.Seq != rec.Seq {
				t.Fatalf("Peek = %+v, %v; want %+v", got, ok, rec)
			}
			if got := r.List(math.MaxUint64, task.Filter{}, 1); len(got) != 1 || got[0].ID != rec.ID || got[0].Run != run {
				t.Fatalf("List = %+v; want %+v", got, rec)
			}
			rec.State, rec.Run = task.Running, run+1
			rec = r.update(t, rec)
		}
	}
}

func listIsNewestFirst(t *testing.T, s Suite) {
	r := open(t, s, Bounds{})
	var all []string
	for i := range 60 {
		rec := record(fmt.Sprint(i))
		rec.Type = []string{"work", "play"}[i%2]
		rec = r.submit(t, rec)
		if i%3 == 0 {
			rec.State, rec.Run = task.Running, 1
			r.update(t, rec)
		}
		all = append(all, rec.ID)
	}
	slices.Reverse(all)
	var got []string
	for before := uint64(math.MaxUint64); ; {
		page := r.List(before, task.Filter{}, 7)
		if len(page) == 0 {
			break
		}
		got = append(got, ids(page)...)
		before = page[len(page)-1].Seq
	}
	if !slices.Equal(got, all) {
		t.Errorf("pages list %q, want %q", got, all)
	}
	for _, c := range []struct {
		f    task.Filter
		want int
	}{
		{task.Filter{Type: "play"}, 30}, {task.Filter{State: task.Running}, 20}, {task.Filter{State: task.Running, Type: "work"}, 10},
		{task.Filter{Type: "none"}, 0}, {task.Filter{State: task.Failed}, 0},
	} {
		if got := r.List(math.MaxUint64, c.f, 100); len(got) != c.want {
			t.Errorf("List(%+v) has %d records, want %d", c.f, len(got), c.want)
		}
	}
}

func countsHaveEveryState(t *testing.T, s Suite) {
	r := open(t, s, Bounds{})
	want := map[task.State]int{}
	for i, state := range task.States() {
		for n := range i + 1 {
			rec := r.submit(t, record(fmt.Sprint(state, "-", n)))
			if state != task.Pending {
				rec.State, rec.Started = task.Running, stamp()
				rec = r.update(t, rec)
			}
			if state.Final() {
				rec.State, rec.Ended, rec.Retention = state, stamp(), time.Hour
				r.update(t, rec)
			}
			want[state]++
		}
	}
	if got := r.Counts(); !reflect.DeepEqual(got, want) {
		t.Errorf("Counts = %v, want %v", got, want)
	}
	empty := open(t, s, Bounds{})
	if got := empty.Counts(); len(got) != len(want) || got[task.Pending] != 0 {
		t.Errorf("Counts of no tasks = %v, want a 0 for every state", got)
	}
}

func finalTasksAreDeletedInTime(t *testing.T, s Suite) {
	r := open(t, s, Bounds{Retention: time.Second})
	stays := r.submit(t, record("stays"))
	rec := r.finish(t, r.submit(t, record("goes")), time.Second)
	if id := receive(t, r.deleted, "Hooks.Deleted"); id != rec.ID {
		t.Errorf("Hooks.Deleted was called for %q, want %q", id, rec.ID)
	}
	if since := time.Since(rec.Ended); since < time.Second {
		t.Errorf("a task is deleted %v after its end, want 1s or more", since)
	}
	if _, err := r.Load(within(t), rec.ID); !errors.Is(err, task.ErrNotFound) {
		t.Errorf("Load = %v, want ErrNotFound", err)
	}
	if loaded, err := r.Load(context.Background(), stays.ID); err != nil || !same(loaded, stays) {
		t.Errorf("a task that is not over is %+v, %v", loaded, err)
	}
}
