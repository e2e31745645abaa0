package task

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// stopGrace bounds what Drain and Run wait for at their end: the last events to
// be published, and functions to return.
const stopGrace = 5 * time.Second

// Run runs tasks, publishes their events and forgets old ones, until ctx ends.
// Then it stops all that runs here, with [ErrStopping]: tasks of a durable store
// that may be run again are handed back to it, and this attempt does not count;
// others are cancelled, and with the store in memory all that is pending as well.
// It waits up to 5 s for the last events to be published (unless Drain has done
// so) and for the functions to return, and returns nil. A function that still does
// not return is left behind, and the error says how many there were. If the store
// ends by itself Run ends too, in the same way, and returns why. Run may be called
// once.
func (s *Service) Run(ctx context.Context) error {
	base, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	taking, stopTaking := context.WithCancelCause(base)
	defer stopTaking(nil)
	jobs, err := s.activate(base, stopTaking)
	if err != nil {
		return err
	}
	defer close(s.finished)
	for _, j := range jobs {
		s.wakePump(j) // cancelled before Run
	}
	stored := make(chan error, 1)
	go func() { // ends with base; stop's caller waits for it below
		stored <- s.store.Run(base, Hooks{
			Worker: s.worker, Changed: s.recordChanged, Deleted: s.taskDeleted, Cancel: s.cancelLocal, Overdue: s.failOverdue,
		})
	}()
	go s.fetch(taking) // halt waits for it

	select {
	case <-ctx.Done():
		err = s.stop(end)
		return errors.Join(err, <-stored)
	case err := <-stored:
		// Nobody is told any more what others did to tasks, or what is overdue.
		err = fmt.Errorf("task: the store has ended: %w", cmp.Or(err, errStoreEnded))
		s.log.Error("stopping: no task can be kept any more", "error", err)
		return errors.Join(err, s.stop(end))
	}
}

// errStoreEnded: a store has ended before it was told to, and did not say why.
var errStoreEnded = errors.New("it gave no reason")

// activate lets workers and pumps be started. It returns the jobs that came before.
func (s *Service) activate(base context.Context, stopTaking context.CancelCauseFunc) ([]*job, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.base != nil {
		return nil, errors.New("task: Run was called already")
	}
	s.base, s.active, s.fetching, s.stopTaking = base, true, true, stopTaking
	return slices.Collect(maps.Values(s.jobs)), nil
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

// Drain prepares the end: from now on Start returns [ErrStopping]. With the store
// in memory it waits until nothing is pending or running; with a durable one no
// task is begun here any more, and it waits for those that run here. When ctx ends
// first, it stops the rest as the end of [Service.Run] does. Then it waits up to
// 5 s until the last events are published. Run goes on until its own context ends.
func (s *Service) Drain(ctx context.Context) {
	s.advance(draining)
	if s.store.Durable() {
		s.takeNoMore()
	}
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

// Unfinished returns what Drain waits for: how many tasks run here, and, with the store
// in memory, how many are pending.
func (s *Service) Unfinished() (running, pending int) {
	s.mu.Lock()
	running = s.live
	s.mu.Unlock()
	if !s.store.Durable() {
		pending = s.store.Counts()[Pending]
	}
	return running, pending
}

// takeNoMore lets no task be begun any more.
func (s *Service) takeNoMore() {
	s.mu.Lock()
	stop := s.stopTaking
	s.mu.Unlock()
	if stop != nil {
		stop(ErrStopping)
	}
	// What was fetched is about to be begun, or given back.
	s.waitUntil(context.Background(), s.noneTaken)
}

// halt ends all tasks that are not over, as far as they end with this process.
func (s *Service) halt() {
	s.advance(draining)
	s.waitForStarts()
	s.advance(halting)
	s.takeNoMore()
	ctx, cancel := context.WithTimeout(context.Background(), stopGrace)
	defer cancel()
	s.mu.Lock()
	jobs := slices.Collect(maps.Values(s.jobs))
	s.mu.Unlock()
	for _, j := range jobs {
		if _, err := s.finish(ctx, j, s.stopping()); err != nil {
			s.log.Warn("task not stopped in time; another service will find it", "task_id", j.id, "error", err)
		}
	}
	if !s.store.Durable() {
		s.cancelPending(ctx)
	}
}

// waitForStarts waits for calls of Start that were let in: they are about to be done.
func (s *Service) waitForStarts() {
	ctx, cancel := context.WithTimeout(context.Background(), stopGrace)
	defer cancel()
	s.waitUntil(ctx, s.noneAdmitting)
}

// stopping is how runs end when the service stops.
func (s *Service) stopping() ending {
	return ending{cause: ErrStopping, become: func(rec *Record) error {
		if s.store.Durable() && rec.MaxAttempts > 1 && !rec.Cancel {
			rec.Attempt--
			return rec.become(Pending, now())
		}
		return rec.become(Cancelled, now())
	}}
}

// cancelPending cancels what will not run any more.
func (s *Service) cancelPending(ctx context.Context) {
	for {
		recs := s.store.List(math.MaxUint64, Filter{State: Pending}, maxPage)
		if len(recs) == 0 {
			return
		}
		for _, rec := range recs {
			// A conflict means that somebody has cancelled it.
			_ = s.finishIdle(ctx, rec, func(rec *Record) error { return rec.become(Cancelled, now()) })
		}
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

// advance moves the service on towards its end, never back.
func (s *Service) advance(p phase) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.phase = max(s.phase, p)
}

// waitUntil waits until cond holds, and reports false if ctx ends first. Whoever
// changes what a cond looks at calls notify.
func (s *Service) waitUntil(ctx context.Context, cond func() bool) bool {
	for {
		changed := s.nextChange() // before cond, so that no change is missed
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

// nextChange returns a channel that closes at the next notify.
func (s *Service) nextChange() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return s.changed
}

// notify is notify for a caller that does not hold mu.
func (s *Service) notify() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notifyLocked()
}

// notifyLocked wakes those who wait. The caller holds mu.
func (s *Service) notifyLocked() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// The conditions of waitUntil.

// idle: nothing runs here, and with the store in memory nothing is pending. Once no
// new tasks are taken it stays so: tasks that are about to be stored or begun are
// looked for before those that are.
func (s *Service) idle() bool {
	if !s.noneAdmitting() {
		return false
	}
	if s.store.Durable() {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.live == 0
	}
	counts := s.store.Counts()
	return counts[Pending]+counts[Running] == 0
}

func (s *Service) noneTaken() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.fetching && s.preparing == 0
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
