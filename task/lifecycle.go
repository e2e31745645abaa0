package task

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// stopGrace bounds what Drain and Run wait for at their end: the last events to
// be published, and functions to return.
const stopGrace = 5 * time.Second

// Run runs tasks, publishes their events and deletes old ones, until ctx ends. It may be
// called once.
//
// When ctx ends, Run stops what runs here, with [ErrStopping]. Tasks of a durable store
// that may be run again are released to it, and this attempt does not count. Others are
// cancelled. With the store in memory, pending tasks are cancelled as well.
//
// Then Run waits up to 5 s for the last events to be published, unless Drain has done
// so, and for the functions to return. It returns nil, or an error that says how many
// functions have not returned. If the store ends by itself, Run stops in the same way
// and returns why.
func (s *Service) Run(ctx context.Context) error {
	base, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	taking, stopTaking := context.WithCancelCause(base)
	defer stopTaking(nil)
	jobs, err := s.activate(base, stopTaking)
	if err != nil {
		return err
	}
	defer close(s.finished)
	for _, j := range jobs {
		s.wakePump(j) // cancelled before Run
	}
	stored := make(chan error, 1)
	go func() { // ends with base; stop's caller waits for it below
		stored <- s.store.Run(base, Hooks{
			Worker: s.worker, Changed: s.recordChanged, Deleted: s.taskDeleted, Cancel: s.cancelLocal, Overdue: s.failOverdue,
		})
	}()
	go s.fetch(taking) // halt waits for it

	select {
	case <-ctx.Done():
		err = s.stop(end)
		return errors.Join(err, <-stored)
	case err := <-stored:
		// The service gets no more reports of what others did, or what is overdue.
		err = fmt.Errorf("task: the store has ended: %w", cmp.Or(err, errStoreEnded))
		s.log.Error("stopping: the store of tasks has ended", "error", err)
		return errors.Join(err, s.stop(end))
	}
}

// errStoreEnded: a store has ended before its context, and returned no error.
var errStoreEnded = errors.New("it gave no reason")

// activate lets workers and pumps be started. It returns the jobs that came before.
func (s *Service) activate(base context.Context, stopTaking context.CancelCauseFunc) ([]*job, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.base != nil {
		return nil, errors.New("task: Run was called already")
	}
	s.base, s.active, s.fetching, s.stopTaking = base, true, true, stopTaking
	return slices.Collect(maps.Values(s.jobs)), nil
}

// stop is the end of Run, from first to last. end ends what still publishes.
func (s *Service) stop(end context.CancelFunc) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopGrace)
	defer cancel()
	s.halt()
	s.flush(ctx)
	s.endPublishing()
	end()
	s.pumps.Wait()

	var err error
	if !s.waitUntil(ctx, s.noCalls) {
		err = fmt.Errorf("task: %d functions did not return within %v of the end of their context", s.callsLeft(), stopGrace)
	}
	close(s.abandon)
	s.workers.Wait()
	return err
}
