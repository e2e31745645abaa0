package task

import (
	"context"
)

// waitUntil waits until cond holds, and reports false if ctx ends first. Code that
// changes what a cond reads calls notify.
func (s *Service) waitUntil(ctx context.Context, cond func() bool) bool {
	for {
		changed := s.nextChange() // before cond, so that no change is missed
		if cond() {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// nextChange returns a channel that closes at the next notify.
func (s *Service) nextChange() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return s.changed
}

// notify is notify for a caller that does not hold mu.
func (s *Service) notify() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notifyLocked()
}

// notifyLocked wakes waitUntil. The caller holds mu.
func (s *Service) notifyLocked() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// The conditions of waitUntil.

// idle: nothing runs here, and with the store in memory nothing is pending. Once no
// new tasks are taken it stays so: tasks that are about to be stored or begun are
// looked for before those that are.
func (s *Service) idle() bool {
	if !s.noneAdmitting() {
		return false
	}
	if s.store.Durable() {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.live == 0
	}
	counts := s.store.Counts()
	return counts[Pending]+counts[Running] == 0
}

func (s *Service) noneTaken() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.fetching && s.preparing == 0
}

func (s *Service) noneAdmitting() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.admitting == 0
}

// published: nothing waits for the Publisher, or Drain has waited long enough.
func (s *Service) published() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.finishing+s.pumping == 0 || s.flushed
}

func (s *Service) noCalls() bool { return s.callsLeft() == 0 }

func (s *Service) callsLeft() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}
