package task

import (
	"context"
	"slices"
	"time"
)

// resume writes the last events of a final task that is leased to us. The process that
// made it final died before it had published them, or is late. The caller holds the lock
// of j.
func (s *Service) resume(j *job) {
	rec := j.rec
	j.over = true
	end := endEvents(rec, s.opts.StatusPath, s.opts.MaxEventBytes)
	reader, ok := s.opts.Publisher.(LogReader)
	if !ok {
		s.seal(j, rec, end)
		return
	}
	// Reading the log may take long; the lock is free meanwhile.
	s.workers.Go(func() {
		end, ok := missing(s.base, reader, j.id, end, s.logUnread(j))
		if !ok || j.lock(s.base) != nil {
			return
		}
		defer j.unlock()
		s.seal(j, rec, end)
	})
}

// logUnread warns once that a log cannot be read.
func (s *Service) logUnread(j *job) func(try int, err error) {
	return func(try int, err error) {
		if try == warnTry {
			s.log.Warn("cannot read the log of a task; trying again", "task_id", j.id, "error", err)
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

// stale reports whether a batch has the end of a log and was first tried so long ago that
// it may be in the log without its keys being known any more.
func stale(batch []item, first time.Time) bool {
	return time.Since(first) > keyLife && slices.ContainsFunc(batch, func(it item) bool { return it.kind >= kindEnd })
}
