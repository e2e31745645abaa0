package gateway

import (
	"cmp"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
)

// table finds streams by token. It is sharded so that connects, sends and
// leaves of different streams do not queue for one lock.
type table struct {
	seed     maphash.Seed
	shards   [64]shard
	sequence atomic.Uint64
	count    atomic.Int64
}

type shard struct {
	mu    sync.RWMutex
	conns map[string]*conn
}

func (t *table) init() {
	t.seed = maphash.MakeSeed()
	for i := range t.shards {
		t.shards[i].conns = make(map[string]*conn)
	}
}

func (t *table) shard(token string) *shard {
	return &t.shards[maphash.String(t.seed, token)%uint64(len(t.shards))]
}

// reserve counts a stream in, unless there are most already.
func (t *table) reserve(most int) bool {
	if t.count.Add(1) > int64(most) {
		t.count.Add(-1)
		return false
	}
	return true
}

// add enters a stream that was reserved for.
func (t *table) add(c *conn) {
	s := t.shard(c.token)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[c.token] = c
}

// remove takes a stream out and reports whether it was this call that did.
func (t *table) remove(c *conn) bool {
	s := t.shard(c.token)
	s.mu.Lock()
	_, ok := s.conns[c.token]
	delete(s.conns, c.token)
	s.mu.Unlock()
	if ok {
		t.count.Add(-1)
	}
	return ok
}

func (t *table) find(token string) *conn {
	s := t.shard(token)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.conns[token]
}

// all gives the streams that keep says yes to, oldest first.
func (t *table) all(keep func(*conn) bool) []*conn {
	var found []*conn
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.RLock()
		for _, c := range s.conns {
			if keep(c) {
				found = append(found, c)
			}
		}
		s.mu.RUnlock()
	}
	slices.SortFunc(found, func(a, b *conn) int { return cmp.Compare(a.sequence, b.sequence) })
	return found
}
