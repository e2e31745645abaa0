package task

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"time"
)

// outcome is what a function returned, as the record wants it.
type outcome struct {
	state  State // Completed or Failed
	result []byte
	err    string
}

// dispatch begins pending tasks while slots are free. While the Publisher is so
// far behind that the outboxes together are full, none is begun.
func (s *Service) dispatch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.active && s.phase < halting && s.free > 0 && len(s.queue) > 0 && s.held.Load() < int64(s.opts.UnpublishedBytes) {
		j := s.queue[0]
		s.queue[0] = nil
		s.queue = s.queue[1:]
		s.free--
		// Run waits for the group, after it has raised the phase to halting.
		s.workers.Go(func() { s.work(j) })
	}
}

// work runs one task in a slot and gives the slot back.
func (s *Service) work(j *job) {
	defer s.dispatch()
	defer s.release()

	ctx, cancel := context.WithCancelCause(s.base)
	defer cancel(errReturned)
	s.mu.Lock()
	j.cancel = cancel // before the task is running: whoever finishes it then finds this
	s.mu.Unlock()

	var run *Run
	rec, err := s.store.change(j.id, func(rec *record) error {
		run = &Run{ctx: ctx, service: s, job: j, params: rec.params, turn: make(chan struct{}, 1)}
		return rec.become(Running, now())
	})
	if err != nil {
		return // cancelled while it was pending
	}
	if j.out.begin(startedEvent(rec)) {
		s.wakePump(j)
	}

	returned := s.begin(ctx, run)
	timeout := time.NewTimer(j.typ.Timeout)
	defer timeout.Stop()
	select {
	case out := <-returned:
		s.conclude(j, out)
	case <-timeout.C:
		s.timeOut(j)
		if !s.letStray(j) {
			s.await(returned)
		}
	case <-s.abandon:
	}
}

// await waits for a function whose task is over.
func (s *Service) await(returned <-chan outcome) {
	select {
	case <-returned:
	case <-s.abandon:
	}
}

// release gives a slot back.
func (s *Service) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free++
}

// begin calls the function of a run in a goroutine of its own, since nothing can
// make it return. Run waits for s.calls to become 0, but not for ever.
func (s *Service) begin(ctx context.Context, run *Run) <-chan outcome {
	s.mu.Lock()
	s.calls++
	s.mu.Unlock()
	returned := make(chan outcome, 1) // nobody may be waiting any more
	go func() {
		defer s.returned(run.job)
		out := internalError // of a function that ends its goroutine
		defer func() { returned <- out }()
		out = s.call(ctx, run)
	}()
	return returned
}

// returned notes that a function has returned.
func (s *Service) returned(j *job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls--
	j.returned = true
	if j.stray {
		s.strays--
	}
	s.notify()
}

// internalError is what is told of a function that did not return.
var internalError = outcome{state: Failed, err: "internal error"}

// call calls the function of a run and encodes its result. What a function that
// panics or ends its goroutine has to say goes to the log only.
func (s *Service) call(ctx context.Context, run *Run) (out outcome) {
	returned := false
	defer func() {
		if !returned {
			s.log.Error("task function did not return", "task_id", run.job.id, "type", run.job.typ.Name,
				"panic", fmt.Sprint(recover()), "stack", string(debug.Stack()))
			out = internalError
		}
	}()
	result, err := run.job.typ.Run(ctx, run)
	out = s.outcomeOf(result, err)
	returned = true
	return out
}

// outcomeOf encodes what a function returned.
func (s *Service) outcomeOf(result any, err error) outcome {
	if err != nil {
		text := err.Error()
		if text == "" {
			text = "task failed"
		}
		return outcome{state: Failed, err: cut(text, s.opts.MaxResultBytes)}
	}
	if result == nil {
		return outcome{state: Completed}
	}
	encoded, err := encodeJSON(result)
	if err != nil {
		return outcome{state: Failed, err: fmt.Sprintf("result cannot be encoded: %v", err)}
	}
	if len(encoded) > s.opts.MaxResultBytes {
		return outcome{state: Failed, err: fmt.Sprintf("result has %d bytes, may have %d", len(encoded), s.opts.MaxResultBytes)}
	}
	return outcome{state: Completed, result: encoded}
}

// conclude makes the task final as its function ended it, unless it is over already.
func (s *Service) conclude(j *job, out outcome) {
	s.finish(j, errReturned, func(rec *record) error {
		rec.result, rec.err = out.result, out.err
		return rec.become(out.state, now())
	})
}

// timeOut fails the task, unless it is over already.
func (s *Service) timeOut(j *job) {
	s.finish(j, ErrTimeout, func(rec *record) error {
		rec.err = fmt.Sprintf("Task timed out after %v", j.typ.Timeout)
		return rec.become(Failed, now())
	})
}

// finish makes a task final in three steps: its state, its log, its context. The
// state comes first and decides: of several that finish a task, one succeeds, and
// only that one writes the end of the log. The context comes last, so that a
// function that returns because of it cannot change anything any more.
func (s *Service) finish(j *job, cause error, become func(*record) error) bool {
	s.finishBegins()
	rec, err := s.store.change(j.id, become)
	if err == nil {
		s.seal(j, rec)
	}
	cancel := s.finishEnds(j, rec.start.IsZero())
	if err != nil {
		return false
	}
	cancel(cause)
	s.opts.Observer.Ended(infoOf(rec, j.out.progress()))
	s.log.Debug("task ended", "task_id", rec.id, "type", rec.typ, "state", rec.state, "error", cut(rec.err, 200))
	return true
}

// seal puts the last events of a task in its outbox.
func (s *Service) seal(j *job, rec record) {
	var started *item
	if !rec.start.IsZero() {
		started = new(startedEvent(rec))
	}
	if j.out.seal(started, endEvents(rec, s.opts.StatusPath, s.opts.MaxEventBytes)) {
		s.wakePump(j)
	}
}

// finishBegins makes flush wait for the pump that this finish will wake.
func (s *Service) finishBegins() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finishing++
}

// finishEnds takes a task that never ran out of the queue, and returns what ends
// the function's context of one that did.
func (s *Service) finishEnds(j *job, queued bool) context.CancelCauseFunc {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finishing--
	if queued {
		if i := slices.Index(s.queue, j); i >= 0 {
			s.queue = slices.Delete(s.queue, i, i+1)
		}
	}
	s.notify()
	if j.cancel == nil { // it never ran
		return func(error) {}
	}
	return j.cancel
}

// letStray says whether the slot of a function that outstayed its timeout may be
// given to another. There is a bound, because nothing can end such a function.
func (s *Service) letStray(j *job) bool {
	s.mu.Lock()
	if j.returned { // just now
		s.mu.Unlock()
		return true
	}
	j.stray = s.strays < s.opts.MaxStrays
	if j.stray {
		s.strays++
	}
	n, freed := s.strays, j.stray
	s.mu.Unlock()
	s.log.Warn("task function goes on after its timeout", "task_id", j.id, "type", j.typ.Name,
		"timeout", j.typ.Timeout, "strays", n, "slot_freed", freed)
	return freed
}
