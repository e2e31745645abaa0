package task

import (
	"context"
	"slices"
)

// fetchable returns the types of which tasks may begin now. n is how many tasks may be
// fetched at once so that no type gets above its Concurrency. The caller holds mu.
func (s *Service) fetchable() (types []string, n int) {
	n = s.free
	for name, t := range s.types {
		if t.Concurrency > 0 {
			left := t.Concurrency - s.running[name]
			if left <= 0 {
				continue
			}
			n = min(n, left)
		}
		types = append(types, name)
	}
	slices.Sort(types)
	return types, n
}

// fetchOnce fetches tasks of the types that may begin. It ends early, without an
// error, when another type may begin.
func (s *Service) fetchOnce(ctx context.Context) ([]Lease, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s.mu.Lock()
	types, n := s.fetchable()
	s.refetch = func() { cancel(errRefetch) }
	s.mu.Unlock()
	leases, err := s.store.Fetch(ctx, types, n)
	if context.Cause(ctx) == errRefetch {
		err = nil
	}
	return leases, err
}

// runBegins counts a run of a type. The caller holds mu.
func (s *Service) runBegins(t Type) { s.running[t.Name]++ }

// runEnds is the end of runBegins. If that lets tasks of the type begin again, the
// fetching of others makes way for it.
func (s *Service) runEnds(t Type) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running[t.Name] == t.Concurrency && s.refetch != nil {
		s.refetch()
	}
	s.running[t.Name]--
	s.notifyLocked()
}
