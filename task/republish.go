package task

import "context"

// Republish writes the log of a finished task once more, for when the log was
// lost: task_started, the latest progress, the terminal event and
// connection_close, with keys "<id>:r1" and so on, which are the same at each
// call. It returns when they are published. When ctx ends first it returns the
// cause; the events are published later nevertheless. ErrNotFound if the task is
// unknown or not over, ErrStopping if the service has stopped.
//
// Several calls at once for one task publish once.
func (s *Service) Republish(ctx context.Context, id string) error {
	rec, ok := s.store.load(id)
	j := s.job(id)
	if !ok || j == nil || !rec.state.Final() {
		return ErrNotFound
	}
	idle, err := j.out.repeat(s.wholeLog(rec, j))
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

// wholeLog is the log of a final task, with the latest progress only.
func (s *Service) wholeLog(rec record, j *job) []item {
	var log []item
	if !rec.start.IsZero() {
		log = append(log, startedEvent(rec))
	}
	if last := j.out.progress(); last != nil {
		log = append(log, item{kind: kindProgress, Event: Event{Name: EventTask, Data: last.event}})
	}
	return append(log, endEvents(rec, s.opts.StatusPath, s.opts.MaxEventBytes)...)
}
