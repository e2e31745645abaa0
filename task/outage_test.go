package task

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// unreliableStore is a store in memory that can be away, and whose tasks others can take.
type unreliableStore struct {
	Store
	mu   sync.Mutex
	away bool
	room int // bytes of a result; 0 is any
}

func (s *unreliableStore) set(away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = away
}

func (s *unreliableStore) Update(ctx context.Context, rec Record) (Record, error) {
	s.mu.Lock()
	away, room := s.away, s.room
	s.mu.Unlock()
	if away {
		return rec, ErrUnavailable
	}
	if room > 0 && len(rec.Result) > room {
		return rec, ErrBusy
	}
	return s.Store.Update(ctx, rec)
}

// written is a Publisher that keeps the names of what it is given.
type written struct {
	mu    sync.Mutex
	names []string
}

func (p *written) Publish(_ context.Context, _ string, events []Event) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, ev := range events {
		p.names = append(p.names, ev.Key[strings.Index(ev.Key, ":"):])
	}
	return nil
}

func (p *written) all() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.names)
}

// outage is a service at work on an unreliableStore, in a bubble.
type outage struct {
	*Service
	store *unreliableStore
	log   *written
}

// inOutage makes one and runs test with it.
func inOutage(t *testing.T, test func(t *testing.T, s *outage)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &written{}
		s, err := New(Options{Publisher: log, Timeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		store := &unreliableStore{Store: s.store}
		s.store = store
		test(t, &outage{s, store, log})
	})
}

// begin begins a task of the given function, and returns when nothing happens
// any more. The service ends with the test.
func (s *outage) begin(t *testing.T, f Func) (id string) {
	t.Helper()
	if err := s.Register(Type{Name: "x", Run: f}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		s.store.set(false)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	info, err := s.Start(t.Context(), "x", nil)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	return info.ID
}

func (s *outage) wantLog(t *testing.T, want ...string) {
	t.Helper()
	if got := s.log.all(); !slices.Equal(got, want) {
		t.Errorf("log has %q, want %q", got, want)
	}
}

func (s *outage) wantState(t *testing.T, id string, want State) {
	t.Helper()
	if info, err := s.Get(t.Context(), id); err != nil || info.Status != want {
		t.Errorf("task is %s, %v; want %s", info.Status, err, want)
	}
}

func TestTheEndOfATaskIsTriedUntilTheStoreIsBack(t *testing.T) {
	inOutage(t, func(t *testing.T, s *outage) {
		release := make(chan struct{})
		id := s.begin(t, func(context.Context, *Run) (any, error) { <-release; return 1, nil })
		s.store.set(true)
		close(release)
		time.Sleep(30 * time.Second)
		s.wantState(t, id, Running)
		s.wantLog(t, ":started")
		s.store.set(false)
		time.Sleep(maxPause)
		synctest.Wait()
		s.wantState(t, id, Completed)
		s.wantLog(t, ":started", ":end", ":close")
	})
}

func TestATimeoutEndsTheFunctionAlthoughTheStoreIsAway(t *testing.T) {
	inOutage(t, func(t *testing.T, s *outage) {
		var cause error
		id := s.begin(t, func(ctx context.Context, _ *Run) (any, error) {
			<-ctx.Done()
			cause = context.Cause(ctx)
			return nil, nil
		})
		s.store.set(true)
		time.Sleep(time.Minute)
		synctest.Wait()
		if !errors.Is(cause, ErrTimeout) {
			t.Errorf("cause of the function's end is %v, want ErrTimeout", cause)
		}
		s.store.set(false)
		time.Sleep(time.Minute)
		synctest.Wait()
		if info, err := s.Get(t.Context(), id); err != nil || info.Error == nil || *info.Error != "Task timed out after 1m0s" {
			t.Errorf("task is %+v, %v", info, err)
		}
	})
}

func TestATaskThatCannotBeCancelledGoesOn(t *testing.T) {
	inOutage(t, func(t *testing.T, s *outage) {
		step, reported := make(chan struct{}), make(chan error)
		id := s.begin(t, func(_ context.Context, run *Run) (any, error) {
			for range step {
				reported <- run.Progress(Progress{Text: "step"})
			}
			return nil, nil
		})
		s.store.set(true)
		if err := s.Cancel(t.Context(), id); !errors.Is(err, ErrUnavailable) {
			t.Errorf("Cancel() = %v, want ErrUnavailable", err)
		}
		step <- struct{}{}
		if err := <-reported; err != nil {
			t.Errorf("Progress() = %v", err)
		}
		s.store.set(false)
		close(step)
		synctest.Wait()
		s.wantLog(t, ":started", ":1:1", ":end", ":close")
	})
}

func TestAResultThatHasNoRoomInTheStoreFailsTheTask(t *testing.T) {
	inOutage(t, func(t *testing.T, s *outage) {
		s.store.room = 100
		id := s.begin(t, func(context.Context, *Run) (any, error) { return strings.Repeat("x", 2000), nil })
		time.Sleep(time.Minute)
		synctest.Wait()
		if info, err := s.Get(t.Context(), id); err != nil || info.Error == nil || *info.Error != "no room to store the outcome of 2002 bytes" {
			t.Errorf("task is %+v, %v", info, err)
		}
		s.wantLog(t, ":started", ":end", ":close")
	})
}

// TestARunWhoseRecordIsAnothersIsLost has another service take the task, as a store
// allows it when a lease has run out.
func TestARunWhoseRecordIsAnothersIsLost(t *testing.T) {
	inOutage(t, func(t *testing.T, s *outage) {
		release := make(chan struct{})
		var cause, late error
		id := s.begin(t, func(ctx context.Context, run *Run) (any, error) {
			<-release
			go func() { // goes on after the function has returned
				<-ctx.Done()
				cause = context.Cause(ctx)
				late = run.Progress(Progress{Text: "late"})
			}()
			return "zombie", nil
		})
		rec, err := s.store.Load(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if err := rec.begin("another", time.Minute, now()); err != nil {
			t.Fatal(err)
		}
		if rec, err = s.store.Update(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
		close(release)
		time.Sleep(time.Minute)
		synctest.Wait()
		if !errors.Is(cause, ErrLost) || !errors.Is(late, ErrLost) {
			t.Errorf("the zombie got %v and %v, want ErrLost", cause, late)
		}
		s.wantLog(t, ":started")
		if now, _ := s.store.Load(t.Context(), id); now.Revision != rec.Revision || now.Worker != "another" {
			t.Errorf("record is %+v, want it left alone", now)
		}
	})
}

// keylessLog is a log that takes events but loses its answers for a while, and does
// not know any keys when it gets the same again.
type keylessLog struct {
	until time.Time
	mu    sync.Mutex
	names []string
}

func (l *keylessLog) Publish(_ context.Context, _ string, events []Event) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	young := len(l.names) > 0 && time.Until(l.until) > 0
	for _, ev := range events {
		if name := ev.Key[strings.Index(ev.Key, ":"):]; !young || !slices.Contains(l.names, name) {
			l.names = append(l.names, name)
		}
	}
	if time.Until(l.until) > 0 {
		return errors.New("answer lost")
	}
	return nil
}

func (l *keylessLog) Ended(context.Context, string) (terminal, closed bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Contains(l.names, ":end"), slices.Contains(l.names, ":close"), nil
}

func TestLastEventsAreNotRepeatedWhenTheirKeysMayBeDropped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &keylessLog{until: time.Now().Add(2*keyLife + time.Second)}
		s, err := New(Options{Publisher: log})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Register(Demo()); err != nil {
			t.Fatal(err)
		}
		info, err := s.Start(t.Context(), "demo_task", nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Cancel(t.Context(), info.ID); err != nil { // it has its last events only
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		time.Sleep(time.Hour)
		synctest.Wait()
		if want := []string{":end", ":close"}; !slices.Equal(log.names, want) {
			t.Errorf("log has %q, want %q", log.names, want)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
