package task

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// Service runs tasks. Make one with [New], register types, then call Run.
// All methods may be called concurrently, and none waits for the Publisher
// except Drain, Republish and the end of Run.
type Service struct {
	// Set once.
	opts  Options
	log   *slog.Logger
	store store

	workers sync.WaitGroup
	pumps   sync.WaitGroup
	abandon chan struct{} // closed when Run waits for functions no longer

	// held is how many bytes of data wait for the Publisher in all outboxes. It is
	// atomic because it changes with every event, under the outbox's lock only.
	held atomic.Int64

	// mu is held for a few instructions at a time, never while the store, the
	// Publisher, a Func or OnForget is called.
	mu      sync.Mutex
	types   map[string]Type
	jobs    map[string]*job
	queue   []*job // pending, oldest first
	free    int    // worker slots
	calls   int    // functions that have not returned
	strays  int    // those of them that outstayed their timeout
	pumping int    // pumps at work

	phase     phase
	active    bool            // Run is at work
	base      context.Context // of functions and pumps; set by Run
	admitting int             // calls of Start that have passed the check of phase
	finishing int             // calls of finish that have not woken the pump yet
	flushed   bool            // Drain has waited for the last events already
	changed   chan struct{}   // closed at the next change of what waitUntil waits for; nil if nobody waits
}

// phase is how far the service is on its way to the end; it only rises.
type phase int

const (
	serving  phase = iota
	draining       // no new tasks
	halting        // nothing is begun any more
	stopped        // nothing is published any more
)

// job is the part of a task that lives in this process, for as long as the task
// is remembered.
type job struct {
	id  string
	typ Type
	out outbox

	// Guarded by Service.mu.
	cancel   context.CancelCauseFunc // ends the function's context; nil before it runs
	returned bool                    // its function has returned
	stray    bool                    // its function outstayed the timeout, and the slot was given to another
}

// New makes a service. It takes tasks at once, but runs none before Run is called.
func New(opts Options) (*Service, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Service{
		opts:    opts,
		log:     opts.Log.With("component", "task"),
		store:   newMemory(opts.QueueLimit, opts.MaxTasks, opts.MaxBytes),
		types:   map[string]Type{},
		jobs:    map[string]*job{},
		free:    opts.Workers,
		abandon: make(chan struct{}),
	}, nil
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
	}
	if t.Timeout == 0 {
		t.Timeout = s.opts.Timeout
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.base != nil {
		return fmt.Errorf("task: register %q: Run was called already", t.Name)
	}
	if _, ok := s.types[t.Name]; ok {
		return fmt.Errorf("task: register %q: the name is taken", t.Name)
	}
	s.types[t.Name] = t
	return nil
}

// Types lists the names that are registered, sorted.
func (s *Service) Types() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.types))
}

// Start accepts a task: it is pending, and runs when a worker is free, in the
// order of the calls. params is a JSON object; nil, empty and null mean {}. The
// errors are [ErrUnknownType], [ErrBadParams], [ErrBusy] and [ErrStopping], all
// but the last wrapped with the reason.
func (s *Service) Start(typ string, params json.RawMessage) (Info, error) {
	s.mu.Lock()
	t, known := s.types[typ]
	s.mu.Unlock()
	if !known {
		return Info{}, fmt.Errorf("%w: %q", ErrUnknownType, typ)
	}
	params, err := s.checkParams(t, params)
	if err != nil {
		return Info{}, fmt.Errorf("%w: %w", ErrBadParams, err)
	}

	rec := record{id: newID(), typ: typ, params: params, state: Pending, created: now()}
	j := &job{id: rec.id, typ: t, out: outbox{
		id: rec.id, maxEvents: s.opts.OutboxEvents, maxBytes: s.opts.OutboxBytes, held: &s.held,
	}}
	if !s.admit(j) {
		return Info{}, ErrStopping
	}
	forgotten, err := s.store.insert(rec)
	s.admitted(j, err == nil)
	s.forget(forgotten)
	if err != nil {
		return Info{}, err
	}
	s.dispatch()
	return infoOf(rec, nil), nil
}

// checkParams returns params as the task will see them.
func (s *Service) checkParams(t Type, params json.RawMessage) (json.RawMessage, error) {
	params = bytes.TrimSpace(params)
	if len(params) == 0 || string(params) == "null" {
		params = json.RawMessage("{}")
	}
	if len(params) > s.opts.MaxParamsBytes {
		return nil, fmt.Errorf("%d bytes, may be %d", len(params), s.opts.MaxParamsBytes)
	}
	if params[0] != '{' || !json.Valid(params) {
		return nil, errors.New("params must be a JSON object")
	}
	params = bytes.Clone(params)
	if t.Check != nil {
		if err := t.Check(params); err != nil {
			return nil, err
		}
	}
	return params, nil
}

// admit makes j known before its record is, so that whoever sees the record finds
// the job. It must be followed by admitted.
func (s *Service) admit(j *job) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase != serving {
		return false
	}
	s.admitting++
	s.jobs[j.id] = j
	return true
}

// admitted queues j if its record was stored, and forgets it otherwise.
func (s *Service) admitted(j *job, stored bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.admitting--
	s.notify()
	if stored {
		s.queue = append(s.queue, j)
	} else {
		delete(s.jobs, j.id)
	}
}

// Get returns what is known of a task. It never waits for the Publisher.
func (s *Service) Get(id string) (Info, bool) {
	rec, ok := s.store.load(id)
	if !ok {
		return Info{}, false
	}
	return s.infos(rec)[0], true
}

// Counts returns how many tasks are in each state; every state has a key.
func (s *Service) Counts() map[State]int { return s.store.counts() }

// Strays returns how many functions outstayed their timeout and still have not
// returned. More than a few mean that a type ignores its context.
func (s *Service) Strays() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.strays
}

// Cancel ends a pending or running task: it is cancelled, for good, when Cancel
// returns. The function's context ends with [ErrCancelled]; its worker is free
// when it returns or times out. ErrNotFound if the task is unknown or over.
func (s *Service) Cancel(id string) error {
	j := s.job(id)
	if j == nil || !s.cancel(j, ErrCancelled) {
		return ErrNotFound
	}
	return nil
}

// cancel ends a task with the given cause, if it is not over yet.
func (s *Service) cancel(j *job, cause error) bool {
	return s.finish(j, cause, func(rec *record) error { return rec.become(Cancelled, now()) })
}

// Remove forgets a finished task, and what is still to be published of it.
// ErrNotFound if the task is unknown or not over.
func (s *Service) Remove(id string) error {
	if err := s.store.remove(id); err != nil {
		return err
	}
	s.forget([]string{id})
	return nil
}

// forget drops the jobs of tasks that the store has forgotten.
func (s *Service) forget(ids []string) {
	for _, id := range ids {
		s.mu.Lock()
		j := s.jobs[id]
		delete(s.jobs, id)
		s.mu.Unlock()
		if j != nil && !j.out.drop() {
			s.opts.OnForget(id)
		} // else the pump calls it when it has ended
	}
	if len(ids) > 0 {
		s.dispatch() // there may be room again
	}
}

// job returns the job of a task, or nil.
func (s *Service) job(id string) *job {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.jobs[id]
}

// infos adds the latest progress to each record.
func (s *Service) infos(recs ...record) []Info {
	jobs := make([]*job, len(recs))
	s.mu.Lock()
	for i, rec := range recs {
		jobs[i] = s.jobs[rec.id]
	}
	s.mu.Unlock()

	infos := make([]Info, len(recs))
	for i, rec := range recs {
		var last *lastProgress
		if jobs[i] != nil { // else it was forgotten just now
			last = jobs[i].out.progress()
		}
		infos[i] = infoOf(rec, last)
	}
	return infos
}

// newID makes a random UUID, version 4.
func newID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
