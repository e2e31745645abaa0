package task

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"
)

// TestTransitions asserts the whole table: what is not listed is refused.
func TestTransitions(t *testing.T) {
	t.Parallel()
	allowed := map[State][]State{
		Pending:   {Running, Cancelled, Failed},
		Running:   {Completed, Failed, Cancelled, Pending}, // to be run again
		Completed: {},
		Failed:    {},
		Cancelled: {},
	}
	if len(States()) != len(allowed) {
		t.Errorf("States() = %v", States())
	}
	for _, from := range States() {
		if got, want := from.Final(), len(allowed[from]) == 0; got != want {
			t.Errorf("%s.Final() = %v, want %v", from, got, want)
		}
		for _, to := range append(States(), "", "lost") {
			rec := Record{State: from}
			err := rec.become(to, now())
			if want := slices.Contains(allowed[from], to); (err == nil) != want {
				t.Errorf("%s to %s: %v, want allowed %v", from, to, err, want)
			}
			if err != nil && (!errors.Is(err, errTransition) || rec.State != from || !rec.Ended.IsZero() || !rec.Started.IsZero()) {
				t.Errorf("%s to %s was refused with %v but left %+v", from, to, err, rec)
			}
		}
	}
}

func TestPauseGrowsToItsBoundWithJitter(t *testing.T) {
	t.Parallel()
	for try, longest := range map[int]time.Duration{
		1: 100 * time.Millisecond, 2: 200 * time.Millisecond, 7: 6400 * time.Millisecond,
		8: 10 * time.Second, 9: 10 * time.Second, 10: 10 * time.Second, 1_000_000: 10 * time.Second,
	} {
		seen := map[time.Duration]bool{}
		for range 100 {
			p := pause(try)
			if p < longest/2 || p >= longest {
				t.Fatalf("pause(%d) = %v, want %v to %v", try, p, longest/2, longest)
			}
			seen[p] = true
		}
		if len(seen) < 50 {
			t.Errorf("pause(%d) takes %d values in 100 calls: no jitter", try, len(seen))
		}
	}
}

func FuzzCut(f *testing.F) {
	f.Add("", 0)
	f.Add("aé€😀", 3)
	f.Add("\x80\x80\x80", 2)
	f.Fuzz(func(t *testing.T, s string, n int) {
		n = max(n, 0)
		got := cut(s, n)
		if len(got) > n && len(got) > 0 || !strings.HasPrefix(s, got) {
			t.Errorf("cut(%q, %d) = %q", s, n, got)
		}
		if utf8.ValidString(s) && (!utf8.ValidString(got) || len(s) > n && len(got) < n-3) {
			t.Errorf("cut(%q, %d) = %q", s, n, got)
		}
	})
}

// newTestMemory is a store for 20 pending tasks and the given number in all.
func newTestMemory(t *testing.T, pending, tasks int) *memory {
	t.Helper()
	o, err := Options{Publisher: nowhere{}, QueueLimit: pending, MaxTasks: tasks}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	return newMemory(o, func(string) {})
}

func TestMemoryForgottenRowsLeaveNothingBehind(t *testing.T) {
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
		if len(m.order) > 10 || m.acknowledged.Len() > 0 || len(m.rows) > 0 || m.bytes != 0 || len(m.queue) > 0 {
			t.Fatalf("after %d tasks: order %d, settled %d, rows %d, bytes %d, queue %d",
				i, len(m.order), m.acknowledged.Len(), len(m.rows), m.bytes, len(m.queue))
		}
	}
}

func newOutbox() *outbox {
	return &outbox{id: "id", maxEvents: 100, maxBytes: 1000, total: new(atomic.Int64)}
}

// log publishes all that is in an outbox and returns what it was.
func (o *outbox) log() (names []string) {
	o.claim(func() {})
	for {
		batch, end := o.take(3, 1000, false)
		if end != notEnded {
			return names
		}
		for _, it := range batch {
			names = append(names, it.Key+" "+string(it.Data))
		}
		o.done(len(batch))
	}
}

func named(k kind, name string) item { return item{kind: k, Event: Event{Data: []byte(name)}} }

func TestOutboxHasTheFirstEventOnce(t *testing.T) {
	t.Parallel()
	started, end := named(kindStarted, "started"), []item{named(kindEnd, "end"), named(kindClose, "close")}
	for _, c := range []struct {
		fill func(o *outbox)
		want []string
	}{
		{func(o *outbox) { o.begin(1, []item{started}); o.seal(&started, end) }, []string{"id:started started", "id:end end", "id:close close"}},
		{func(o *outbox) { o.seal(&started, end) }, []string{"id:started started", "id:end end", "id:close close"}},
		{func(o *outbox) { o.seal(nil, end) }, []string{"id:end end", "id:close close"}},
		{func(o *outbox) { o.seal(nil, nil) }, nil},
	} {
		o := newOutbox()
		c.fill(o)
		if got := o.log(); !slices.Equal(got, c.want) {
			t.Errorf("log is %q, want %q", got, c.want)
		}
		if n := o.total.Load(); n != 0 || o.bytes != 0 {
			t.Errorf("empty outbox holds %d bytes, %d in all", o.bytes, n)
		}
		if !o.idleForGood() {
			t.Error("the outbox is not complete")
		}
	}
}

func TestOutboxDoesNotRepeatALogThatIsNotOver(t *testing.T) {
	t.Parallel()
	o := newOutbox()
	o.begin(1, []item{named(kindStarted, "started")})
	if _, err := o.repeat(nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("repeat() before the end = %v, want ErrNotFound", err)
	}
	o.seal(nil, []item{named(kindEnd, "end")})
	if _, err := o.repeat([]item{named(kindEnd, "end")}); err != nil {
		t.Errorf("repeat() = %v", err)
	}
	if got, want := o.log(), []string{"id:started started", "id:end end", "id:r1 end"}; !slices.Equal(got, want) {
		t.Errorf("log is %q, want %q", got, want)
	}
}

func TestDroppedOutboxTakesNothing(t *testing.T) {
	t.Parallel()
	o := newOutbox()
	o.begin(1, []item{named(kindStarted, "started")})
	if o.drop() {
		t.Error("drop() says that a pump is at work")
	}
	o.seal(nil, []item{named(kindEnd, "end")})
	if got := o.log(); len(got) != 0 || o.total.Load() != 0 {
		t.Errorf("log is %q, %d bytes are held; want nothing", got, o.total.Load())
	}
	if _, err := o.repeat(nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("repeat() = %v, want ErrNotFound", err)
	}
}

// TestPumpOfALostTaskTellsThatItIsForgotten, if that comes while it is at work.
func TestPumpOfALostTaskTellsThatItIsForgotten(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		do   func(o *outbox) bool
		want pumpEnd
	}{
		"lost":                {func(o *outbox) bool { o.lose(); return true }, endIdle},
		"forgotten":           {func(o *outbox) bool { return o.drop() }, endDropped},
		"lost, and forgotten": {func(o *outbox) bool { o.lose(); return o.drop() }, endDropped},
		"forgotten, and lost": {func(o *outbox) bool { defer o.lose(); return o.drop() }, endDropped},
	} {
		o := newOutbox()
		o.begin(1, []item{named(kindStarted, "started")})
		if !o.claim(func() {}) {
			t.Fatal("there is a pump already")
		}
		if !tt.do(o) {
			t.Errorf("%s: no pump is at work", name)
		}
		if _, got := o.take(1, 1, false); got != tt.want {
			t.Errorf("%s: the pump ends with %v, want %v", name, got, tt.want)
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

func FuzzDemoParams(f *testing.F) {
	for _, s := range []string{`{}`, `{"steps":3,"delay":0.1,"message":"m"}`, `{"steps":1e3}`, `{"delay":-0}`, `{"steps":null}`, `[]`, `{}{}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := decode[demoParams]([]byte(s))
		if err == nil && (p.Steps > maxDemoSteps || !(p.Delay >= 0 && p.Delay <= maxDemoDelay)) {
			t.Errorf("demo_task %q decodes to %+v", s, p)
		}
		q, err := decode[failingParams]([]byte(s))
		if err == nil && !(q.Delay >= 0 && q.Delay <= maxDemoDelay) {
			t.Errorf("failing_task %q decodes to %+v", s, q)
		}
	})
}

type nowhere struct{}

func (nowhere) Publish(context.Context, string, []Event) error { return nil }

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
	if n := len(s.store.(*memory).queue); n != 0 {
		t.Errorf("%d cancelled tasks are in the queue", n)
	}
}

// slowStore takes a second to answer that a task has become final.
type slowStore struct{ Store }

func (s slowStore) Update(ctx context.Context, rec Record) (Record, error) {
	rec, err := s.Store.Update(ctx, rec)
	if rec.State.Final() {
		time.Sleep(time.Second)
	}
	return rec, err
}

// taker is a Publisher that counts.
type taker struct{ n atomic.Int32 }

func (p *taker) Publish(_ context.Context, _ string, events []Event) error {
	p.n.Add(int32(len(events)))
	return nil
}

func TestDrainWaitsForTasksThatAreAboutToEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		logs := &taker{}
		s, err := New(Options{Publisher: logs})
		if err != nil {
			t.Fatal(err)
		}
		s.store = slowStore{s.store}
		if err := s.Register(Demo()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		if _, err := s.Start(t.Context(), "demo_task", []byte(`{"delay":0}`)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // it is completed, and its last events are not in the outbox
		if n := s.Counts()[Completed]; n != 1 || logs.n.Load() != 5 {
			t.Fatalf("%d tasks are completed, %d events are published; want 1 and 5", n, logs.n.Load())
		}
		s.Drain(t.Context())
		if n := logs.n.Load(); n != 7 {
			t.Errorf("Drain returned when %d events were published, want all 7", n)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// endingStore ends when it is told to, as one does that has lost its connection for
// good.
type endingStore struct {
	Store
	end chan error
}

func (s endingStore) Run(ctx context.Context, h Hooks) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	inner := make(chan error, 1)
	go func() { inner <- s.Store.Run(ctx, h) }()
	err := <-s.end
	cancel()
	return errors.Join(err, <-inner)
}

// TestX32TheEndOfTheStoreEndsRun: a service whose store does nothing by itself any
// more would go on for ever, and nobody would know.
func TestX32TheEndOfTheStoreEndsRun(t *testing.T) {
	t.Parallel()
	for _, cause := range []error{errors.New("no connection"), nil} {
		synctest.Test(t, func(t *testing.T) {
			var logged strings.Builder
			s, err := New(Options{Publisher: &taker{}, Log: slog.New(slog.NewTextHandler(&logged, nil))})
			if err != nil {
				t.Fatal(err)
			}
			store := endingStore{s.store, make(chan error)}
			s.store = store
			if err := s.Register(Demo()); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- s.Run(t.Context()) }()
			if _, err := s.Start(t.Context(), "demo_task", []byte(`{"delay":3600}`)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			store.end <- cause
			synctest.Wait()
			if err := <-ended; err == nil || cause != nil && !errors.Is(err, cause) {
				t.Errorf("Run() = %v, want that the store has ended: %v", err, cause)
			}
			if _, err := s.Start(t.Context(), "demo_task", nil); !errors.Is(err, ErrStopping) {
				t.Errorf("Start() = %v after that", err)
			}
			if n := s.Counts()[Running] + s.Counts()[Pending]; n != 0 {
				t.Errorf("%d tasks are not over", n)
			}
			if !strings.Contains(logged.String(), "no task can be kept any more") {
				t.Errorf("logged %q", logged.String())
			}
		})
	}
}
