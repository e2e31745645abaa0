package task

import (
	"context"
	"errors"
)

// Cancel ends a pending or running task, wherever it runs. The task is cancelled when
// Cancel returns, or soon after if the process that runs it does not answer. The
// function's context ends with [ErrCancelled]; its worker is free when it returns or
// times out. Errors: ErrNotFound if the task is unknown or over, ErrUnavailable.
func (s *Service) Cancel(ctx context.Context, id string) error {
	for try := 1; ; try++ {
		if j := s.job(id); j != nil {
			if done, err := s.finish(ctx, j, cancelling(ErrCancelled)); done || err != nil {
				return err
			}
		}
		if rec, ok := s.store.Peek(id); ok && rec.State.Final() {
			return ErrNotFound // without reading a result that may be large
		}
		rec, err := s.store.Load(ctx, id)
		if err != nil {
			return err
		}
		switch {
		case rec.State == Pending:
			err = s.finishIdle(ctx, rec, func(rec *Record) error { return rec.become(Cancelled, now()) })
		case rec.State == Running:
			err = s.cancelRemote(ctx, rec, try)
		default:
			return ErrNotFound
		}
		if !errors.Is(err, ErrConflict) {
			return err
		}
	}
}

// cancelling is the end of a run that is cancelled.
func cancelling(cause error) ending {
	return ending{cause: cause, become: func(rec *Record) error { return rec.become(Cancelled, now()) }}
}

// cancelRemote has a task cancelled by the process that runs it. If that does not
// answer, the record says so to the process that leases the task next.
func (s *Service) cancelRemote(ctx context.Context, rec Record, try int) error {
	answered, done := s.store.RequestCancel(ctx, rec)
	switch {
	case done:
		return nil
	case answered && try < 3:
		return ErrConflict // it has just ended, or will be run again
	}
	rec.Cancel = true
	_, err := s.update(ctx, rec)
	return err
}

// cancelLocal cancels a task that runs here, for another process.
func (s *Service) cancelLocal(ctx context.Context, id string) bool {
	j := s.job(id)
	if j == nil {
		return false
	}
	done, err := s.finish(ctx, j, cancelling(ErrCancelled))
	return done && err == nil
}

// finishIdle makes a task final that no process works on, and writes its last events
// from here.
func (s *Service) finishIdle(ctx context.Context, rec Record, become func(*Record) error) error {
	s.finishBegins()
	defer s.finishEnds()
	if err := become(&rec); err != nil {
		return err
	}
	j := s.jobFor(rec.ID)
	if err := j.lock(ctx); err != nil {
		return err
	}
	defer j.unlock()
	// An older job is about to begin the task, or to requeue it: its events come first.
	if s.job(rec.ID) != j || j.begun && !j.over {
		return ErrConflict
	}
	rec, err := s.update(ctx, rec)
	if err != nil {
		s.discard(j)
		return err
	}
	s.ended(j, rec)
	return nil
}

// discard drops a job that turned out to have nothing to do. If the task was leased
// to us meanwhile, no goroutine works on it yet, and the lease is released. The
// caller holds the job's lock.
func (s *Service) discard(j *job) {
	s.mu.Lock()
	idle := !j.working && !j.begun && !j.over
	if idle {
		s.retireLocked(j)
	}
	lease := j.lease
	s.mu.Unlock()
	if idle && lease != nil {
		s.releaseLease(j.id, lease, 0)
	}
}

// failOverdue fails a task that runs past its deadline and that no service has taken
// over.
func (s *Service) failOverdue(ctx context.Context, rec Record) {
	if s.job(rec.ID) != nil {
		return
	}
	rec, err := s.store.Load(ctx, rec.ID) // the hook gets a part of it
	if err == nil && rec.State == Running {
		err = s.finishIdle(ctx, rec, func(rec *Record) error { return rec.fail(timedOut, now()) })
	}
	if err != nil && !errors.Is(err, ErrConflict) && !errors.Is(err, ErrNotFound) {
		s.log.Warn("overdue task not ended yet", "task_id", rec.ID, "error", err)
	}
}

// recordChanged makes a run read its record again if another process has changed more
// than its progress.
func (s *Service) recordChanged(rec Record) {
	if rec.State.Final() {
		s.signalEnd(rec.ID)
	}
	if rec.Worker == s.worker && !rec.Cancel {
		return
	}
	if j := s.job(rec.ID); j != nil {
		select {
		case j.recheck <- struct{}{}:
		default:
		}
	}
}
