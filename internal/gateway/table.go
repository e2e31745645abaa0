package gateway

import (
	"cmp"
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tidegate/internal/gateway/token"
)

// table finds streams by token. It has shards, so that connects, sends and ends of
// different streams do not contend for one lock.
type table struct {
	shards   [64]shard
	sequence atomic.Uint64
	count    atomic.Int64
}

// next returns a number above all before. With shared it is close to the time in
// microseconds, so that streams of several nodes can be put in order.
func (t *table) next(shared bool) uint64 {
	if !shared {
		return t.sequence.Add(1)
	}
	for {
		last := t.sequence.Load()
		if next := max(last+1, uint64(time.Now().UnixMicro())); t.sequence.CompareAndSwap(last, next) {
			return next
		}
	}
}

// reserve counts one more stream, and reports false if there are most already.
func (t *table) reserve(most int) bool {
	if t.count.Add(1) > int64(most) {
		t.count.Add(-1)
		return false
	}
	return true
}

// unreserve undoes reserve.
func (t *table) unreserve() { t.count.Add(-1) }

func (t *table) shard(of token.Token) *shard { return &t.shards[of[0]%64] }

// add makes a stream known that was reserved for.
func (t *table) add(c *conn) { t.shard(c.token).add(c) }

// remove takes a stream out, and reports whether it was there.
func (t *table) remove(c *conn) bool {
	removed := t.shard(c.token).remove(c)
	if removed {
		t.count.Add(-1)
	}
	return removed
}

func (t *table) find(of token.Token) *conn { return t.shard(of).find(of) }

// all returns the streams for which keep is true, oldest first.
func (t *table) all(keep func(*conn) bool) []*conn {
	var found []*conn
	for i := range t.shards {
		found = t.shards[i].append(found, keep)
	}
	slices.SortFunc(found, func(a, b *conn) int { return cmp.Compare(a.sequence, b.sequence) })
	return found
}

// shard is a hash table of pointers. The keys are in the streams that they point to;
// tokens are random, so they are their own hash. It uses open addressing with linear
// probing, and unlike a map it shrinks.
type shard struct {
	mu    sync.RWMutex
	conns []*conn // guarded by mu; a power of two
	count int
}

// leastPlaces is the size of a shard that is not empty.
const leastPlaces = 8

// home is the first place that a token is looked for at.
func (s *shard) home(of token.Token) int {
	return int(binary.LittleEndian.Uint64(of[8:]) & uint64(len(s.conns)-1))
}

// place is where a token is, or the free place that it would get.
func (s *shard) place(of token.Token) int {
	i := s.home(of)
	for s.conns[i] != nil && s.conns[i].token != of {
		i = (i + 1) & (len(s.conns) - 1)
	}
	return i
}

func (s *shard) find(of token.Token) *conn {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.count == 0 {
		return nil
	}
	return s.conns[s.place(of)]
}

func (s *shard) add(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if 4*(s.count+1) > 3*len(s.conns) {
		s.resize(max(leastPlaces, 2*len(s.conns)))
	}
	s.conns[s.place(c.token)] = c
	s.count++
}

func (s *shard) remove(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count == 0 {
		return false
	}
	i := s.place(c.token)
	if s.conns[i] != c {
		return false
	}
	s.count--
	s.conns[i] = nil
	s.close(i)
	if 8*s.count < len(s.conns) && len(s.conns) > leastPlaces {
		s.resize(len(s.conns) / 2)
	}
	return true
}

// close fills a place that has become free with a stream that was displaced past it.
func (s *shard) close(free int) {
	mask := len(s.conns) - 1
	for i := (free + 1) & mask; s.conns[i] != nil; i = (i + 1) & mask {
		// It may move unless its home lies between the free place and it.
		if (i-s.home(s.conns[i].token))&mask >= (i-free)&mask {
			s.conns[free], s.conns[i] = s.conns[i], nil
			free = i
		}
	}
}

func (s *shard) resize(places int) {
	old := s.conns
	s.conns = make([]*conn, places)
	for _, c := range old {
		if c != nil {
			s.conns[s.place(c.token)] = c
		}
	}
}

func (s *shard) append(found []*conn, keep func(*conn) bool) []*conn {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, c := range s.conns {
		if c != nil && keep(c) {
			found = append(found, c)
		}
	}
	return found
}
