package stream

import (
	"slices"
	"sync"
	"sync/atomic"
)

// slot is the number of a stream in the engine: an index, and how often the index was
// used before. So a late event of a closed connection is not taken for one of the
// connection that has its index now.
type slot struct{ index, generation uint32 }

// key is the slot as the kernel stores it.
func (s slot) key() uint64 { return uint64(s.generation)<<32 | uint64(s.index) }

func slotOf(key uint64) slot { return slot{uint32(key), uint32(key >> 32)} }

// pageStreams is how many streams a page has room for.
const pageStreams = 1024

// slots finds served streams by slot. Its memory grows and shrinks with their number.
type slots struct {
	parked atomic.Int64

	mu    sync.RWMutex
	pages []*page // guarded by mu, as is all below
	room  []uint32
	spare []uint32 // highest generations of pages that were freed
}

type page struct {
	streams     [pageStreams]*Stream
	generations [pageStreams]uint32
	free        []uint16
	used        int
	listed      bool // in room
}

// add assigns a slot to a stream.
func (t *slots) add(s *Stream) slot {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.withRoom()
	p := t.pages[n]
	at := p.free[len(p.free)-1]
	p.free = p.free[:len(p.free)-1]
	if len(p.free) == 0 {
		t.room = t.room[:len(t.room)-1]
		p.listed = false
	}
	p.streams[at] = s
	p.used++
	return slot{n*pageStreams + uint32(at), p.generations[at]}
}

// withRoom returns the number of a page that has room.
func (t *slots) withRoom() uint32 {
	if last := len(t.room) - 1; last >= 0 {
		return t.room[last]
	}
	n := uint32(0)
	for int(n) < len(t.pages) && t.pages[n] != nil {
		n++
	}
	if int(n) == len(t.pages) {
		t.pages, t.spare = append(t.pages, nil), append(t.spare, 0)
	}
	p := &page{free: make([]uint16, pageStreams), listed: true}
	for i := range p.free {
		p.free[i] = uint16(pageStreams - 1 - i) // the lowest first
		p.generations[i] = t.spare[n]
	}
	t.pages[n] = p
	t.room = append(t.room, n)
	return n
}

// remove takes a stream out. Its slot is invalid after that.
func (t *slots) remove(s slot) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n, at := s.index/pageStreams, s.index%pageStreams
	p := t.pages[n]
	p.streams[at] = nil
	p.generations[at]++
	p.free = append(p.free, uint16(at))
	if p.used--; p.used == 0 {
		// A later page with this number continues at the highest generation.
		for _, g := range p.generations {
			t.spare[n] = max(t.spare[n], g)
		}
		t.pages[n] = nil
		t.room = slices.DeleteFunc(t.room, func(m uint32) bool { return m == n })
		return
	}
	if !p.listed {
		p.listed = true
		t.room = append(t.room, n)
	}
}

// find returns the stream of a slot; nil if the index belongs to another one now.
func (t *slots) find(s slot) *Stream {
	t.mu.RLock()
	defer t.mu.RUnlock()
	n, at := s.index/pageStreams, s.index%pageStreams
	if int(n) >= len(t.pages) || t.pages[n] == nil || t.pages[n].generations[at] != s.generation {
		return nil
	}
	return t.pages[n].streams[at]
}

// size is the number of slots that there are pages for.
func (t *slots) size() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.pages) * pageStreams
}

// some copies the streams of the slots [from, to) to dst, which must have room.
func (t *slots) some(dst []*Stream, from, to int) []*Stream {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for from < to && from/pageStreams < len(t.pages) {
		end := min(to, (from/pageStreams+1)*pageStreams)
		if p := t.pages[from/pageStreams]; p != nil {
			for _, s := range p.streams[from%pageStreams : (end-1)%pageStreams+1] {
				if s != nil {
					dst = append(dst, s)
				}
			}
		}
		from = end
	}
	return dst
}
