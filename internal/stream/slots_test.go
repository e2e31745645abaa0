package stream

import (
	"math/rand/v2"
	"testing"
)

func TestASlotIsFoundUntilItIsRemoved(t *testing.T) {
	t.Parallel()
	var table slots
	s, other := new(Stream), new(Stream)
	if table.find(slot{}) != nil || table.size() != 0 {
		t.Error("something is found in an empty table")
	}
	a := table.add(s)
	if table.find(a) != s {
		t.Error("a stream is not found")
	}
	keep := table.add(other)
	table.remove(a)
	if table.find(a) != nil {
		t.Error("a stream is found after its end")
	}
	b := table.add(other)
	if b.index != a.index || b.generation == a.generation {
		t.Errorf("slot %+v after %+v: want the same place, another generation", b, a)
	}
	if table.find(a) != nil || table.find(b) != other {
		t.Error("the place was not distinguished from what it was before")
	}
	if got := slotOf(b.key()); got != b {
		t.Errorf("slotOf(key) = %+v, want %+v", got, b)
	}
	for _, none := range []slot{{index: pageStreams}, {index: 1<<32 - 1}, {index: b.index, generation: b.generation + 1}, {index: keep.index + 1}} {
		if table.find(none) != nil {
			t.Errorf("slot %+v stands for a stream", none)
		}
	}
}

// TestPagesComeAndGo: memory for streams that have gone is given back, and a
// late report of one is not taken for a report of another.
func TestPagesComeAndGo(t *testing.T) {
	t.Parallel()
	var table slots
	var stale []slot
	for range 5 {
		now := make(map[slot]*Stream)
		for range 3*pageStreams + 1 {
			s := new(Stream)
			at := table.add(s)
			if now[at] != nil {
				t.Fatalf("slot %+v was given twice", at)
			}
			now[at] = s
		}
		if got := table.size(); got != 4*pageStreams {
			t.Errorf("room for %d, want 4 pages", got)
		}
		if got := len(table.some(nil, 0, table.size())); got != len(now) {
			t.Errorf("%d streams listed, want %d", got, len(now))
		}
		for _, old := range stale {
			if table.find(old) != nil {
				t.Fatalf("slot %+v of a stream that has gone is found", old)
			}
		}
		for at, s := range now {
			if table.find(at) != s {
				t.Fatalf("slot %+v does not stand for its stream", at)
			}
			table.remove(at)
			stale = append(stale, at)
		}
		for n, p := range table.pages {
			if p != nil {
				t.Errorf("page %d is kept for nobody", n)
			}
		}
		if len(table.room) != 0 {
			t.Errorf("pages %v have room, and are gone", table.room)
		}
	}
}

// TestSlotsAtRandom compares the table with a map.
func TestSlotsAtRandom(t *testing.T) {
	t.Parallel()
	var table slots
	chance := rand.New(rand.NewPCG(1, 2))
	now := make(map[slot]*Stream)
	var order, stale []slot
	for i := range 50_000 {
		if grow := i/10_000%2 == 0; len(order) == 0 || chance.IntN(10) < 3 != grow {
			s := new(Stream)
			at := table.add(s)
			if now[at] != nil {
				t.Fatalf("slot %+v was given twice", at)
			}
			now[at] = s
			order = append(order, at)
			continue
		}
		n := chance.IntN(len(order))
		at := order[n]
		order[n] = order[len(order)-1]
		order = order[:len(order)-1]
		table.remove(at)
		delete(now, at)
		stale = append(stale, at)
	}
	listed := make(map[*Stream]bool)
	for _, s := range table.some(nil, 0, table.size()) {
		listed[s] = true
	}
	if len(listed) != len(now) || len(now) == 0 {
		t.Errorf("%d streams listed, want %d", len(listed), len(now))
	}
	for at, s := range now {
		if table.find(at) != s || !listed[s] {
			t.Fatalf("slot %+v does not stand for its stream", at)
		}
	}
	for _, at := range stale {
		if table.find(at) != nil {
			t.Fatalf("slot %+v of a stream that has gone is found", at)
		}
	}
}

func TestSomeListsARange(t *testing.T) {
	t.Parallel()
	var table slots
	all := make([]*Stream, 2*pageStreams+10)
	for i := range all {
		all[i] = new(Stream)
		table.add(all[i])
	}
	for _, r := range [][2]int{{0, 0}, {0, 1}, {5, 5}, {0, pageStreams}, {pageStreams - 1, pageStreams + 1}, {3, 2*pageStreams + 2}, {2 * pageStreams, 3 * pageStreams}, {0, 99 * pageStreams}} {
		got := table.some(nil, r[0], r[1])
		want := all[min(r[0], len(all)):min(r[1], len(all))]
		if len(got) != len(want) {
			t.Errorf("%v: %d streams, want %d", r, len(got), len(want))
			continue
		}
		for i := range got {
			if got[i] != want[i] {
				t.Errorf("%v: stream %d is another", r, i)
			}
		}
	}
}
