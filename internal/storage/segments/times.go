package segments

import "sort"

// times is the time index of a segment: when some of its events were stored, by position.
type times struct {
	entries []timeEntry
	every   int64 // nanoseconds between two
}

type timeEntry struct {
	seq uint64
	at  int64
}

const (
	mostTimes  = 256
	leastEvery = int64(1e9)
)

// add notes an event. Positions and times rise.
func (t *times) add(seq uint64, at int64) {
	if t.every == 0 {
		t.every = leastEvery
	}
	if n := len(t.entries); n > 0 && at < t.entries[n-1].at+t.every {
		return
	}
	t.entries = append(t.entries, timeEntry{seq, at})
	if len(t.entries) < mostTimes {
		return
	}
	kept := t.entries[:0]
	for i := 0; i < len(t.entries); i += 2 {
		kept = append(kept, t.entries[i])
	}
	t.entries, t.every = kept, 2*t.every
}

// latest is when the event at a position was stored, or a bit later: the time of the next
// entry. ok is false if there is none.
func (t *times) latest(seq uint64) (at int64, ok bool) {
	i := sort.Search(len(t.entries), func(i int) bool { return t.entries[i].seq >= seq })
	if i == len(t.entries) {
		return 0, false
	}
	return t.entries[i].at, true
}
