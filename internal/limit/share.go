package limit

import (
	"hash/maphash"
	"net/netip"

	"tidegate/internal/peer"
)

// Share bounds bytes that are kept for long, in all and for each address, which may use a
// quarter. It is safe for concurrent use.
type Share struct {
	seed  maphash.Seed
	bytes inflight
}

// NewShare returns one for at most most bytes; 0 is no bound.
func NewShare(most int64) *Share {
	return &Share{seed: maphash.MakeSeed(), bytes: inflight{most: most}}
}

// Add counts bytes of an address unless there would be too many. An invalid
// address, or one of this machine, has no bound of its own.
func (s *Share) Add(a netip.Addr, n int64) bool { return s.bytes.add(s.hash(a), n) }

// Remove undoes an Add that returned true.
func (s *Share) Remove(a netip.Addr, n int64) { s.bytes.remove(s.hash(a), n) }

// Bytes is how many are counted.
func (s *Share) Bytes() int64 { return s.bytes.now() }

// Most is the bound in bytes.
func (s *Share) Most() int64 { return s.bytes.most }

func (s *Share) hash(a netip.Addr) uint64 {
	if !a.IsValid() || a.IsLoopback() {
		return 0
	}
	b := peer.Key(a).As16()
	return max(1, maphash.Bytes(s.seed, b[:]))
}
