package topic

import "context"

var _ Follower = (*Hub)(nil)

// Follower is given the events of a [Store], by one goroutine at a time. A [Hub]
// is one. One that has MayMiss as well, as a Hub has, is told of damage of which the
// store does not know what topics it concerns.
type Follower interface {
	// Begin comes first: what is applied begins at position floor, and what is
	// before can only be read. at is when the event in front of it was stored, 0
	// if there is none any more. generation is the first part of the store's ids.
	// It comes again if the store has nothing in common with what was applied.
	// Key tells, before that, what ids are sealed with; "" if there is nothing.
	Begin(floor uint64, at int64, generation string)
	Key(secret string)
	// Apply takes the next events, in their order and each once, and says for
	// each what became of it. The slice is the caller's again when it returns.
	Apply(events []Stored) []Applied
	// Common finds the newest event that was applied and is still in the store
	// where it was, and when it was stored; 0 if it finds none.
	Common(ctx context.Context) (position uint64, at int64, err error)
	// Rewind says that the store has lost what was above head, which is what Common
	// has found: what is there now is applied from head+1 on.
	Rewind(head uint64, generation string)
}
