package task

import (
	"context"
	"errors"
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
		Running:   {Completed, Failed, Cancelled},
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
			rec := record{state: from}
			err := rec.become(to, now())
			if want := slices.Contains(allowed[from], to); (err == nil) != want {
				t.Errorf("%s to %s: %v, want allowed %v", from, to, err, want)
			}
			if err != nil && (!errors.Is(err, errTransition) || rec.state != from || !rec.end.IsZero() || !rec.start.IsZero()) {
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

func TestMemoryForgottenRowsLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	m := newMemory(10, 100, 1<<20)
	for i := range 10_000 {
		id := newID()
		if _, err := m.insert(record{id: id, state: Pending, params: []byte("{}")}); err != nil {
			t.Fatal(err)
		}
		if _, err := m.change(id, func(r *record) error { return r.become(Cancelled, now()) }); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			m.settle(id, 7)
		}
		if err := m.remove(id); err != nil {
			t.Fatal(err)
		}
		if len(m.order) > 10 || m.settled.Len() > 0 || len(m.rows) > 0 || m.bytes != 0 {
			t.Fatalf("after %d tasks: order %d, settled %d, rows %d, bytes %d", i, len(m.order), m.settled.Len(), len(m.rows), m.bytes)
		}
	}
}

func newOutbox() *outbox {
	return &outbox{id: "id", maxEvents: 100, maxBytes: 1000, held: new(atomic.Int64)}
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

func TestOutboxSealedBeforeItBeganHasTheFirstEventFirst(t *testing.T) {
	t.Parallel()
	started, end := named(kindStarted, "started"), []item{named(kindEnd, "end"), named(kindClose, "close")}
	for _, c := range []struct {
		fill func(o *outbox)
		want []string
	}{
		{func(o *outbox) { o.begin(started); o.seal(&started, end) }, []string{"id:1 started", "id:2 end", "id:3 close"}},
		{func(o *outbox) { o.seal(&started, end); o.begin(started) }, []string{"id:1 started", "id:2 end", "id:3 close"}},
		{func(o *outbox) { o.seal(nil, end); o.begin(started) }, []string{"id:1 end", "id:2 close"}},
	} {
		o := newOutbox()
		c.fill(o)
		if got := o.log(); !slices.Equal(got, c.want) {
			t.Errorf("log is %q, want %q", got, c.want)
		}
		if n := o.held.Load(); n != 0 || o.bytes != 0 {
			t.Errorf("empty outbox holds %d bytes, %d in all", o.bytes, n)
		}
	}
}

func TestOutboxDoesNotRepeatALogThatIsNotOver(t *testing.T) {
	t.Parallel()
	o := newOutbox()
	o.begin(named(kindStarted, "started"))
	if _, err := o.repeat(nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("repeat() before the end = %v, want ErrNotFound", err)
	}
	o.seal(nil, []item{named(kindEnd, "end")})
	if _, err := o.repeat([]item{named(kindEnd, "end")}); err != nil {
		t.Errorf("repeat() = %v", err)
	}
	if got, want := o.log(), []string{"id:1 started", "id:2 end", "id:r1 end"}; !slices.Equal(got, want) {
		t.Errorf("log is %q, want %q", got, want)
	}
}

func TestDroppedOutboxTakesNothing(t *testing.T) {
	t.Parallel()
	o := newOutbox()
	o.begin(named(kindStarted, "started"))
	if o.drop() {
		t.Error("drop() says that a pump is at work")
	}
	o.seal(nil, []item{named(kindEnd, "end")})
	if got := o.log(); len(got) != 0 || o.held.Load() != 0 {
		t.Errorf("log is %q, %d bytes are held; want nothing", got, o.held.Load())
	}
	if _, err := o.repeat(nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("repeat() = %v, want ErrNotFound", err)
	}
}

// TestMemoryAgainstAModel compares the store with a plain slice over random steps.
func TestMemoryAgainstAModel(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	m := newMemory(20, 50, 1<<20)
	var model []record // oldest first
	indexOf := func(id string) int { return slices.IndexFunc(model, func(r record) bool { return r.id == id }) }
	drop := func(ids ...string) {
		for _, id := range ids {
			i := indexOf(id)
			model = slices.Delete(model, i, i+1)
		}
	}
	for step := range 5_000 {
		var some record
		if len(model) > 0 {
			some = model[rng.IntN(len(model))]
		}
		switch rng.IntN(5) {
		case 0, 1:
			rec := record{id: newID(), typ: string('a' + rune(rng.IntN(3))), state: Pending, params: []byte("{}")}
			forgotten, err := m.insert(rec)
			drop(forgotten...)
			if err == nil {
				rec.seq = m.lastSeq
				model = append(model, rec)
			} else if !errors.Is(err, ErrBusy) {
				t.Fatal(err)
			}
		case 2:
			next := States()[rng.IntN(5)]
			changed, err := m.change(some.id, func(r *record) error { return r.become(next, now()) })
			if (err == nil) != (some.id != "" && some.state.mayBecome(next)) {
				t.Fatalf("step %d: %s to %s: %v", step, some.state, next, err)
			}
			if err == nil {
				model[indexOf(some.id)] = changed
			}
		case 3:
			drop(m.settle(some.id, 10)...)
		case 4:
			if err := m.remove(some.id); (err == nil) != some.state.Final() {
				t.Fatalf("step %d: remove of a task that is %s: %v", step, some.state, err)
			} else if err == nil {
				drop(some.id)
			}
		}
		checkMemory(t, m, model)
	}
}

func checkMemory(t *testing.T, m *memory, model []record) {
	t.Helper()
	byState := map[State]int{Pending: 0, Running: 0, Completed: 0, Failed: 0, Cancelled: 0}
	var all, typed []string
	for _, r := range slices.Backward(model) {
		byState[r.state]++
		all = append(all, r.id)
		if r.typ == "a" && r.state == Pending {
			typed = append(typed, r.id)
		}
	}
	if got := m.counts(); !maps.Equal(got, byState) {
		t.Fatalf("counts are %v, want %v", got, byState)
	}
	ids := func(recs []record) (ids []string) {
		for _, r := range recs {
			ids = append(ids, r.id)
		}
		return ids
	}
	if got := ids(m.scan(math.MaxUint64, Filter{}, 1000)); !slices.Equal(got, all) {
		t.Fatalf("scan finds %d tasks, want %d in order", len(got), len(all))
	}
	if got := ids(m.scan(math.MaxUint64, Filter{Type: "a", State: Pending}, 1000)); !slices.Equal(got, typed) {
		t.Fatalf("scan for pending a finds %d tasks, want %d", len(got), len(typed))
	}
}

func FuzzDemoParams(f *testing.F) {
	for _, s := range []string{`{}`, `{"steps":3,"delay":0.1,"message":"m"}`, `{"steps":1e3}`, `{"delay":-0}`, `{"steps":null}`, `[]`, `{}{}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parseDemo([]byte(s))
		if err == nil && (p.Steps > maxDemoSteps || !(p.Delay >= 0 && p.Delay <= maxDemoDelay)) {
			t.Errorf("parseDemo(%q) = %+v", s, p)
		}
		q, err := parseFailing([]byte(s))
		if err == nil && !(q.Delay >= 0 && q.Delay <= maxDemoDelay) {
			t.Errorf("parseFailing(%q) = %+v", s, q)
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
		info, err := s.Start("demo_task", nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Cancel(info.ID); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(s.queue); n != 0 {
		t.Errorf("%d cancelled tasks are in the queue", n)
	}
}

// slowStore takes a second to answer that a task has become final.
type slowStore struct{ store }

func (s slowStore) change(id string, fn func(*record) error) (record, error) {
	rec, err := s.store.change(id, fn)
	if rec.state.Final() {
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
		if _, err := s.Start("demo_task", []byte(`{"delay":0}`)); err != nil {
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
