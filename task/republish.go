package task

import "context"

// Republish writes the log of a finished task once more, for when the log was lost:
// task_started, the latest progress, the terminal event and connection_close. Their keys
// are "<id>:r1" and so on, the same at each call. It returns when they are published.
// Several calls at once for one task publish once.
//
// When ctx ends first it returns the cause, and the events are published later. Other
// errors: ErrNotFound if the task is unknown or not over; ErrBusy while another process
// publishes its last events; ErrUnavailable; ErrStopping if the service has stopped.
func (s *Service) Republish(ctx context.Context, id string) error {
	rec, err := s.store.Load(ctx, id)
	if err != nil {
		return err
	}
	if !rec.State.Final() {
		return ErrNotFound
	}
	if s.job(id) == nil {
		queued, err := s.store.Queued(ctx, rec)
		if err != nil {
			return err
		}
		if queued {
			return errOnTheirWay
		}
	}
	j, idle, err := s.repeat(rec)
	if err != nil {
		return err
	}
	if !s.wakePump(j) {
		return ErrStopping
	}
	select {
	case <-idle:
		return j.out.repeated()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// repeat puts the log of a task in the outbox of its job, or of a new one.
func (s *Service) repeat(rec Record) (*job, <-chan struct{}, error) {
	log := s.wholeLog(rec)
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.jobs[rec.ID]
	if j == nil {
		j = s.newJob(rec.ID)
		j.rec, j.over = rec, true
		j.out.sealed, j.out.complete = true, true
		s.jobs[j.id] = j
	}
	idle, err := j.out.repeat(log)
	return j, idle, err
}

// wholeLog is the log of a final task, with the latest progress only.
func (s *Service) wholeLog(rec Record) []item {
	var log []item
	if !rec.Started.IsZero() {
		log = append(log, startedEvent(rec))
	}
	if rec.Progress != nil {
		log = append(log, progressEvent(rec))
	}
	return append(log, endEvents(rec, s.opts.StatusPath, s.opts.MaxEventBytes)...)
}
