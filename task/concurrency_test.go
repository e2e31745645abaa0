package task_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/task"
)

// runCounter notes how many runs of each type there are at once, and their order.
type runCounter struct {
	mu    sync.Mutex
	now   map[string]int
	most  map[string]int
	order []string
}

// typeOf makes a type whose runs take a second.
func (c *runCounter) typeOf(name string, concurrency int) task.Type {
	c.now, c.most = map[string]int{}, map[string]int{}
	return task.Type{Name: name, Concurrency: concurrency, Run: func(_ context.Context, run *task.Run) (any, error) {
		c.add(name, run.ID(), 1)
		defer c.add(name, "", -1)
		time.Sleep(time.Second)
		return nil, nil
	}}
}

func (c *runCounter) add(name, id string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now[name] += n
	c.most[name] = max(c.most[name], c.now[name])
	if id != "" {
		c.order = append(c.order, id)
	}
}

func TestConcurrencyOfATypeIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := &runCounter{}
		b := serve(t, task.Options{Workers: 8}, c.typeOf("free", 0), c.typeOf("two", 2), c.typeOf("one", 1))
		for range 20 {
			for _, typ := range []string{"one", "two", "free"} {
				b.start(t, typ, "")
			}
		}
		begun := time.Now()
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if counts := b.Counts(); counts[task.Completed] != 60 {
			t.Fatalf("counts are %v after %v", counts, time.Since(begun))
		}
		for typ, want := range map[string]int{"one": 1, "two": 2} {
			if c.most[typ] != want {
				t.Errorf("%d tasks of type %s ran at once, want %d", c.most[typ], typ, want)
			}
		}
		if c.most["free"] < 5 {
			t.Errorf("%d tasks of the type without a bound ran at once, want the other workers", c.most["free"])
		}
	})
}

// TestATypeAtItsBoundGoesOnWhenARunEnds: the fetching of other types, of which there are
// no tasks, does not hold it up, and its tasks run in order.
func TestATypeAtItsBoundGoesOnWhenARunEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := &runCounter{}
		b := serve(t, task.Options{Workers: 8}, c.typeOf("one", 1), quick)
		var ids []string
		for range 10 {
			ids = append(ids, b.start(t, "one", ""))
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if counts := b.Counts(); counts[task.Completed] != 10 || c.most["one"] != 1 {
			t.Errorf("counts are %v, %d ran at once", counts, c.most["one"])
		}
		if !slices.Equal(c.order, ids) {
			t.Errorf("order is %q, want %q", c.order, ids)
		}
	})
}

func TestATimeoutMakesRoomInAType(t *testing.T) {
	bubble(t, func(t *testing.T) {
		release := make(chan struct{})
		typ := stubborn(release)
		typ.Concurrency, typ.Timeout = 1, time.Second
		b := serve(t, task.Options{}, typ)
		first, second := b.start(t, "stubborn", ""), b.start(t, "stubborn", "")
		time.Sleep(3 * time.Second)
		synctest.Wait()
		b.wantState(t, first, task.Failed)
		b.wantState(t, second, task.Failed)
		close(release)
	})
}

func TestHigherPrioritiesBeginFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := &runCounter{}
		b := prepare(t, task.Options{Workers: 1}, c.typeOf("one", 0))
		want := map[task.Priority]string{}
		for _, p := range []task.Priority{task.Normal, task.Low, task.High} {
			info, err := b.StartWith(t.Context(), "one", nil, task.StartOptions{Priority: p})
			if err != nil || info.Priority != p {
				t.Fatalf("priority is %d, %v", info.Priority, err)
			}
			want[p] = info.ID
		}
		if _, err := b.StartWith(t.Context(), "one", nil, task.StartOptions{Priority: 2}); err == nil {
			t.Error("a priority of 2 is accepted")
		}
		ctx, stop := context.WithCancel(t.Context())
		go func() { _ = b.Run(ctx) }()
		time.Sleep(10 * time.Second)
		stop()
		synctest.Wait()
		if got := []string{want[task.High], want[task.Normal], want[task.Low]}; !slices.Equal(c.order, got) {
			t.Errorf("order is %q, want %q", c.order, got)
		}
	})
}
