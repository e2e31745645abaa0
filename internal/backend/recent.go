package backend

import (
	"crypto/sha256"
	"encoding/hex"
	"sync"
)

// maxRecentTokens is how many ended streams are kept, to find repeated disconnect
// callbacks.
const maxRecentTokens = 10_000

// tokenKey is a hash of a token, for where the token itself must not be kept.
type tokenKey [16]byte

func keyOf(token string) tokenKey {
	sum := sha256.Sum256([]byte(token))
	return tokenKey(sum[:16])
}

// fingerprint names a stream in the log without its token.
func fingerprint(token string) string {
	key := keyOf(token)
	return hex.EncodeToString(key[:4])
}

// recentTokens is a bounded set of the latest tokens. It may be used concurrently.
type recentTokens struct {
	mu   sync.Mutex
	seen map[tokenKey]struct{}
	ring []tokenKey // the order in which they came; next is the oldest once full
	next int
}

func newRecentTokens(limit int) *recentTokens {
	return &recentTokens{seen: map[tokenKey]struct{}{}, ring: make([]tokenKey, 0, limit)}
}

// first adds token, and reports whether it was not in the set.
func (r *recentTokens) first(token string) bool {
	key := keyOf(token)
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, again := r.seen[key]; again {
		return false
	}
	r.seen[key] = struct{}{}
	if len(r.ring) < cap(r.ring) {
		r.ring = append(r.ring, key)
		return true
	}
	delete(r.seen, r.ring[r.next])
	r.ring[r.next] = key
	r.next = (r.next + 1) % len(r.ring)
	return true
}
