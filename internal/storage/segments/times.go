package segments

import "sort"

// times say about when the events of a segment were stored: a few of them, by
// position.
type times struct {
	marks []timeMark
	every int64 // nanoseconds between two
}

type timeMark struct {
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
	if n := len(t.marks); n > 0 && at < t.marks[n-1].at+t.every {
		return
	}
	t.marks = append(t.marks, timeMark{seq, at})
	if len(t.marks) < mostTimes {
		return
	}
	kept := t.marks[:0]
	for i := 0; i < len(t.marks); i += 2 {
		kept = append(kept, t.marks[i])
	}
	t.marks, t.every = kept, 2*t.every
}

// latest is a time at which the event at a position was stored, or a bit later: that
// of the next mark. ok is false if there is none.
func (t *times) latest(seq uint64) (at int64, ok bool) {
	i := sort.Search(len(t.marks), func(i int) bool { return t.marks[i].seq >= seq })
	if i == len(t.marks) {
		return 0, false
	}
	return t.marks[i].at, true
}
