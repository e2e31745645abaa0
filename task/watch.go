package task

import (
	"context"
	"errors"
	"fmt"
	"iter"
)

// A LogWatcher is a [Publisher] whose logs can be followed. [Service.Watch] needs
// one; [Log] is one.
type LogWatcher interface {
	// Watch yields the events of a log, in order: those after the one whose ID is
	// after, or all that are held if that is "". It waits for more until it has
	// yielded the last event. A log that does not exist yet is empty.
	//
	// An error ends the sequence: [ErrHistoryLost] if events after that position are
	// not held any more, [ErrNotFound] if the log was deleted, or the cause of ctx.
	Watch(ctx context.Context, taskID, after string) iter.Seq2[Event, error]
}

// Watch yields the events of a task, each once and in order, and ends after the last
// event. It begins with the first event or, if after is the [Event.ID] of an event,
// with the next one. Any number may watch a task, at any time, in any process whose
// Publisher has its log.
//
// An error ends the sequence:
//
//   - [ErrNotFound]: the task is unknown, or was deleted meanwhile.
//   - [ErrHistoryLost]: not all events after the position are held any more; "" gives
//     those that are.
//   - [ErrUnavailable]: the store cannot be reached.
//   - [errors.ErrUnsupported]: the Publisher is no [LogWatcher].
//   - The cause of ctx.
//
// The log of a task that is over is written again, shorter, if it was lost: then it
// has only the latest progress.
func (s *Service) Watch(ctx context.Context, id, after string) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		ctx, release := s.untilDeleted(ctx, id)
		defer release()
		watcher, err := s.watcher(ctx, id)
		if err != nil {
			yield(Event{}, err)
			return
		}
		watcher.Watch(ctx, id, after)(yield)
	}
}

// watcher returns what can follow the log of a task. It has the log of a task that
// is over written again if it was lost.
func (s *Service) watcher(ctx context.Context, id string) (LogWatcher, error) {
	watcher, ok := s.opts.Publisher.(LogWatcher)
	if !ok {
		return nil, fmt.Errorf("task: watch: %w: the Publisher is no LogWatcher", errors.ErrUnsupported)
	}
	info, err := s.Summary(ctx, id)
	if err != nil {
		return nil, err
	}
	reader, ok := watcher.(LogReader)
	if !ok || !info.Status.Final() {
		return watcher, nil
	}
	_, closed, err := reader.Ended(ctx, id)
	if err == nil && !closed {
		// ErrBusy and ErrNotFound: its last events are about to be written.
		if err = s.Republish(ctx, id); errors.Is(err, ErrBusy) || errors.Is(err, ErrNotFound) {
			err = nil
		}
	}
	return watcher, err
}

// untilDeleted returns a context that ends with ErrNotFound when a task is deleted.
// The caller calls release when it needs it no longer.
func (s *Service) untilDeleted(ctx context.Context, id string) (_ context.Context, release func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	watch := &cancel // is the key of this call
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watches[id] == nil {
		s.watches[id] = map[*context.CancelCauseFunc]bool{}
	}
	s.watches[id][watch] = true
	return ctx, func() {
		cancel(nil)
		s.mu.Lock()
		defer s.mu.Unlock()
		if delete(s.watches[id], watch); len(s.watches[id]) == 0 {
			delete(s.watches, id)
		}
	}
}

// endWatches ends the contexts of untilDeleted.
func (s *Service) endWatches(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for cancel := range s.watches[id] {
		(*cancel)(ErrNotFound)
	}
}
