package topic

import (
	"cmp"
	"slices"
)

// timeEntry is when an event was stored.
type timeEntry struct {
	seq uint64
	at  int64 // unix nanoseconds
}

// maxTimes bounds the entries: 1 MiB.
const maxTimes = 1 << 16

// timeIndex holds when the latest events of a store were stored, in the order of their
// positions. It decides whether an id is of this log, or of one that was lost and was
// written again since.
type timeIndex struct {
	list []timeEntry // from head on
	head int
}

func (m *timeIndex) add(seq uint64, at int64) {
	if len(m.list)-m.head == maxTimes {
		m.head++
	}
	if m.head > maxTimes/4 && m.head > len(m.list)/2 {
		m.list = append(m.list[:0], m.list[m.head:]...)
		m.head = 0
	}
	m.list = append(m.list, timeEntry{seq, at})
}

// find returns when an event was stored, if the index has it.
func (m *timeIndex) find(seq uint64) (at int64, found bool) {
	held, i, found := m.search(seq)
	if !found {
		return 0, false
	}
	return held[i].at, true
}

// matches reports whether an event can have been stored at a time: it was, or it is gone
// and the time lies between those of its neighbours. sure is false for a position before
// the index.
func (m *timeIndex) matches(seq uint64, at int64) (ok, sure bool) {
	held, i, found := m.search(seq)
	switch {
	case found:
		return held[i].at == at, true
	case i == 0:
		return false, false
	}
	return held[i-1].at <= at && (i == len(held) || at <= held[i].at), true
}

// held returns the entries, oldest first.
func (m *timeIndex) held() []timeEntry { return m.list[m.head:] }

func (m *timeIndex) search(seq uint64) (held []timeEntry, i int, found bool) {
	held = m.held()
	i, found = slices.BinarySearchFunc(held, seq, func(k timeEntry, seq uint64) int { return cmp.Compare(k.seq, seq) })
	return held, i, found
}

// cut removes the entries above seq.
func (m *timeIndex) cut(seq uint64) {
	_, i, found := m.search(seq)
	if found {
		i++
	}
	m.list = m.list[:m.head+i]
}
