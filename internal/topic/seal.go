package topic

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"strings"

	"github.com/dchest/siphash"
)

// Clients send ids back, and can write anything into them. So each id has a seal, seven
// characters that only an owner of the key can compute. A made-up id is recognized at once:
// the store is not asked, and nothing waits for a position that never existed. Nodes that
// share a store share the key.
//
// Ids of older versions have no seal. They are valid if the time index has their event,
// which are the latest 65,536; older ones lead to a reset.

// A seal follows sealMark and has sealChars characters.
const (
	sealMark  = "_"
	sealChars = 7
	sealBytes = len(sealMark) + sealChars
)

// sealer computes seals: SipHash-2-4 over all parts of an id, with a key of its own for each
// generation.
type sealer struct{ k0, k1 uint64 }

// newSealer returns the sealer of a secret for the ids of a generation; nil without a secret,
// and then ids have no seals.
func newSealer(secret, generation string) *sealer {
	if secret == "" {
		return nil
	}
	sum := sha256.Sum256([]byte(generation + "\x00" + secret))
	return &sealer{binary.LittleEndian.Uint64(sum[:]), binary.LittleEndian.Uint64(sum[8:])}
}

// append appends the seal of a position.
func (s *sealer) append(dst []byte, p position) []byte {
	var buf [16]byte
	b := binary.LittleEndian.AppendUint64(buf[:0], p.seq)
	b = binary.LittleEndian.AppendUint64(b, uint64(p.at))
	if p.behind|p.absent != 0 || len(p.late) > 0 {
		b = p.rest(b)
	}
	sum := siphash.Hash(s.k0, s.k1, b)
	dst = append(dst, sealMark...)
	for range sealChars {
		dst = append(dst, "abcdefghijklmnopqrstuvwxyz234567"[sum&31])
		sum >>= 5
	}
	return dst
}

// rest appends the parts that few positions have.
func (p position) rest(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, p.behind)
	b = binary.LittleEndian.AppendUint64(b, p.absent)
	for _, h := range p.late {
		b = binary.LittleEndian.AppendUint32(b, h)
	}
	return b
}

// unseal splits an id from its seal; sealed is false if it has none.
func unseal(id string) (body, seal string, sealed bool) {
	i := len(id) - sealBytes
	if i < 0 || !strings.HasPrefix(id[i:], sealMark) {
		return id, "", false
	}
	return id[:i], id[i:], true
}

// right reports whether a seal is that of a position, in constant time.
func (s *sealer) right(seal string, p position) bool {
	var buf [sealBytes]byte
	return subtle.ConstantTimeCompare(s.append(buf[:0], p), []byte(seal)) == 1
}

// Key implements Follower: it sets the secret that all nodes seal ids with. It is called
// before Begin and Rewind.
func (h *Hub) Key(secret string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if secret == h.secret {
		return
	}
	h.secret = secret
	h.seal = newSealer(secret, h.generation)
}

// appendID appends the id of a position without late topics.
func (h *Hub) appendID(dst []byte, p position) []byte {
	dst = appendID(dst, h.generation, p)
	if h.seal == nil {
		return dst
	}
	return h.seal.append(dst, p)
}

// appendLateID appends the id of a position with late topics, or one that no hub can place.
func (h *Hub) appendLateID(dst []byte, p position) []byte {
	dst = appendLateID(dst, h.generation, p)
	if h.seal == nil || len(p.late) == 0 {
		return dst
	}
	return h.seal.append(dst, p)
}
