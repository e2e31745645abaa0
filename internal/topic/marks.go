package topic

import (
	"cmp"
	"slices"
)

// mark is when an event was stored.
type mark struct {
	seq uint64
	at  int64 // unix nanoseconds
}

// maxMarks is of how many events it is remembered: 1 MiB.
const maxMarks = 1 << 16

// marks remember when the latest events of a store were stored, in the order of
// their positions. It is what tells whether an id is of this log, or of one that
// was lost and has been written anew since.
type marks struct {
	list []mark // from head on
	head int
}

func (m *marks) add(seq uint64, at int64) {
	if len(m.list)-m.head == maxMarks {
		m.head++
	}
	if m.head > maxMarks/4 && m.head > len(m.list)/2 {
		m.list = append(m.list[:0], m.list[m.head:]...)
		m.head = 0
	}
	m.list = append(m.list, mark{seq, at})
}

// find gives when an event was stored, if that is remembered.
func (m *marks) find(seq uint64) (at int64, found bool) {
	held, i, found := m.search(seq)
	if !found {
		return 0, false
	}
	return held[i].at, true
}

// fits tells whether an event can have been stored at a time: it was, or it is not
// there any more and the time lies between those of its neighbours. sure is false
// for one that is older than all that is remembered.
func (m *marks) fits(seq uint64, at int64) (ok, sure bool) {
	held, i, found := m.search(seq)
	switch {
	case found:
		return held[i].at == at, true
	case i == 0:
		return false, false
	}
	return held[i-1].at <= at && (i == len(held) || at <= held[i].at), true
}

// held is what is remembered, oldest first.
func (m *marks) held() []mark { return m.list[m.head:] }

func (m *marks) search(seq uint64) (held []mark, i int, found bool) {
	held = m.held()
	i, found = slices.BinarySearchFunc(held, seq, func(k mark, seq uint64) int { return cmp.Compare(k.seq, seq) })
	return held, i, found
}

// cut forgets what is above seq.
func (m *marks) cut(seq uint64) {
	_, i, found := m.search(seq)
	if found {
		i++
	}
	m.list = m.list[:m.head+i]
}
