package packed

import (
	"slices"
	"sync"
	"sync/atomic"
)

const (
	// maxLine bounds the text of a line that is shared: a longer one is hardly
	// ever sent by two clients, and few of them would fill the table.
	maxLine = 2 << 10
	// maxNew bounds the lines that one request adds to the table, so that it
	// takes hundreds of streams, and not two, to fill it with useless lines.
	maxNew = 32
	// recentSets is a quarter of how many hashes of lines are kept, to recognize a
	// line that is seen again. A power of two.
	recentSets = 1024
)

// line is a header line that packed requests refer to.
type line struct {
	text  string // name and value, one after the other; set once
	value uint32 // where in text the value begins; set once
	refs  uint32 // packed requests that refer to it; guarded by table.mu
	hash  uint64 // of text; set once
}

// recentSet has the last hashes that belong in one place, the newest first. With one
// entry, two lines of the same request that alternate in one place would never be
// recognized.
type recentSet [4]uint64

// table holds the lines that requests share.
type table struct {
	maxText int

	// lines has the line of each number, nil when it is free. A line stays in
	// its place while a request refers to it, so that who holds the request
	// reads it without the lock. Written under mu.
	lines []atomic.Pointer[line]

	mu      sync.Mutex
	numbers map[uint64]uint32 // by hash: the place in lines
	recent  []recentSet       // by hash: lines that were seen recently
	free    []uint32          // places that were used before
	used    int               // places from here on never were
	bytes   int
	refused uint64
}

func newTable(maxLines, maxText int) *table {
	return &table{
		maxText: maxText,
		lines:   make([]atomic.Pointer[line], maxLines),
		numbers: make(map[uint64]uint32),
		recent:  make([]recentSet, recentSets),
	}
}

// claim looks for each of the fields in the table, and changes the tags of
// those it finds, or now adds, to refer to it. text is what fields point into.
func (t *table) claim(text []byte, fields []field) {
	t.mu.Lock()
	defer t.mu.Unlock()
	room := maxNew
	for i := range fields {
		f := &fields[i]
		if f.hash == 0 {
			continue
		}
		number, found := t.numbers[f.hash]
		switch {
		case found:
			l := t.lines[number].Load()
			if l.text != string(text[f.start:f.end]) || l.value != f.value-f.start {
				continue // another line of the same hash: this one stays inline
			}
			l.refs++
		case t.first(f.hash) || room == 0:
			continue
		case !t.fits(int(f.end - f.start)):
			t.refused++
			continue
		default:
			room--
			number = t.add(&line{
				text:  string(text[f.start:f.end]),
				value: f.value - f.start,
				refs:  1,
				hash:  f.hash,
			})
		}
		f.tag = firstRef + number
	}
}

// first reports whether the line of this hash was not seen recently, and stores the hash.
func (t *table) first(hash uint64) bool {
	set := &t.recent[hash%recentSets]
	if slices.Contains(set[:], hash) {
		return false
	}
	copy(set[1:], set[:])
	set[0] = hash
	return true
}

// fits reports whether there is room for another line of size bytes.
func (t *table) fits(size int) bool {
	return len(t.numbers) < len(t.lines) && t.bytes+size <= t.maxText
}

func (t *table) add(l *line) uint32 {
	number := uint32(t.used)
	if last := len(t.free) - 1; last >= 0 {
		number, t.free = t.free[last], t.free[:last]
	} else {
		t.used++
	}
	t.lines[number].Store(l)
	t.numbers[l.hash] = number
	t.bytes += len(l.text)
	return number
}

// release takes one reference from each of the lines.
func (t *table) release(numbers []uint32) {
	if len(numbers) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, number := range numbers {
		l := t.lines[number].Load()
		if l == nil {
			panic("packed: request released twice")
		}
		if l.refs--; l.refs > 0 {
			continue
		}
		t.lines[number].Store(nil)
		delete(t.numbers, l.hash)
		t.free = append(t.free, number)
		t.bytes -= len(l.text)
	}
}

// line gives the name and the value of a line that a packed request refers to.
func (t *table) line(number uint32) (name, value string) {
	l := t.lines[number].Load()
	if l == nil {
		panic("packed: request used after its release")
	}
	return l.text[:l.value], l.text[l.value:]
}

func (t *table) stats() Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	return Stats{Lines: len(t.numbers), Bytes: t.bytes, Refused: t.refused}
}
