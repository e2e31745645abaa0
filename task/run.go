package task

import (
	"context"
	"encoding/json"
	"fmt"
)

// Run is one run of a task, as its [Func] sees it. Its methods may be called
// concurrently.
type Run struct {
	// Set once.
	ctx     context.Context // of the Func: ends with the run
	service *Service
	end     context.CancelCauseFunc // ends ctx
	job     *job
	typ     Type
	params  json.RawMessage

	attempt, maxAttempts int

	// progressCh is a lock that admits one Progress at a time. It is a channel because
	// its holder may wait for room, and others must see ctx end.
	progressCh chan struct{}

	highest float64 // progress so far; guarded by progressCh
}

// ID is the task's id.
func (r *Run) ID() string { return r.job.id }

// Attempt returns which attempt this is, from 1, and how many there may be.
func (r *Run) Attempt() (n, most int) { return r.attempt, r.maxAttempts }

// Params are the task's parameters: a JSON object, "{}" if none were given. They
// must not be modified.
func (r *Run) Params() json.RawMessage { return r.params }

// Progress appends a progress_update to the task's log. Reports are published in
// the order in which Progress was called, and none is lost.
//
// It blocks only while the Publisher is slower than the task and the task's outbox is
// full, or while the task is being ended. Once the task is over, nothing is published
// and the error is the cause of the Func's context. Other errors are [ErrBadProgress]
// and [ErrTooLarge]; they leave the task as it was.
func (r *Run) Progress(p Progress) error {
	select {
	case r.progressCh <- struct{}{}:
		defer func() { <-r.progressCh }()
	case <-r.ctx.Done():
		return context.Cause(r.ctx)
	}

	value := r.highest
	if p.Value != nil {
		value = *p.Value
	}
	if !(value >= 0 && value <= 1) { // not NaN either
		return fmt.Errorf("%w: value is %v, must be 0 to 1", ErrBadProgress, value)
	}
	data, err := progressData(p.Text, value, p.Fields)
	if err != nil {
		return fmt.Errorf("%w: encode fields: %w", ErrBadProgress, err)
	}
	at := now()
	event, inside := taskEvent(typeProgress, r.job.id, at, data)
	if limit := r.service.opts.MaxEventBytes; len(event) > limit {
		return fmt.Errorf("%w: %d bytes, may be %d", ErrTooLarge, len(event), limit)
	}
	last := &lastProgress{ProgressInfo{Text: p.Text, Value: value, Data: inside}, at}
	if err := r.publish(item{kind: kindProgress, Event: Event{Name: EventTask, Data: event}, progress: last}); err != nil {
		return err
	}
	r.highest = max(r.highest, value)
	return nil
}

// publish puts an event in the outbox, waiting for room. It returns the cause of
// the run's end if that comes first.
func (r *Run) publish(it item) error {
	for {
		verdict, wake, room := r.job.out.offer(it)
		switch verdict {
		case taken:
			if wake {
				r.service.wakePump(r.job)
			}
			return nil
		case refused:
			// The call that made the task final ends the context next.
			<-r.ctx.Done()
			return context.Cause(r.ctx)
		case full:
			select {
			case <-room:
			case <-r.ctx.Done():
				return context.Cause(r.ctx)
			}
		}
	}
}
