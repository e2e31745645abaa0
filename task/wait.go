package task

import (
	"context"
	"fmt"
	"time"
)

// EndError is returned by [Service.Wait] for a task that failed or was cancelled.
// errors.Is finds [ErrCancelled] in it if it was cancelled.
type EndError struct {
	ID, Type string
	State    State  // Failed or Cancelled
	Text     string // the error of a failed task
}

func (e *EndError) Error() string {
	if e.State == Cancelled {
		return fmt.Sprintf("task: %s %s was cancelled", e.Type, e.ID)
	}
	return fmt.Sprintf("task: %s %s failed: %s", e.Type, e.ID, e.Text)
}

// Is reports whether target is the sentinel for e.State.
func (e *EndError) Is(target error) bool { return target == ErrCancelled && e.State == Cancelled }

// waitPoll is how often Wait reads the state of a task although nothing was
// reported: a store may have lost a report with its connection.
const waitPoll = 5 * time.Second

// Wait blocks until a task is over, wherever it runs, and returns what [Service.Get]
// returns then. For a task that did not complete it also returns an [*EndError].
//
// Other errors leave the task as it is. [ErrNotFound] says that it is unknown or was
// deleted, [ErrStopping] that Run has ended first. After [ErrUnavailable] Wait may be
// called again. Or the error is the cause of ctx.
//
// Wait does not run tasks: that is for [Service.Run]. It returns before the last
// events are published.
func (s *Service) Wait(ctx context.Context, id string) (Info, error) {
	poll := time.NewTicker(waitPoll)
	defer poll.Stop()
	for finished := false; ; {
		ended, release := s.endOf(id) // before the look, so that no end is missed
		info, err := s.endedInfo(ctx, id)
		over := err != nil || info.Status.Final()
		if !over && finished {
			over, err = true, ErrStopping
		}
		if over {
			release()
			return info, err
		}
		select {
		case <-ended:
		case <-poll.C:
		case <-s.finished:
			finished = true // what Run has ended is to be seen
		case <-ctx.Done():
			release()
			return info, context.Cause(ctx)
		}
		release()
	}
}

// endedInfo is Get once a task is over, and what costs little before.
func (s *Service) endedInfo(ctx context.Context, id string) (Info, error) {
	info, err := s.Summary(ctx, id)
	if err != nil || !info.Status.Final() {
		return info, err
	}
	if info, err = s.Get(ctx, id); err != nil || info.Status == Completed {
		return info, err
	}
	end := &EndError{ID: id, Type: info.Type, State: info.Status}
	if info.Error != nil {
		end.Text = *info.Error
	}
	return info, end
}

// endSignal closes when a task may have ended.
type endSignal struct {
	ch      chan struct{}
	waiters int
}

// endOf returns a channel that closes when a task may have ended. The caller calls
// release when it waits no longer.
func (s *Service) endOf(id string) (ended <-chan struct{}, release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	signal := s.ends[id]
	if signal == nil {
		signal = &endSignal{ch: make(chan struct{})}
		s.ends[id] = signal
	}
	signal.waiters++
	return signal.ch, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if signal.waiters--; signal.waiters == 0 && s.ends[id] == signal {
			delete(s.ends, id)
		}
	}
}

// signalEnd wakes calls of Wait for a task.
func (s *Service) signalEnd(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if signal := s.ends[id]; signal != nil {
		close(signal.ch)
		delete(s.ends, id)
	}
}
