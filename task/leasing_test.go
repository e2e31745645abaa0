package task

import (
	"context"
	"sync"
	"testing"
	"time"
)

// leasingStore is a store in memory that says it is a durable one, leases tasks for a time,
// and counts what is done with its leases.
type leasingStore struct {
	*memory
	// on, if set, is asked before a record is updated.
	on func(ctx context.Context, rec Record) error

	mu                    sync.Mutex
	keeps, returns, ended int
	away                  time.Time // until when no record can be read
}

// leaseTTL is how long a lease lasts.
const leaseTTL = 30 * time.Second

func (s *leasingStore) Durable() bool { return true }

func (s *leasingStore) awayUntil(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = at
}

func (s *leasingStore) Load(ctx context.Context, id string) (Record, error) {
	s.mu.Lock()
	away := time.Now().Before(s.away)
	s.mu.Unlock()
	if away {
		return Record{}, ErrUnavailable
	}
	return s.memory.Load(ctx, id)
}

func (s *leasingStore) Update(ctx context.Context, rec Record) (Record, error) {
	if s.on != nil {
		if err := s.on(ctx, rec); err != nil {
			return rec, err
		}
	}
	return s.memory.Update(ctx, rec)
}

func (s *leasingStore) Fetch(ctx context.Context, types []string, n int) ([]Lease, error) {
	leases, err := s.memory.Fetch(ctx, types, n)
	for i, l := range leases {
		leases[i] = &leased{l, s}
	}
	return leases, err
}

func (s *leasingStore) Acknowledge(ctx context.Context, rec Record, lease Lease) error {
	if lease != nil {
		s.count(&s.ended)
	}
	return s.memory.Acknowledge(ctx, rec, lease)
}

// requeue puts a task in the queue, whatever its state.
func (s *leasingStore) requeue(id string) {
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	s.enqueue(s.rows[id], true)
}

func (s *leasingStore) count(n *int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*n++
}

func (s *leasingStore) counted(n *int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return *n
}

// leased is a lease of a leasingStore.
type leased struct {
	Lease
	store *leasingStore
}

func (l *leased) TTL() time.Duration { return leaseTTL }

func (l *leased) Renew(context.Context) error {
	l.store.count(&l.store.keeps)
	return nil
}

func (l *leased) Release(ctx context.Context, pause time.Duration) error {
	l.store.count(&l.store.returns)
	if pause > 0 {
		return l.Lease.Release(ctx, pause)
	}
	l.store.requeue(l.TaskID())
	return nil
}

// leasingService is a service with one slot at work on a leasingStore, in a bubble.
type leasingService struct {
	*Service
	store *leasingStore
	log   *written
	stop  func() // ends it; so does the end of the test
}

// serveLeasing makes one that publishes to p, or if that is nil to its log.
func serveLeasing(t *testing.T, p Publisher, types ...Type) *leasingService {
	t.Helper()
	b := &leasingService{store: &leasingStore{}, log: &written{}}
	opts := Options{Publisher: p, Store: b.store, Workers: 1}
	if p == nil {
		opts.Publisher = b.log
	}
	var err error
	if b.Service, err = New(opts); err != nil {
		t.Fatal(err)
	}
	b.store.memory = newMemory(b.opts, b.taskDeleted)
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

func (b *leasingService) start(t *testing.T, typ string) (id string) {
	t.Helper()
	info, err := b.Start(t.Context(), typ, nil)
	if err != nil {
		t.Fatal(err)
	}
	return info.ID
}

func (b *leasingService) wantState(t *testing.T, id string, want State) {
	t.Helper()
	if info, err := b.Get(t.Context(), id); err != nil || info.Status != want {
		t.Errorf("task is %s, %v; want %s", info.Status, err, want)
	}
}

// wantNoLease fails unless all leases are acknowledged or released: none is kept any more.
func (b *leasingService) wantNoLease(t *testing.T) {
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
