package task

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Service runs tasks. Make one with [New], register types, then call Run.
// All methods may be called concurrently, and none waits for the Publisher
// except Drain, Republish and the end of Run. Services with the same [Store], in
// any number of processes, share the work: each runs tasks of the types that it
// has registered.
type Service struct {
	// Set once.
	opts   Options
	log    *slog.Logger
	store  Store
	worker string // our name in records
	since  time.Time

	workers  sync.WaitGroup
	pumps    sync.WaitGroup
	abandon  chan struct{} // closed when Run waits for functions no longer
	finished chan struct{} // closed when Run returns

	// held is how many bytes of data wait for the Publisher in all outboxes. It is
	// atomic because it changes with every event, under the outbox's lock only.
	held atomic.Int64

	// mu is held for a few instructions at a time, never while the store, the
	// Publisher, a Func or OnDelete is called.
	mu      sync.Mutex
	types   map[string]Type
	limited bool           // a type has a Concurrency
	running map[string]int // runs by type
	refetch func()         // ends the call of Store.Fetch; nil before the first
	jobs    map[string]*job
	watches map[string]map[*context.CancelCauseFunc]bool // of tasks that are watched
	ends    map[string]*endSignal                        // of tasks that Wait waits for
	free    int                                          // worker slots
	live    int                                          // tasks that run here
	calls   int                                          // functions that have not returned
	strays  int                                          // those of them that go on after their timeout
	pumping int                                          // pumps at work

	phase      phase
	active     bool                    // Run is at work
	base       context.Context         // of functions and pumps; set by Run
	admitting  int                     // calls of Start that have passed the check of phase
	finishing  int                     // calls of finish that have not woken the pump yet
	fetching   bool                    // tasks are fetched
	stopTaking context.CancelCauseFunc // ends the fetching of tasks; nil before Run
	preparing  int                     // tasks that were fetched, and are about to begin
	flushed    bool                    // Drain has waited for the last events already
	changed    chan struct{}           // closed at the next change of what waitUntil waits for; nil if none waits
}

// phase is how far the service is on its way to the end; it only rises.
type phase int

const (
	serving  phase = iota
	draining       // no new tasks
	halting        // nothing is begun any more
	stopped        // nothing is published any more
)

// New makes a service. It takes tasks at once, but runs none before Run is called.
func New(opts Options) (*Service, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Service{
		opts:     opts,
		log:      opts.Log.With("component", "task"),
		store:    opts.Store,
		worker:   newID(),
		since:    now(),
		types:    map[string]Type{},
		running:  map[string]int{},
		jobs:     map[string]*job{},
		ends:     map[string]*endSignal{},
		watches:  map[string]map[*context.CancelCauseFunc]bool{},
		finished: make(chan struct{}),
		free:     opts.Workers,
		abandon:  make(chan struct{}),
	}
	if s.store == nil {
		s.store = newMemory(opts, s.taskDeleted)
	}
	return s, nil
}

// Register makes a type known. It must be called before Run; a name that is empty
// or taken is an error.
func (s *Service) Register(t Type) error {
	switch {
	case t.Name == "":
		return errors.New("task: register: the type has no name")
	case t.Run == nil:
		return fmt.Errorf("task: register %q: Run is missing", t.Name)
	case t.Timeout < 0:
		return fmt.Errorf("task: register %q: Timeout is %v, must not be negative", t.Name, t.Timeout)
	case t.Concurrency < 0:
		return fmt.Errorf("task: register %q: Concurrency is %d, must not be negative", t.Name, t.Concurrency)
	case t.RetryPause < 0:
		return fmt.Errorf("task: register %q: RetryPause is %v, must not be negative", t.Name, t.RetryPause)
	case t.MaxAttempts < 0:
		return fmt.Errorf("task: register %q: MaxAttempts is %d, must not be negative", t.Name, t.MaxAttempts)
	}
	t.Timeout = cmp.Or(t.Timeout, s.opts.Timeout)
	t.RetryPause = cmp.Or(t.RetryPause, s.opts.RetryPause)
	t.MaxAttempts = max(t.MaxAttempts, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.base != nil {
		return fmt.Errorf("task: register %q: Run was called already", t.Name)
	}
	if _, ok := s.types[t.Name]; ok {
		return fmt.Errorf("task: register %q: the name is taken", t.Name)
	}
	s.types[t.Name] = t
	s.limited = s.limited || t.Concurrency > 0
	return nil
}

// Types lists the names that are registered, sorted.
func (s *Service) Types() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.types))
}

// Get returns what is known of a task, whole; ErrNotFound or ErrUnavailable. It
// never waits for the Publisher, and for the store only if the task is new to
// this process or has a large result.
func (s *Service) Get(ctx context.Context, id string) (Info, error) {
	rec, ok := s.store.Peek(id)
	if !ok || rec.Partial && rec.State.Final() {
		var err error
		if rec, err = s.store.Load(ctx, id); err != nil {
			return Info{}, err
		}
	}
	rec.Partial = false
	return s.info(rec), nil
}

// info is what a record says, with the latest progress if the task runs here.
func (s *Service) info(rec Record) Info {
	if j := s.job(rec.ID); j != nil && !rec.State.Final() {
		if last := j.out.progress(); last != nil {
			rec.Progress = &last.info
		}
	}
	return infoOf(rec)
}

// Counts returns how many tasks are in each state; every state has a key.
func (s *Service) Counts() map[State]int { return s.store.Counts() }

// Strays returns how many functions have not returned although their timeout is over.
// More than a few mean that a type ignores its context.
func (s *Service) Strays() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.strays
}

// Remove deletes a finished task, and what is still to be published of it.
// ErrNotFound if the task is unknown or not over, ErrUnavailable.
func (s *Service) Remove(ctx context.Context, id string) error {
	for {
		rec, _, err := s.open(ctx, id)
		if err != nil {
			return err
		}
		if !rec.State.Final() {
			return ErrNotFound
		}
		if err := s.store.Remove(ctx, rec); !errors.Is(err, ErrConflict) {
			return err
		}
	}
}

// taskDeleted drops what this process has of a deleted task. holdLease acknowledges its
// lease; the context of its function ends.
func (s *Service) taskDeleted(id string) {
	s.mu.Lock()
	j := s.jobs[id]
	var cancel context.CancelCauseFunc
	if j != nil {
		j.deleted, cancel = true, j.cancel
		s.retireLocked(j)
	}
	s.mu.Unlock()
	if cancel != nil {
		cancel(ErrLost)
	}
	if j == nil || !j.out.drop() {
		s.logDeleted(id)
	} // else the pump calls it when it has ended
	s.notify() // there may be room again
	s.signalEnd(id)
	s.endWatches(id)
}

// logDeleted notes that nothing is published any more of a task that was deleted.
func (s *Service) logDeleted(id string) {
	if log, ok := s.opts.Publisher.(*Log); ok {
		log.delete(id)
	}
	s.opts.OnDelete(id)
}
