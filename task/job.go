package task

import (
	"context"
)

// job is the part of a task that lives in this process. There is one while the task runs
// here, and while its last events, or all of them again, are published from here.
type job struct {
	// Set once.
	id      string
	out     outbox
	retired chan struct{} // closed when this process is done with the task
	recheck chan struct{} // of size 1: another process wrote the record

	// lockCh is a lock for the record and what belongs to it below. It is a channel
	// because its holder may wait for the store, and others must see their context end.
	lockCh chan struct{}

	// Guarded by lockCh.
	rec     Record
	typ     Type
	lostRun *Record // of another worker, which this run follows
	begun   bool    // rec is of a run of ours
	unsure  bool    // or it may be: the write that began it got no answer
	over    bool    // the run was ended: its record is not ours any more
	after   func()  // what is to be done once all is published

	// Guarded by Service.mu.
	lease     Lease                   // nil if the task is not leased to us
	working   bool                    // it was given a slot
	cancel    context.CancelCauseFunc // ends the function's context; nil before it runs
	returned  bool                    // its function has returned
	stray     bool                    // its function still runs after the timeout, and its slot was freed
	isRetired bool                    // retired is closed
	deleted   bool                    // the task was deleted: only its lease is left to acknowledge
}

// newJob makes a job for a task.
func (s *Service) newJob(id string) *job {
	return &job{
		id: id, lockCh: make(chan struct{}, 1), retired: make(chan struct{}), recheck: make(chan struct{}, 1),
		out: outbox{id: id, maxEvents: s.opts.OutboxEvents, maxBytes: s.opts.OutboxBytes, total: &s.held},
	}
}

// job returns the job of a task, or nil.
func (s *Service) job(id string) *job {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.jobs[id]
}

// jobFor returns the job of a task, a new one if there is none.
func (s *Service) jobFor(id string) *job {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.jobs[id] == nil {
		s.jobs[id] = s.newJob(id)
	}
	return s.jobs[id]
}

// lock locks the record. A free lock is taken even if ctx has ended: its holder drops
// a job that has nothing to do.
func (j *job) lock(ctx context.Context) error {
	select {
	case j.lockCh <- struct{}{}:
		return nil
	default:
	}
	select {
	case j.lockCh <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (j *job) unlock() { <-j.lockCh }

// leaseOf returns the lease of a job; another may have taken its place since.
func (s *Service) leaseOf(j *job) Lease {
	s.mu.Lock()
	defer s.mu.Unlock()
	return j.lease
}

// complete does what is left to do when all events of a job are published, and drops
// the job, unless there is something to publish again.
func (s *Service) complete(j *job) {
	if j.lock(s.base) != nil {
		return
	}
	if !j.out.idleForGood() {
		j.unlock()
		return
	}
	after := j.after
	j.after = nil
	again := j.rec.State == Pending && after != nil
	if again {
		s.retire(j) // before the release: the task may be leased to us again at once
	}
	j.unlock()
	if after != nil {
		after()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if j.out.idleForGood() {
		s.retireLocked(j)
	}
}

// retire drops a job: the task is not ours any more. If it is leased to us again it
// gets another job.
func (s *Service) retire(j *job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retireLocked(j)
}

// retireLocked is retire for a caller that holds mu.
func (s *Service) retireLocked(j *job) {
	if s.jobs[j.id] == j {
		delete(s.jobs, j.id)
	}
	if !j.isRetired {
		j.isRetired = true
		close(j.retired)
	}
	s.notifyLocked()
}
