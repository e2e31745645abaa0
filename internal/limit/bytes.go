package limit

import "sync"

// inflight counts bytes of bodies and answers in progress: in all, and for each address,
// which may use a quarter.
type inflight struct {
	most int64 // 0: no bound

	mu        sync.Mutex
	sum       int64            // guarded by mu, like all below
	addresses map[uint64]int64 // by hash
}

// addressShare is the divisor of what one address may use.
const addressShare = 4

// add counts n more bytes, unless there would be too many. If nothing else is counted, any
// size is admitted: otherwise it never could be.
func (f *inflight) add(hash uint64, n int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.most > 0 && f.sum > 0 && f.sum+n > f.most {
		return false
	}
	if hash != 0 {
		had := f.addresses[hash]
		if f.most > 0 && had > 0 && had+n > f.most/addressShare {
			return false
		}
		if f.addresses == nil {
			f.addresses = make(map[uint64]int64)
		}
		f.addresses[hash] = had + n
	}
	f.sum += n
	return true
}

func (f *inflight) remove(hash uint64, n int64) {
	if n == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sum -= n
	if hash != 0 {
		if f.addresses[hash] -= n; f.addresses[hash] <= 0 {
			delete(f.addresses, hash)
		}
	}
}

func (f *inflight) now() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sum
}
