package task

import (
	"context"
	"maps"
	"math"
	"slices"
)

// Drain prepares the end: from now on Start returns [ErrStopping]. With the store in
// memory Drain waits until nothing is pending or running. With a durable store no task
// is begun here any more, and it waits for those that run here. When ctx ends first, it
// stops the rest as the end of [Service.Run] does. Then it waits up to 5 s until the
// last events are published. Run goes on until its own context ends.
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
			s.log.Warn("task not stopped in time; another service will take it over", "task_id", j.id, "error", err)
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
			// A conflict means that another call has cancelled it.
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
