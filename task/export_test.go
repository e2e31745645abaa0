package task

import "context"

// NewMemory makes the store that a service makes for itself.
func NewMemory(opts Options) (Store, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &memoryStore{hooks: make(chan Hooks, 1)}
	s.memory = newMemory(opts, func(id string) {
		h := <-s.hooks // Run has begun, or is about to
		s.hooks <- h
		h.Deleted(id)
	})
	return s, nil
}

// memoryStore calls the hooks that Run is given.
type memoryStore struct {
	*memory
	hooks chan Hooks
}

func (s *memoryStore) Run(ctx context.Context, h Hooks) error {
	s.hooks <- h
	return s.memory.Run(ctx, h)
}

// freeSlots returns how many workers are free.
func (s *Service) freeSlots() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.free
}
