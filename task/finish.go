package task

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ending is how a run is to end.
type ending struct {
	become func(*Record) error
	cause  error // of the end of the function's context

	// untilStored: the end is certain, and the store is tried until it takes it. The
	// function's context then ends even while the store cannot be reached.
	untilStored bool
	pause       time.Duration // before a task that became pending is begun again
	reason      string        // why an attempt has ended that another one follows; "" if it does not count

	// full, if set, is called when the store has no room for the record: become then
	// makes a smaller one of it.
	full func()
}

// conclude makes the task final as its function ended it, or pending if it is to
// be run again, unless it is over already.
func (s *Service) conclude(run *Run, out outcome) {
	full := func() {
		if n := len(out.result) + len(out.err); n > minEventBytes {
			out = outcome{state: Failed, err: fmt.Sprintf("no room to store the outcome of %d bytes", n), permanent: true}
		}
	}
	pause := retryPause(run.typ, run.attempt)
	s.finish(s.base, run.job, ending{cause: errReturned, untilStored: true, full: full, pause: pause, reason: out.err, become: func(rec *Record) error {
		if out.state == Failed && !out.permanent && rec.Attempt < rec.MaxAttempts && !rec.Cancel {
			rec.RunAt = now().Add(pause)
			return rec.become(Pending, now())
		}
		if rec.Cancel {
			return rec.become(Cancelled, now())
		}
		rec.Result, rec.Error = out.result, out.err
		return rec.become(out.state, now())
	}})
}

// maxRetryPause bounds the pause between two attempts.
const maxRetryPause = 5 * time.Minute

// retryPause is the pause after the given attempt: doubled with each.
func retryPause(t Type, attempt int) time.Duration {
	p := t.RetryPause
	for range min(attempt-1, 20) {
		p = min(2*p, maxRetryPause)
	}
	return p
}

// timeOut fails the task, unless it is over already.
func (s *Service) timeOut(run *Run) {
	s.finish(s.base, run.job, ending{cause: ErrTimeout, untilStored: true, become: func(rec *Record) error {
		return rec.fail(fmt.Sprintf("%s after %v", timedOut, run.typ.Timeout), now())
	}})
}

// finish ends a run in three steps: the record, the log, the function's context.
// The record comes first and decides: of several that end a task, one succeeds, and
// only that one writes the end of the log. The context comes last, so that a
// function that returns because of it cannot change anything any more. It reports
// false if the run was over already; an error is that of the store, or ctx's.
func (s *Service) finish(ctx context.Context, j *job, e ending) (bool, error) {
	s.finishBegins()
	defer s.finishEnds()
	if err := j.lock(ctx); err != nil {
		return false, err
	}
	defer j.unlock()
	if !j.begun || j.over {
		return false, nil
	}
	j.out.hold()
	rec, err := s.write(ctx, j, e)
	switch {
	case errors.Is(err, ErrLost):
		s.lose(j)
		return false, nil
	case err != nil:
		j.out.release()
		return false, err
	}
	s.ended(j, rec)
	if rec.State == Pending {
		s.requeue(j, rec, e)
	}
	s.endContext(j, e.cause)
	return true, nil
}

// write stores the end of a run, or what else e makes of the record. It returns
// ErrLost if the task is not ours any more. The caller holds the lock of j.
func (s *Service) write(ctx context.Context, j *job, e ending) (Record, error) {
	for try := 1; ; try++ {
		rec := j.rec
		if err := e.become(&rec); err != nil {
			return rec, err
		}
		if last := j.out.progress(); last != nil {
			rec.Progress, rec.ProgressAt = &last.info, last.at
		}
		rec, err := s.update(ctx, rec)
		switch {
		case err == nil:
			j.rec = rec
			return rec, nil
		case errors.Is(err, ErrNotFound):
			return rec, ErrLost
		case errors.Is(err, ErrConflict):
			if err = s.reread(ctx, j); err == nil {
				continue
			}
		case errors.Is(err, ErrBusy) && e.full != nil:
			e.full()
		}
		if errors.Is(err, ErrLost) || !e.untilStored || ctx.Err() != nil {
			return rec, err
		}
		s.endContext(j, e.cause)
		if try == warnTry {
			s.log.Warn("cannot store the end of a task; trying again", "task_id", j.id, "error", err)
		}
		if !sleep(ctx, pause(try)) {
			return rec, err
		}
	}
}

// update stores a record.
func (s *Service) update(ctx context.Context, rec Record) (Record, error) {
	if rec.State.Final() {
		rec.Retention = s.opts.Retention
	}
	return s.store.Update(ctx, rec)
}

// reread loads what another process wrote to the record of our run. It returns ErrLost
// if that took the task from us. The caller holds the lock of j.
func (s *Service) reread(ctx context.Context, j *job) error {
	rec, err := s.store.Load(ctx, j.id)
	switch {
	case errors.Is(err, ErrNotFound), err == nil && !rec.heldBy(s.worker, j.rec.Run):
		return ErrLost
	case err != nil:
		return err
	}
	j.rec = rec
	return nil
}

// ended notes that this process has ended a task as rec says, and puts its last events
// in the outbox. The caller holds the lock of j.
func (s *Service) ended(j *job, rec Record) {
	wasLive := j.begun && !j.over
	j.rec, j.over = rec, true
	if rec.State.Final() {
		s.seal(j, rec, endEvents(rec, s.opts.StatusPath, s.opts.MaxEventBytes))
		s.opts.Observer.Ended(infoOf(rec))
		s.signalEnd(rec.ID)
		s.log.Debug("task ended", "task_id", rec.ID, "type", rec.Type, "state", rec.State, "error", cut(rec.Error, 200))
	}
	if wasLive {
		s.liveEnds()
	}
}

func (s *Service) liveEnds() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live--
	s.notifyLocked()
}

// seal puts the given last events of a task in its outbox. The first event is put
// before them if the process that should have published it may have died.
func (s *Service) seal(j *job, rec Record, end []item) {
	var started *item
	whole := len(end) == 2 // else the log has the beginning, and more
	if whole && !rec.Started.IsZero() {
		started = new(repeatedStart(rec))
	}
	j.after = func() { s.acknowledge(j, rec) }
	if j.out.seal(started, end) {
		s.wakePump(j)
	}
}

// acknowledge takes a task whose log is complete out of the queue.
func (s *Service) acknowledge(j *job, rec Record) {
	for try := 1; ; try++ {
		err := s.store.Acknowledge(s.base, rec, s.leaseOf(j))
		if err == nil {
			break
		}
		if try == warnTry {
			s.log.Warn("cannot take a task out of the queue; trying again", "task_id", j.id, "error", err)
		}
		if !sleep(s.base, pause(try)) {
			break
		}
	}
}

// requeue returns a task to the queue once all its events are published.
func (s *Service) requeue(j *job, rec Record, e ending) {
	j.after = func() {
		if err := s.leaseOf(j).Release(s.base, e.pause); err != nil {
			s.log.Warn("lease of a task not released; the task waits until it expires", "task_id", j.id, "error", err)
		}
	}
	s.log.Info("task will be run again", "task_id", rec.ID, "type", rec.Type, "attempts", rec.Attempt, "of", rec.MaxAttempts, "in", e.pause)
	var last []item
	if e.reason != "" {
		last = append(last, retryingEvent(rec, e.reason, now(), rec.RunAt, s.opts.MaxEventBytes))
	}
	if j.out.seal(nil, last) {
		s.wakePump(j)
	}
}

// lose stops a run that another process has taken over: nothing more is published,
// and the record is left alone. The caller holds the lock of j.
func (s *Service) lose(j *job) {
	if j.over {
		return
	}
	j.over = true
	s.log.Warn("task lost to another service: the store was unreachable until the lease expired", "task_id", j.id, "run", j.rec.Run)
	j.out.lose()
	s.endContext(j, ErrLost)
	s.retire(j)
	s.liveEnds()
}

// endContext ends the context of a job's function.
func (s *Service) endContext(j *job, cause error) {
	s.mu.Lock()
	cancel := j.cancel
	s.mu.Unlock()
	if cancel != nil {
		cancel(cause)
	}
}

// finishBegins makes flush wait for the pump that this end will wake.
func (s *Service) finishBegins() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finishing++
}

func (s *Service) finishEnds() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finishing--
	s.notifyLocked()
}
