package task

import (
	"context"
	"sync"
	"time"
)

// storeProgressEvery is between two looks whether there is progress to store.
const storeProgressEvery = time.Second

// holdLease keeps the lease of a task, and stores its progress, for as long as the task
// is ours: also while its last events wait to be published. The lease of one that is
// forgotten before they are is settled here.
func (s *Service) holdLease(j *job) {
	lasts := s.leaseOf(j).TTL()
	if lasts == 0 {
		return // nobody else will ever ask
	}
	var renewals sync.WaitGroup
	defer renewals.Wait()
	renewals.Go(func() { s.renew(j, lasts/3) })
	looks := time.NewTicker(lasts / 3 * 4)
	defer looks.Stop()
	snapshots := time.NewTicker(storeProgressEvery)
	defer snapshots.Stop()
	for {
		select {
		case <-s.base.Done():
			return
		case <-j.retired:
			if s.isDeleted(j) {
				s.acknowledge(j, Record{ID: j.id, State: Cancelled})
			}
			return
		case <-looks.C:
			s.checkRecord(s.base, j)
		case <-j.recheck:
			s.checkRecord(s.base, j)
		case <-snapshots.C:
			s.storeProgress(s.base, j)
		}
	}
}

func (s *Service) isDeleted(j *job) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return j.deleted
}

// renew keeps the lease of a task. It waits for nothing but that: whoever has the
// turn, and for however long the store does not take what is written, the task
// stays ours.
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

// checkRecord reads the record of a run: it may have been taken from us, or be about to
// be cancelled by somebody whom we did not answer.
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
		_, _ = s.finish(ctx, j, cancelling(ErrCancelled)) // the next look tries again
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
