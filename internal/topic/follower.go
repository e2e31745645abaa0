package topic

import "context"

var _ Follower = (*Hub)(nil)

// Follower receives the events of a [Store], from one goroutine at a time. A [Hub] is one.
// If it also has the method MayMiss, as a Hub has, the store reports damage to it that may
// concern any topic.
type Follower interface {
	// Begin is called first: events are applied from position floor on, and older ones
	// can only be read. at is when the event before it was stored, 0 if the store does
	// not have it any more. generation is the first part of the store's ids. Begin is
	// called again if the store has nothing in common with what was applied. Key is
	// called before it, with the secret that ids are sealed with; "" if there is none.
	Begin(floor uint64, at int64, generation string)
	Key(secret string)
	// Apply applies the next events, in order and each once, and returns the result of
	// each. The caller may reuse the slice when it returns.
	Apply(events []Stored) []Applied
	// Common returns the newest event that was applied and that the store still has
	// there, and when it was stored; 0 if there is none.
	Common(ctx context.Context) (position uint64, at int64, err error)
	// Rewind reports that the store has lost what was above head, which Common has found:
	// what the store has now is applied from head+1 on.
	Rewind(head uint64, generation string)
}
