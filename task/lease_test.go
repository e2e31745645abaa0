package task

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// lending is a store in memory that says it is a durable one, lends tasks for a time,
// and counts what is done with its leases.
type lending struct {
	*memory
	// on, if set, is asked before a record is updated, and how many are lent.
	on func(ctx context.Context, rec Record) error

	mu                    sync.Mutex
	keeps, returns, ended int
}

// leaseLasts is how long a task is lent.
const leaseLasts = 30 * time.Second

func (s *lending) Durable() bool { return true }

func (s *lending) Update(ctx context.Context, rec Record) (Record, error) {
	if s.on != nil {
		if err := s.on(ctx, rec); err != nil {
			return rec, err
		}
	}
	return s.memory.Update(ctx, rec)
}

func (s *lending) Fetch(ctx context.Context, types []string, n int) ([]Lease, error) {
	leases, err := s.memory.Fetch(ctx, types, n)
	for i, l := range leases {
		leases[i] = &lent{l, s}
	}
	return leases, err
}

func (s *lending) Settle(ctx context.Context, rec Record, lease Lease) error {
	if lease != nil {
		s.count(&s.ended)
	}
	return s.memory.Settle(ctx, rec, lease)
}

// requeue puts a task in the queue, whatever its state.
func (s *lending) requeue(id string) {
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	s.enqueue(0, id)
}

func (s *lending) count(n *int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*n++
}

func (s *lending) counted(n *int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return *n
}

// lent is a lease of a lending store.
type lent struct {
	Lease
	store *lending
}

func (l *lent) Lasts() time.Duration { return leaseLasts }

func (l *lent) Keep(context.Context) error {
	l.store.count(&l.store.keeps)
	return nil
}

func (l *lent) Return(ctx context.Context, pause time.Duration) error {
	l.store.count(&l.store.returns)
	if pause > 0 {
		return l.Lease.Return(ctx, pause)
	}
	l.store.requeue(l.Task())
	return nil
}

// borrower is a service with one slot at work on a lending store, in a bubble.
type borrower struct {
	*Service
	store *lending
	log   *written
	stop  func() // ends it; so does the end of the test
}

// borrow makes one that publishes to p, or if that is nil to its log.
func borrow(t *testing.T, p Publisher, types ...Type) *borrower {
	t.Helper()
	b := &borrower{store: &lending{}, log: &written{}}
	opts := Options{Publisher: p, Store: b.store, Workers: 1}
	if p == nil {
		opts.Publisher = b.log
	}
	var err error
	if b.Service, err = New(opts); err != nil {
		t.Fatal(err)
	}
	b.store.memory = newMemory(b.opts, b.forget)
	for _, typ := range types {
		if err := b.Register(typ); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	b.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(b.stop)
	return b
}

func (b *borrower) start(t *testing.T, typ string) (id string) {
	t.Helper()
	info, err := b.Start(t.Context(), typ, nil)
	if err != nil {
		t.Fatal(err)
	}
	return info.ID
}

func (b *borrower) wantState(t *testing.T, id string, want State) {
	t.Helper()
	if info, err := b.Get(t.Context(), id); err != nil || info.Status != want {
		t.Errorf("task is %s, %v; want %s", info.Status, err, want)
	}
}

// wantNoLease fails unless all leases are settled or returned: none is kept any more.
func (b *borrower) wantNoLease(t *testing.T) {
	t.Helper()
	before := b.store.counted(&b.store.keeps)
	time.Sleep(time.Hour)
	if got := b.store.counted(&b.store.keeps); got != before {
		t.Errorf("leases were renewed %d times although nothing is to be done", got-before)
	}
}

// lasting is a type whose functions take a time.
func lasting(d time.Duration) Type {
	return Type{Name: "lasting", Run: func(ctx context.Context, _ *Run) (any, error) {
		sleep(ctx, d)
		return 1, nil
	}}
}

func TestALeaseIsKeptWhileTheEndOfItsTaskCannotBeStored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := borrow(t, nil, lasting(time.Second))
		until := time.Now().Add(10 * time.Minute)
		b.store.on = func(_ context.Context, rec Record) error {
			if rec.State.Final() && time.Now().Before(until) {
				time.Sleep(5 * time.Second) // as a store does that is away
				return ErrUnavailable
			}
			return nil
		}
		id := b.start(t, "lasting")
		time.Sleep(10*time.Minute - time.Nanosecond)
		b.wantState(t, id, Running)
		if got, want := b.store.counted(&b.store.keeps), int(10*time.Minute/(leaseLasts/3)); got < want-1 {
			t.Errorf("lease was renewed %d times in 10 minutes, want %d", got, want)
		}
		time.Sleep(time.Minute)
		b.wantState(t, id, Completed)
	})
}

// cancelWhileLent cancels a pending task, and has it lent to the same service before
// the store answers, with an error. stored says that it is cancelled nevertheless.
func cancelWhileLent(t *testing.T, b *borrower, stored bool) (id string) {
	t.Helper()
	b.start(t, "lasting")
	synctest.Wait()
	id = b.start(t, "lasting")
	b.store.on = func(ctx context.Context, rec Record) error {
		if rec.State != Cancelled {
			return nil
		}
		if stored {
			if _, err := b.store.memory.Update(ctx, rec); err != nil {
				return err
			}
			b.store.requeue(id) // it left the queue with that, other than in a durable store
		}
		time.Sleep(time.Hour) // until the slot is free, and longer
		return ErrUnavailable
	}
	if err := b.Cancel(t.Context(), id); !errors.Is(err, ErrUnavailable) {
		t.Fatalf("Cancel() = %v, want ErrUnavailable", err)
	}
	return id
}

func TestATaskThatIsLentWhileItsCancellationFailsIsRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := borrow(t, nil, lasting(time.Minute))
		id := cancelWhileLent(t, b, false)
		time.Sleep(2 * time.Minute)
		b.wantState(t, id, Completed)
		b.wantNoLease(t)
	})
}

func TestATaskThatIsCancelledWithoutAnAnswerHasItsLastEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := borrow(t, nil, lasting(time.Minute))
		id := cancelWhileLent(t, b, true)
		time.Sleep(2 * time.Minute)
		b.wantState(t, id, Cancelled)
		if want := []string{":started", ":end", ":close", ":end", ":close"}; !slices.Equal(b.log.all(), want) {
			t.Errorf("logs have %q, want %q", b.log.all(), want)
		}
		b.wantNoLease(t)
	})
}

func TestACallerThatIsGoneLeavesNoTaskBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := borrow(t, nil, lasting(time.Hour))
		b.store.on = func(ctx context.Context, _ Record) error {
			if ctx.Err() != nil {
				return ErrUnavailable
			}
			return nil
		}
		b.start(t, "lasting")
		synctest.Wait()
		gone, leave := context.WithCancel(t.Context())
		leave()
		for range 50 {
			if err := b.Cancel(gone, b.start(t, "lasting")); err == nil {
				t.Error("Cancel() of a caller that is gone has an effect")
			}
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		if n := len(b.jobs); n != 1 {
			t.Errorf("service is at work on %d tasks, want the one that runs", n)
		}
	})
}
