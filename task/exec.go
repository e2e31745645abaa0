package task

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"
)

// outcome is what a function returned, as the record wants it.
type outcome struct {
	state     State // Completed or Failed
	result    []byte
	err       string
	permanent bool // a further attempt would end the same
}

// work runs one task in a worker slot and frees the slot.
func (s *Service) work(taking context.Context, j *job) {
	defer s.freeSlot()
	run := s.prepare(taking, j)
	s.prepared(run)
	if run == nil {
		return
	}
	defer s.runEnds(run.typ)
	returned := s.begin(run.ctx, run)
	timeout := time.NewTimer(run.typ.Timeout)
	defer timeout.Stop()
	defer run.end(errReturned)
	select {
	case out := <-returned:
		s.conclude(run, out)
	case <-timeout.C:
		s.timeOut(run)
		if !s.allowStray(j, run.typ) {
			s.await(returned)
		}
	case <-s.abandon:
	}
}

// beginRun makes the task of j one that runs here. The caller holds the lock of j.
func (s *Service) beginRun(j *job, at time.Time) (*Run, error) {
	rec := j.rec
	if rec.State == Running && rec.Worker != s.worker {
		j.lostRun = new(rec)
	}
	if rec.State != Running || rec.Worker != s.worker { // else we wrote that, and got no answer
		err := rec.begin(s.worker, j.typ.Timeout, at)
		if err != nil {
			return nil, err
		}
		rec, err = s.update(s.base, rec)
		j.unsure = errors.Is(err, ErrUnavailable)
		if err != nil {
			return nil, err
		}
	}
	runCtx, end := context.WithCancelCause(s.base)
	run := &Run{
		ctx: runCtx, end: end, service: s, job: j, typ: j.typ, params: rec.Params,
		attempt: rec.Attempt, maxAttempts: rec.MaxAttempts, progressCh: make(chan struct{}, 1),
	}
	j.rec, j.begun = rec, true
	s.mu.Lock()
	j.cancel = end
	s.live++
	s.mu.Unlock()
	first := firstEvents(rec, at)
	if j.lostRun != nil {
		lost := retryingEvent(*j.lostRun, workerLost, at, at, s.opts.MaxEventBytes)
		first = slices.Insert(first, 1, lost) // the first of them is task_started
	}
	if j.out.begin(rec.Run, first) {
		s.wakePump(j)
	}
	return run, nil
}

// firstEvents is task_started; of a task that was begun before, it is a report that
// it is begun again. The process that began it may have died before it published
// task_started, so that comes before the report once more.
func firstEvents(rec Record, at time.Time) []item {
	if rec.Run == 1 {
		return []item{startedEvent(rec)}
	}
	return []item{repeatedStart(rec), attemptEvent(rec, at)}
}

// attemptEvent is a report that a task is begun again.
func attemptEvent(rec Record, at time.Time) item {
	text := fmt.Sprintf("Attempt %d of %d", rec.Attempt, rec.MaxAttempts)
	data, _ := progressData(text, 0, map[string]any{"attempt": rec.Attempt}) // strings and numbers always encode
	event, inside := taskEvent(typeProgress, rec.ID, at, data)
	return item{
		kind: kindProgress, Event: Event{Name: EventTask, Data: event},
		progress: &lastProgress{ProgressInfo{Text: text, Data: inside}, at},
	}
}

// await waits for a function whose task is over.
func (s *Service) await(returned <-chan outcome) {
	select {
	case <-returned:
	case <-s.abandon:
	}
}

// freeSlot frees a worker slot.
func (s *Service) freeSlot() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free++
	s.notifyLocked()
}

// prepared notes that a fetched task was begun, or will not be.
func (s *Service) prepared(run *Run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if run != nil {
		s.runBegins(run.typ)
	}
	s.preparing--
	s.notifyLocked()
}

// begin calls the function of a run in a goroutine of its own, since nothing can
// force it to return. Run waits for s.calls to become 0, but not for ever.
func (s *Service) begin(ctx context.Context, run *Run) <-chan outcome {
	s.mu.Lock()
	s.calls++
	s.mu.Unlock()
	returned := make(chan outcome, 1) // its reader may have left
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
	s.notifyLocked()
}

// internalError is the outcome of a function that did not return.
var internalError = outcome{state: Failed, err: "internal error"}

// call calls the function of a run and encodes its result. The value and the stack of
// a panic go to the log only, and so does a function that ends its goroutine.
func (s *Service) call(ctx context.Context, run *Run) (out outcome) {
	returned := false
	defer func() {
		if !returned {
			s.log.Error("task function did not return", "task_id", run.job.id, "type", run.typ.Name,
				"panic", fmt.Sprint(recover()), "stack", string(debug.Stack()))
			out = internalError
		}
	}()
	result, err := run.typ.Run(ctx, run)
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
		_, permanent := errors.AsType[*permanentError](err)
		return outcome{state: Failed, err: cut(text, s.opts.MaxResultBytes), permanent: permanent}
	}
	if result == nil {
		return outcome{state: Completed}
	}
	encoded, err := encodeJSON(result)
	if err != nil {
		return outcome{state: Failed, err: fmt.Sprintf("result cannot be encoded: %v", err), permanent: true}
	}
	if len(encoded) > s.opts.MaxResultBytes {
		text := fmt.Sprintf("result has %d bytes, may have %d", len(encoded), s.opts.MaxResultBytes)
		return outcome{state: Failed, err: text, permanent: true}
	}
	return outcome{state: Completed, result: encoded}
}

// allowStray reports whether the slot of a function that is still running after its
// timeout may be given to another task. There is a bound, because nothing can end such
// a function.
func (s *Service) allowStray(j *job, t Type) bool {
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
	s.log.Warn("task function goes on after its timeout", "task_id", j.id, "type", t.Name,
		"timeout", t.Timeout, "strays", n, "slot_freed", freed)
	return freed
}
