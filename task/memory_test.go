package task

import (
	"errors"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// newTestMemory is a store for 20 pending tasks and the given number in all.
func newTestMemory(t *testing.T, pending, tasks int) *memory {
	t.Helper()
	o, err := Options{Publisher: nowhere{}, QueueLimit: pending, MaxTasks: tasks}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	return newMemory(o, func(string) {})
}

func TestMemoryDeletedRowsLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	m := newTestMemory(t, 10, 100)
	for i := range 10_000 {
		rec, err := m.Submit(t.Context(), Record{ID: newID(), State: Pending, Params: []byte("{}")})
		if err != nil {
			t.Fatal(err)
		}
		if err := rec.become(Cancelled, now()); err != nil {
			t.Fatal(err)
		}
		if rec, err = m.Update(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			_ = m.Acknowledge(t.Context(), rec, nil) // never fails
		}
		if err := m.Remove(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
		if len(m.order) > 10 || m.acknowledged.Len() > 0 || len(m.rows) > 0 || m.bytes != 0 || len(m.queues[Normal]) > 0 {
			t.Fatalf("after %d tasks: order %d, acknowledged %d, rows %d, bytes %d, queue %d",
				i, len(m.order), m.acknowledged.Len(), len(m.rows), m.bytes, len(m.queues[Normal]))
		}
	}
}

// TestMemoryAgainstAModel compares the store with a plain slice over random steps.
func TestMemoryAgainstAModel(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	m := newTestMemory(t, 20, 50)
	var model []Record // oldest first
	indexOf := func(id string) int { return slices.IndexFunc(model, func(r Record) bool { return r.ID == id }) }
	m.onDelete = func(id string) {
		i := indexOf(id)
		model = slices.Delete(model, i, i+1)
	}
	for step := range 5_000 {
		var some Record
		if len(model) > 0 {
			some = model[rng.IntN(len(model))]
		}
		switch rng.IntN(5) {
		case 0, 1:
			rec, err := m.Submit(t.Context(), Record{ID: newID(), Type: string('a' + rune(rng.IntN(3))), State: Pending, Params: []byte("{}")})
			if err == nil {
				model = append(model, rec)
			} else if !errors.Is(err, ErrBusy) {
				t.Fatal(err)
			}
		case 2:
			rec := some
			if rec.become(States()[rng.IntN(5)], now()) != nil {
				continue
			}
			changed, err := m.Update(t.Context(), rec)
			if err != nil {
				t.Fatalf("step %d: %v", step, err)
			}
			model[indexOf(some.ID)] = changed
			if _, err := m.Update(t.Context(), rec); !errors.Is(err, ErrConflict) {
				t.Fatalf("step %d: second write of the same revision: %v, want ErrConflict", step, err)
			}
		case 3:
			_ = m.Acknowledge(t.Context(), some, nil) // never fails
		case 4:
			if !some.State.Final() {
				continue
			}
			if err := m.Remove(t.Context(), some); err != nil {
				t.Fatalf("step %d: remove: %v", step, err)
			}
		}
		checkMemory(t, m, model)
	}
}

func checkMemory(t *testing.T, m *memory, model []Record) {
	t.Helper()
	byState := map[State]int{Pending: 0, Running: 0, Completed: 0, Failed: 0, Cancelled: 0}
	var all, typed []string
	for _, r := range slices.Backward(model) {
		byState[r.State]++
		all = append(all, r.ID)
		if r.Type == "a" && r.State == Pending {
			typed = append(typed, r.ID)
		}
	}
	if got := m.Counts(); !maps.Equal(got, byState) {
		t.Fatalf("counts are %v, want %v", got, byState)
	}
	ids := func(recs []Record) (ids []string) {
		for _, r := range recs {
			ids = append(ids, r.ID)
		}
		return ids
	}
	if got := ids(m.List(math.MaxUint64, Filter{}, 1000)); !slices.Equal(got, all) {
		t.Fatalf("List finds %d tasks, want %d in order", len(got), len(all))
	}
	if got := ids(m.List(math.MaxUint64, Filter{Type: "a", State: Pending}, 1000)); !slices.Equal(got, typed) {
		t.Fatalf("List of pending a finds %d tasks, want %d", len(got), len(typed))
	}
}

func TestCancelledTasksLeaveTheQueue(t *testing.T) {
	t.Parallel()
	s, err := New(Options{Publisher: nowhere{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Register(Demo()); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		info, err := s.Start(t.Context(), "demo_task", nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Cancel(t.Context(), info.ID); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(s.store.(*memory).queues[Normal]); n != 0 {
		t.Errorf("%d cancelled tasks are in the queue", n)
	}
}
