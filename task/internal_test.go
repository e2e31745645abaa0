package task

import (
	"context"
	"errors"
	"log/slog"
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

// endingStore ends when the test wants, as one does that has lost its connection for
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
			if !strings.Contains(logged.String(), "the store of tasks has ended") {
				t.Errorf("logged %q", logged.String())
			}
		})
	}
}
