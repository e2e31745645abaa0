package task

import (
	"context"
	"slices"
	"time"
)

// resume writes the last events of a final task that is lent to us: whoever made
// it final died, or is late, before it had told so. The caller has the turn.
func (s *Service) resume(j *job) {
	rec := j.rec
	j.over = true
	end := endEvents(rec, s.opts.StatusPath, s.opts.MaxEventBytes)
	reader, ok := s.opts.Publisher.(LogReader)
	if !ok {
		s.seal(j, rec, end)
		return
	}
	// The log may be asked for long; others have the turn meanwhile.
	s.workers.Go(func() {
		end, ok := missing(s.base, reader, j.id, end, s.logUnread(j))
		if !ok || j.lock(s.base) != nil {
			return
		}
		defer j.unlock()
		s.seal(j, rec, end)
	})
}

// logUnread tells of a log that cannot be read.
func (s *Service) logUnread(j *job) func(try int, err error) {
	return func(try int, err error) {
		if try == warnTry {
			s.log.Warn("log of a task cannot be read, will go on trying", "task_id", j.id, "error", err)
		}
	}
}

// missing returns those of the events that are not in the log of a task. It asks
// until it gets an answer; ok is false if ctx ends before.
func missing(ctx context.Context, reader LogReader, id string, events []item, failed func(int, error)) (_ []item, ok bool) {
	for try := 1; ; try++ {
		terminal, closed, err := reader.Ended(ctx, id)
		if err == nil {
			return slices.DeleteFunc(slices.Clone(events), func(it item) bool {
				return closed || terminal && it.kind != kindClose
			}), true
		}
		failed(try, err)
		if !sleep(ctx, pause(try)) {
			return nil, false
		}
	}
}

// stale reports whether a batch that was first tried at the given time may hold
// the end of a log, and be in it, without its keys being known any more.
func stale(batch []item, first time.Time) bool {
	return time.Since(first) > keyLife && slices.ContainsFunc(batch, func(it item) bool { return it.kind >= kindEnd })
}
