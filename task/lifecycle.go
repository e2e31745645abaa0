package task

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// stopGrace bounds what Drain and Run wait for at their end: the last events to
// be published, and functions to return.
const stopGrace = 5 * time.Second

// Run runs tasks, publishes their events and forgets old ones, until ctx ends.
// Then it cancels all that is pending or running with [ErrStopping], waits up to
// 5 s for the last events to be published (unless Drain has done so) and for the
// functions to return, and returns nil. A function that still does not return is
// left behind, and the error says how many there were. Run may be called once.
func (s *Service) Run(ctx context.Context) error {
	base, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	jobs, err := s.activate(base)
	if err != nil {
		return err
	}
	for _, j := range jobs {
		s.wakePump(j) // cancelled before Run
	}
	s.dispatch()
	s.cleanup(ctx)
	return s.stop(end)
}

// activate lets workers and pumps be started. It returns the jobs that came before.
func (s *Service) activate(base context.Context) ([]*job, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.base != nil {
		return nil, errors.New("task: Run was called already")
	}
	s.base, s.active = base, true
	return slices.Collect(maps.Values(s.jobs)), nil
}

// cleanup forgets tasks whose retention is over, until ctx ends.
func (s *Service) cleanup(ctx context.Context) {
	ticker := time.NewTicker(s.opts.CleanupInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case at := <-ticker.C:
			s.forget(s.store.expire(at.Add(-s.opts.Retention)))
		}
	}
}

// stop is the end of Run, from first to last. end ends what still publishes.
func (s *Service) stop(end context.CancelFunc) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopGrace)
	defer cancel()
	s.halt()
	s.flush(ctx)
	s.endPublishing()
	end()
	s.pumps.Wait()

	var err error
	if !s.waitUntil(ctx, s.noCalls) {
		err = fmt.Errorf("task: %d functions did not return within %v of being told to stop", s.callsLeft(), stopGrace)
	}
	close(s.abandon)
	s.workers.Wait()
	return err
}

// Drain prepares the end: from now on Start returns [ErrStopping]. It waits until
// nothing is pending or running; when ctx ends first, it cancels the rest with
// ErrStopping. Then it waits up to 5 s until the last events are published. Run
// goes on until its own context ends.
func (s *Service) Drain(ctx context.Context) {
	s.raise(draining)
	if !s.waitUntil(ctx, s.idle) {
		s.halt()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
	defer cancel()
	s.flush(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flushed = true
}

// halt cancels all tasks that are not over.
func (s *Service) halt() {
	s.raise(draining)
	// Calls of Start that were let in are about to be done; they wait for nothing.
	s.waitUntil(context.Background(), s.noneAdmitting)
	s.raise(halting)
	s.mu.Lock()
	s.queue = nil
	jobs := slices.Collect(maps.Values(s.jobs))
	s.mu.Unlock()
	for _, j := range jobs {
		s.cancel(j, ErrStopping)
	}
}

// flush waits until all events are published, unless that was tried before.
func (s *Service) flush(ctx context.Context) {
	if s.waitUntil(ctx, s.published) {
		return
	}
	s.mu.Lock()
	n := s.pumping
	s.mu.Unlock()
	s.log.Warn("stopping although events are not published", "tasks", n)
}

// endPublishing lets no pump begin any more.
func (s *Service) endPublishing() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.phase, s.active = stopped, false
}

// raise moves the service on towards its end, never back.
func (s *Service) raise(p phase) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.phase = max(s.phase, p)
}

// waitUntil waits until cond holds, and reports false if ctx ends first. Whoever
// changes what a cond looks at calls notify.
func (s *Service) waitUntil(ctx context.Context, cond func() bool) bool {
	for {
		changed := s.watch() // before cond, so that no change is missed
		if cond() {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// watch returns a channel that closes at the next notify.
func (s *Service) watch() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return s.changed
}

// notify wakes those who wait. The caller holds mu.
func (s *Service) notify() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// The conditions of waitUntil.

// idle: nothing is pending or running. Once no new tasks are taken it stays so:
// tasks that are about to be stored are looked for before those that are.
func (s *Service) idle() bool {
	if !s.noneAdmitting() {
		return false
	}
	counts := s.store.counts()
	return counts[Pending]+counts[Running] == 0
}

func (s *Service) noneAdmitting() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.admitting == 0
}

// published: nothing waits for the Publisher, or Drain has waited long enough.
func (s *Service) published() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.finishing+s.pumping == 0 || s.flushed
}

func (s *Service) noCalls() bool { return s.callsLeft() == 0 }

func (s *Service) callsLeft() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}
