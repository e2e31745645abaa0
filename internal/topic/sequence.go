package topic

import "context"

// OneByOne implements AppendAll for a store that appends one event after another.
func OneByOne(ctx context.Context, entries []Entry, one func(context.Context, Entry) (Appended, error)) []Result {
	results := make([]Result, len(entries))
	sequences := make(map[string]*Sequence)
	for i, e := range entries {
		s := sequences[e.Topic]
		if s == nil {
			s = new(Sequence)
			sequences[e.Topic] = s
		}
		if err := s.Refused(); err != nil {
			results[i].Err = err
			continue
		}
		s.Next(&e)
		got, err := one(ctx, e)
		results[i] = Result{Appended: got, Err: err}
		s.Took(results[i])
	}
	return results
}

// Sequence is the state of an AppendAll for the entries of one topic, which it stores one
// after another. The zero value is before the first.
type Sequence struct {
	prev     uint64 // position of the newest that was stored, 0: none
	unstored uint64 // entries that were not stored
	refused  error
}

// Refused is the error that the remaining entries fail with; nil if they are to be stored.
func (t *Sequence) Refused() error { return t.refused }

// Next corrects what the next entry says of its predecessors.
func (t *Sequence) Next(e *Entry) {
	e.Number -= min(t.unstored, e.Number)
	if t.prev > 0 {
		e.Prev = t.prev
	}
}

// Took records the result of an entry.
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
