package access

import (
	"sync"
	"time"
)

const (
	// maxTries is how many wrong tokens an address may give within tryWindow.
	maxTries  = 10
	tryWindow = time.Minute
	// maxAddresses bounds the addresses that are remembered. Those beyond it are
	// counted together.
	maxAddresses = 4096
)

// tries counts the wrong tokens of each address.
type tries struct {
	mu     sync.Mutex
	since  time.Time      // guarded by mu, as are the others: when the window began
	counts map[string]int // within the window
}

// take takes one try of an address, which [tries.giveBack] gives back. Without
// one left it says how long to wait.
func (t *tries) take(address string, now time.Time) (wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.since) >= tryWindow || t.counts == nil {
		t.since, t.counts = now, make(map[string]int)
	}
	key := t.key(address)
	if t.counts[key] >= maxTries {
		return tryWindow - now.Sub(t.since)
	}
	t.counts[key]++
	return 0
}

// giveBack gives back the try of a right token.
func (t *tries) giveBack(address string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if key := t.key(address); t.counts[key] > 0 {
		t.counts[key]--
	}
}

// key is what an address is counted as. The caller holds mu.
func (t *tries) key(address string) string {
	if _, known := t.counts[address]; !known && len(t.counts) >= maxAddresses {
		return "others"
	}
	return address
}
