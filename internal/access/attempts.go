package access

import (
	"sync"
	"time"
)

const (
	// maxAttempts is how many wrong tokens an address can give within attemptWindow.
	maxAttempts   = 10
	attemptWindow = time.Minute
	// maxAddresses bounds the addresses that are counted one by one. Those beyond it share a count.
	maxAddresses = 4096
)

// attempts counts the wrong tokens of each address. The zero value is ready to use. It is safe for
// concurrent use.
type attempts struct {
	mu     sync.Mutex
	since  time.Time      // guarded by mu, like the others: when the window began
	counts map[string]int // within the window
}

// begin counts an attempt of an address; call succeeded if its token is right. If the address has
// no attempt left, begin counts nothing and returns how long it must wait.
func (t *attempts) begin(address string, now time.Time) (wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.since) >= attemptWindow || t.counts == nil {
		t.since, t.counts = now, make(map[string]int)
	}
	key := t.key(address)
	if t.counts[key] >= maxAttempts {
		return attemptWindow - now.Sub(t.since)
	}
	t.counts[key]++
	return 0
}

// succeeded takes back the attempt of a right token.
func (t *attempts) succeeded(address string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if key := t.key(address); t.counts[key] > 0 {
		t.counts[key]--
	}
}

// key is the key under which an address is counted. The caller holds mu.
func (t *attempts) key(address string) string {
	if _, known := t.counts[address]; !known && len(t.counts) >= maxAddresses {
		return "others"
	}
	return address
}
