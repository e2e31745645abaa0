package task

import (
	"context"
	"errors"
	"time"
)

// fetch takes tasks from the store while slots are free, until ctx ends. While
// the Publisher is so far behind that the outboxes together are full, it takes
// none.
func (s *Service) fetch(ctx context.Context) {
	defer s.fetchEnds()
	for try := 1; ; {
		if !s.waitUntil(ctx, s.hasRoom) {
			return
		}
		leases, err := s.fetchOnce(ctx)
		for _, lease := range leases {
			s.assign(ctx, lease)
		}
		if err == nil {
			try = 1
			continue
		}
		if ctx.Err() != nil {
			return
		}
		log := s.log.Debug
		if try == warnTry {
			log = s.log.Warn
		}
		log("cannot fetch tasks; trying again", "try", try, "error", err)
		if !sleep(ctx, pause(try)) {
			return
		}
		try++
	}
}

func (s *Service) fetchEnds() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fetching = false
	s.notifyLocked()
}

func (s *Service) hasRoom() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	late := s.phase >= halting || s.phase >= draining && s.store.Durable()
	// Tasks that are being prepared are not counted yet.
	types, n := s.fetchable()
	open := len(types) > 0 && n > 0 && (!s.limited || s.preparing == 0)
	return !late && open && s.held.Load() < int64(s.opts.UnpublishedBytes)
}

// assign gives a worker slot to a task that was leased to us. If we still work on it,
// because an earlier lease expired unnoticed, the work goes on with the new lease. If
// we are about to end it, the lease is held until it has ended.
func (s *Service) assign(ctx context.Context, lease Lease) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.jobs[lease.TaskID()]
	if j != nil && !j.isRetired {
		had := j.lease != nil
		j.lease = lease
		if !had {
			s.workers.Go(func() { s.holdLease(j) })
		}
		return
	}
	j = s.newJob(lease.TaskID())
	j.lease, j.working = lease, true
	s.jobs[j.id] = j
	s.free--
	s.preparing++
	// Run waits for the group after fetch has ended.
	s.workers.Go(func() { s.work(ctx, j) })
	s.workers.Go(func() { s.holdLease(j) })
}

// stoppingTries bounds the tries to learn the outcome of a write once the service
// begins no more tasks.
const stoppingTries = 3

// prepare decides what to do with a task that was leased to us. If that is to run it,
// prepare returns the Run; else it does it. Several services may try at once, but the
// store lets only one of them change the record.
//
// A write without an answer may have begun the task. Then the task is not released: the
// next service would find it begun, and count an attempt or call us lost. So prepare
// waits for such a write even if taking has ended, after which it begins nothing.
func (s *Service) prepare(taking context.Context, j *job) *Run {
	if err := j.lock(s.base); err != nil {
		s.releaseJob(j, 0)
		return nil
	}
	defer j.unlock()
	for try, late := 1, 0; ; try++ {
		if taking.Err() != nil {
			late++
		}
		if !j.unsure && (late > 0 || try > warnTry) || late > stoppingTries {
			s.releaseJob(j, 0)
			return nil
		}
		run, err := s.decide(taking, j)
		switch {
		case err == nil:
			return run
		case errors.Is(err, ErrNotFound): // removed; nothing is to be done
			j.rec, j.over = Record{ID: j.id, State: Cancelled}, true
			s.seal(j, j.rec, nil)
			return nil
		case errors.Is(err, ErrConflict):
			try-- // another writer was first
		case !sleep(taking, pause(try)):
			sleep(s.base, firstPause)
		}
	}
}

// decide reads the record of a leased task, and moves it on by one step; if taking
// has ended it begins none. The caller holds the lock of j.
func (s *Service) decide(taking context.Context, j *job) (*Run, error) {
	rec, err := s.store.Load(s.base, j.id)
	if err != nil {
		return nil, err
	}
	j.rec, j.unsure = rec, false
	s.mu.Lock()
	j.typ = s.types[rec.Type]
	s.mu.Unlock()

	at := now()
	if ended, err := s.adoptEndOfLog(j); ended || err != nil {
		return nil, err
	}
	switch {
	case rec.State.Final():
		s.resume(j)
		return nil, nil
	case rec.Cancel:
		return nil, s.finishLeased(j, func(rec *Record) error { return rec.become(Cancelled, at) })
	case rec.State == Running && rec.Worker == s.worker:
		return s.beginRun(j, at)
	case rec.State == Running && rec.Attempt >= rec.MaxAttempts:
		return nil, s.finishLeased(j, func(rec *Record) error { return rec.fail(workerLost, at) })
	case rec.State == Running && at.After(rec.Deadline):
		return nil, s.finishLeased(j, func(rec *Record) error { return rec.fail(timedOut, at) })
	case taking.Err() != nil:
		return nil, context.Cause(taking)
	case rec.State == Pending && rec.RunAt.After(at):
		s.releaseJob(j, rec.RunAt.Sub(at))
		return nil, nil
	default:
		return s.beginRun(j, at)
	}
}

// adoptEndOfLog makes a record final whose log has a terminal event. Clients have seen the
// log, and a loss of power has undone the write of the record. It reads only logs of
// tasks that another process may have ended. The caller holds the lock of j.
func (s *Service) adoptEndOfLog(j *job) (bool, error) {
	reader, ok := s.opts.Publisher.(EndReader)
	lost := j.rec.State == Running && j.rec.Worker != s.worker || j.rec.State == Pending && j.rec.Created.Before(s.since)
	if !ok || !lost {
		return false, nil
	}
	end, ended, err := reader.End(s.base, j.id)
	if err != nil || !ended || !end.State.Final() {
		return false, err
	}
	s.finishBegins()
	defer s.finishEnds()
	rec := j.rec
	if rec.State == Pending {
		err = rec.become(Running, end.At)
	}
	if err == nil {
		err = rec.become(end.State, end.At)
	}
	if err != nil {
		return false, err
	}
	rec.Result, rec.Error = end.Result, end.Error
	if rec, err = s.update(s.base, rec); err != nil {
		return false, err
	}
	s.log.Warn("the record of a task was older than its log: it ends as that says", "task_id", j.id, "type", rec.Type, "state", rec.State)
	j.rec = rec
	s.opts.Observer.Ended(infoOf(rec))
	s.signalEnd(j.id)
	s.resume(j)
	return true, nil
}

// Errors of tasks that no process works on any more.
const (
	timedOut   = "Task timed out"
	workerLost = "worker_lost: the process that ran the task is gone"
)

// finishLeased makes a task final that is leased to us and that we do not run. The
// caller holds the lock of j.
func (s *Service) finishLeased(j *job, become func(*Record) error) error {
	s.finishBegins()
	defer s.finishEnds()
	rec := j.rec
	if err := become(&rec); err != nil {
		return err
	}
	rec, err := s.update(s.base, rec)
	if err != nil {
		return err
	}
	s.ended(j, rec)
	return nil
}

// releaseJob releases the lease of a task that we did not begin.
func (s *Service) releaseJob(j *job, pause time.Duration) {
	s.retire(j) // before the release: the task may be leased to us again at once
	s.releaseLease(j.id, s.leaseOf(j), pause)
}

// releaseLease lets a task be leased again after a pause, perhaps to us.
func (s *Service) releaseLease(id string, lease Lease, pause time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), stopGrace)
	defer cancel()
	if err := lease.Release(ctx, pause); err != nil {
		s.log.Warn("lease of a task not released; the task waits until it expires", "task_id", id, "error", err)
	}
}
