package limit

import (
	"math"
	"sync"
	"time"
)

// addresses counts by address. Entries are hashes and numbers without pointers, because
// every stream may have an address of its own.
type addresses struct{ shards [64]addressShard }

type addressShard struct {
	mu     sync.Mutex
	counts map[uint64]counts // guarded by mu
}

type counts struct{ conns, streams uint32 }

func (a *addresses) shard(hash uint64) *addressShard { return &a.shards[hash%64] }

// add changes the counts of an address. If one of them would exceed most, it changes
// nothing and reports false.
func (a *addresses) add(hash uint64, conns, streams, most int) bool {
	s := a.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.counts[hash]
	if conns > 0 && int(n.conns)+conns > most || streams > 0 && int(n.streams)+streams > most {
		return false
	}
	n.conns += uint32(conns)
	n.streams += uint32(streams)
	if n == (counts{}) {
		delete(s.counts, hash)
		return true
	}
	if s.counts == nil {
		s.counts = make(map[uint64]counts)
	}
	s.counts[hash] = n
	return true
}

// remove is add with the opposite signs.
func (a *addresses) remove(hash uint64, conns, streams int) {
	a.add(hash, -conns, -streams, math.MaxInt32)
}

// len is how many addresses are counted.
func (a *addresses) len() (n int) {
	for i := range a.shards {
		s := &a.shards[i]
		s.mu.Lock()
		n += len(s.counts)
		s.mu.Unlock()
	}
	return n
}

// rates is a token bucket for the connects of each address. Its size is the connects of a
// second, or one.
type rates struct {
	perSecond float64

	mu      sync.Mutex
	buckets map[uint64]bucket // guarded by mu
}

// bucket is how many connects an address may still make, as of a time.
type bucket struct {
	left float64
	at   time.Time
}

// maxBuckets bounds the buckets. Beyond it full ones are dropped, and if there are none,
// all.
const maxBuckets = 1 << 16

func (r *rates) allow(hash uint64) bool {
	if r.perSecond <= 0 || hash == 0 {
		return true
	}
	burst, now := max(1, r.perSecond), time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	b, known := r.buckets[hash]
	if !known {
		r.makeRoom(now, burst)
		b = bucket{burst, now}
	}
	b.left = min(burst, b.left+now.Sub(b.at).Seconds()*r.perSecond)
	b.at = now
	ok := b.left >= 1
	if ok {
		b.left--
	}
	r.buckets[hash] = b
	return ok
}

func (r *rates) makeRoom(now time.Time, burst float64) {
	if r.buckets == nil {
		r.buckets = make(map[uint64]bucket)
	}
	if len(r.buckets) < maxBuckets {
		return
	}
	for hash, b := range r.buckets {
		if b.left+now.Sub(b.at).Seconds()*r.perSecond >= burst {
			delete(r.buckets, hash)
		}
	}
	if len(r.buckets) >= maxBuckets {
		clear(r.buckets)
	}
}
