package task

import (
	"context"
	"sync"
	"time"
)

// storeProgressEvery is between two writes of a task's latest progress.
const storeProgressEvery = time.Second

// holdLease renews the lease of a task, and stores its progress, for as long as the task
// is ours. That includes the time in which its last events wait to be published. It
// acknowledges the lease of a task that was deleted before they were.
func (s *Service) holdLease(j *job) {
	ttl := s.leaseOf(j).TTL()
	if ttl == 0 {
		return // it never expires
	}
	var renewals sync.WaitGroup
	defer renewals.Wait()
	renewals.Go(func() { s.renew(j, ttl/3) })
	checks := time.NewTicker(ttl / 3 * 4)
	defer checks.Stop()
	progress := time.NewTicker(storeProgressEvery)
	defer progress.Stop()
	for {
		select {
		case <-s.base.Done():
			return
		case <-j.retired:
			if s.isDeleted(j) {
				s.acknowledge(j, Record{ID: j.id, State: Cancelled})
			}
			return
		case <-checks.C:
			s.checkRecord(s.base, j)
		case <-j.recheck:
			s.checkRecord(s.base, j)
		case <-progress.C:
			s.storeProgress(s.base, j)
		}
	}
}

func (s *Service) isDeleted(j *job) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return j.deleted
}

// renew renews the lease of a task. It waits for nothing else, so that the task stays
// ours however long the job's lock is held or the store refuses writes.
func (s *Service) renew(j *job, every time.Duration) {
	beat := time.NewTicker(every)
	defer beat.Stop()
	for {
		select {
		case <-s.base.Done():
			return
		case <-j.retired:
			return
		case <-beat.C:
			s.keep(j, every)
		}
	}
}

func (s *Service) keep(j *job, bound time.Duration) {
	ctx, cancel := context.WithTimeout(s.base, bound)
	defer cancel()
	if err := s.leaseOf(j).Renew(ctx); err != nil {
		s.log.Debug("lease of a task not renewed", "task_id", j.id, "error", err)
	}
}

// checkRecord reads the record of a run: another service may have taken it over, or
// asked to cancel it while we did not answer.
func (s *Service) checkRecord(ctx context.Context, j *job) {
	if j.lock(ctx) != nil {
		return
	}
	if !j.begun || j.over {
		j.unlock()
		return
	}
	err := s.reread(ctx, j)
	if err == ErrLost {
		s.lose(j)
	}
	cancel := err == nil && j.rec.Cancel
	j.unlock()
	if cancel {
		_, _ = s.finish(ctx, j, cancelling(ErrCancelled)) // the next check tries again
	}
}

// storeProgress stores the latest progress of a run if it is news.
func (s *Service) storeProgress(ctx context.Context, j *job) {
	if j.lock(ctx) != nil {
		return
	}
	defer j.unlock()
	last := j.out.progress()
	if !j.begun || j.over || last == nil || last.at.Equal(j.rec.ProgressAt) {
		return
	}
	if _, err := s.write(ctx, j, ending{become: func(*Record) error { return nil }}); err == ErrLost {
		s.lose(j)
	}
}
