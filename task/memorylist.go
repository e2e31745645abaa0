package task

import (
	"cmp"
	"slices"
)

// scanStep is how many rows are looked at under one hold of the lock.
const scanStep = 1000

// List returns up to limit matching records older than before, newest first.
func (m *memory) List(before uint64, f Filter, limit int) (found []Record) {
	for before > 0 && len(found) < limit {
		found, before = m.scanSome(found, before, f, limit)
	}
	return found
}

// scanSome looks at up to scanStep rows older than before and returns where to
// go on; 0 is the end.
func (m *memory) scanSome(found []Record, before uint64, f Filter, limit int) ([]Record, uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i, _ := slices.BinarySearchFunc(m.order, before, func(r *row, seq uint64) int { return cmp.Compare(r.Seq, seq) })
	for range scanStep {
		i--
		if i < 0 {
			return found, 0
		}
		r := m.order[i]
		if !r.deleted && f.matches(r.Record) {
			if found = append(found, r.Record); len(found) == limit {
				break
			}
		}
	}
	return found, m.order[i].Seq
}

// Counts counts the tasks in each state; every state has a key.
func (m *memory) Counts() map[State]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	counts := make(map[State]int, 5)
	for _, s := range States() {
		counts[s] = m.byState[s]
	}
	return counts
}
