package task

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"
)

// Pauses between two tries to publish the same events.
const (
	firstPause = 100 * time.Millisecond
	maxPause   = 10 * time.Second
	warnTry    = 8 // the try whose failure is worth a warning: after some ten seconds
)

// wakePump starts the pump of j if it is needed and there is none. A pump lives
// only while there is something to publish. Before Run there are no pumps.
// It reports false if the service does not publish any more.
func (s *Service) wakePump(j *job) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.active {
		return s.phase < stopped
	}
	ctx, stop := context.WithCancel(s.base)
	if !j.out.claim(stop) {
		stop()
		return true
	}
	s.pumping++
	// Run waits for the group, after it has cleared active.
	s.pumps.Go(func() {
		defer stop()
		s.pump(ctx, j)
	})
	return true
}

// pump publishes the events of one task, in order, until none are left.
func (s *Service) pump(ctx context.Context, j *job) {
	for {
		batch, end := j.out.take(s.opts.BatchEvents, s.opts.BatchBytes, ctx.Err() != nil)
		switch end {
		case notEnded:
			if s.publish(ctx, j, batch) {
				j.out.done(len(batch))
				s.notify() // there may be room again
			}
			continue
		case endComplete:
			s.complete(j)
		case endDropped:
			s.logDeleted(j.id)
		}
		break
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pumping--
	s.notifyLocked()
}

// publish repeats a batch until the Publisher has taken all of it, or ctx ends.
func (s *Service) publish(ctx context.Context, j *job, batch []item) bool {
	first := time.Now()
	for try := 1; ; {
		if batch = inTime(batch); len(batch) == 0 {
			return true
		}
		begun := time.Now()
		err := s.opts.Publisher.Publish(ctx, j.id, events(batch))
		s.opts.Observer.Published(len(batch), time.Since(begun), err)
		if err == nil {
			return true
		}
		if rejected, ok := errors.AsType[*RejectedError](err); ok && rejected.Index >= 0 && rejected.Index < len(batch) {
			batch = s.withoutRejected(j, batch, rejected)
			continue
		}
		s.logFailure(j, try, err)
		if !sleep(ctx, pause(try)) {
			return false
		}
		try++
		if reader, ok := s.opts.Publisher.(LogReader); ok && stale(batch, first) {
			if batch, ok = missing(ctx, reader, j.id, batch, s.logUnread(j)); !ok {
				return false
			}
		}
	}
}

// inTime leaves out what may not be published any more.
func inTime(batch []item) []item {
	return slices.DeleteFunc(batch, func(it item) bool { return !it.until.IsZero() && time.Now().After(it.until) })
}

// events returns the events of a batch.
func events(batch []item) []Event {
	events := make([]Event, len(batch))
	for i, it := range batch {
		events[i] = it.Event
	}
	return events
}

// withoutRejected replaces the event that was rejected by a small one if it is a
// terminal one, and leaves it out otherwise.
func (s *Service) withoutRejected(j *job, batch []item, rejected *RejectedError) []item {
	i := rejected.Index
	if it := &batch[i]; it.kind == kindEnd && j.lock(s.base) == nil {
		rec := j.rec
		j.unlock()
		s.log.Warn("terminal event rejected; publishing it without its payload", "task_id", j.id, "bytes", len(it.Data), "error", rejected.Err)
		it.kind = kindShortEnd
		it.Data = shortEnd(rec, s.opts.StatusPath, minEventBytes)
		return batch
	}
	s.log.Error("event rejected; leaving it out of the log", "task_id", j.id, "key", batch[i].Key, "bytes", len(batch[i].Data), "error", rejected.Err)
	s.opts.Observer.Dropped(j.id, rejected.Err)
	return append(batch[:i], batch[i+1:]...)
}

// logFailure warns once for each batch that the Publisher fails for long.
func (s *Service) logFailure(j *job, try int, err error) {
	log := s.log.Debug
	if try == warnTry {
		log = s.log.Warn
	}
	log("cannot publish events; trying again", "task_id", j.id, "try", try, "error", err)
}

// pause is how long to wait after the given try, the first being 1. It doubles each time
// up to a bound. Half of it is random, so that the tasks do not all try at once.
func pause(try int) time.Duration {
	p := maxPause
	if try < 10 {
		p = min(firstPause<<(try-1), maxPause)
	}
	return p/2 + rand.N(p/2)
}

// sleep waits for d and reports whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
