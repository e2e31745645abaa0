package topic

import "context"

// OneByOne is AppendAll of a store that takes one event after the other.
func OneByOne(ctx context.Context, entries []Entry, one func(context.Context, Entry) (Appended, error)) []Result {
	results := make([]Result, len(entries))
	turns := make(map[string]*Sequence)
	for i, e := range entries {
		turn := turns[e.Topic]
		if turn == nil {
			turn = new(Sequence)
			turns[e.Topic] = turn
		}
		if err := turn.Refused(); err != nil {
			results[i].Err = err
			continue
		}
		turn.Next(&e)
		got, err := one(ctx, e)
		results[i] = Result{Appended: got, Err: err}
		turn.Took(results[i])
	}
	return results
}

// Sequence is what an AppendAll knows of the entries of one topic, which it takes one
// after the other. The zero value is before the first.
type Sequence struct {
	prev     uint64 // position of the newest that was stored, 0: none
	unstored uint64 // entries that were not stored
	refused  error
}

// Refused is what the entries that are left fail with; nil if they are to be stored.
func (t *Sequence) Refused() error { return t.refused }

// Next corrects what the next entry says of those before it.
func (t *Sequence) Next(e *Entry) {
	e.Number -= min(t.unstored, e.Number)
	if t.prev > 0 {
		e.Prev = t.prev
	}
}

// Took notes what became of an entry.
func (t *Sequence) Took(r Result) {
	switch {
	case Retryable(r.Err):
		t.refused = r.Err
	case r.Err != nil, r.Repeat:
		t.unstored++
	default:
		t.prev = r.Seq
	}
}
