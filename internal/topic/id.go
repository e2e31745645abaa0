package topic

import (
	"crypto/rand"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
)

// position is where a client is in the one order of all events, according to its last event
// id.
//
// For clients the id is opaque. It is GENERATION-SEQ, the number in base 36. The generation
// is drawn when the logs are created, so that ids of other logs are recognized. Logs that
// outlive the process have ids GENERATION-SEQ-TIME, with the time at which the event was
// stored: if the store goes back and uses a number again, the time distinguishes the two
// events. While a stream receives the past of topics that it was attached to late,
// .BEHIND.HASH[.HASH…] follows: everything up to SEQ, but of the topics with these hashes
// only up to BEHIND. A client that has received the events for topics that do not exist has
// .~HASH instead, the sum of their hashes.
type position struct {
	seq    uint64
	at     int64 // unix nanoseconds; 0 without a store
	behind uint64
	late   []uint32 // hashes of the topics that are at behind; nil for most ids
	absent uint64   // see absentHash; 0 for most ids
}

// maxLate bounds the hashes in one id; maxIDBytes follows from it.
const (
	maxLate    = 64
	maxIDBytes = plainIDBytes + len(".") + 13 + maxLate*8 // without its seal
)

const (
	generationBytes = 8
	plainIDBytes    = generationBytes + len("-") + 13 + len("-") + 13
	nowhere         = "~" // instead of a position: one that no hub can place
)

// of is the position in one topic.
func (p position) of(topic string) uint64 {
	if len(p.late) > 0 {
		h := hash32(topic)
		if slices.Contains(p.late, h) {
			return p.behind
		}
	}
	return p.seq
}

func hash32(topic string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(topic))
	return h.Sum32()
}

// NewGeneration draws 40 random bits.
func NewGeneration() string {
	return strings.ToLower(rand.Text()[:generationBytes])
}

// appendID appends the id of a position without late topics.
func appendID(dst []byte, generation string, p position) []byte {
	dst = append(dst, generation...)
	dst = append(dst, '-')
	dst = strconv.AppendUint(dst, p.seq, 36)
	if p.at != 0 {
		dst = strconv.AppendInt(append(dst, '-'), p.at, 36)
	}
	if p.absent != 0 {
		dst = strconv.AppendUint(append(dst, ".~"...), p.absent, 36)
	}
	return dst
}

// appendLateID appends an id for a replay of late topics. Without hashes it is an id that no
// hub can place.
func appendLateID(dst []byte, generation string, p position) []byte {
	if len(p.late) == 0 {
		return append(append(dst, generation...), "-"+nowhere...)
	}
	dst = appendID(dst, generation, position{seq: p.seq, at: p.at})
	dst = append(dst, '.')
	dst = strconv.AppendUint(dst, p.behind, 36)
	for _, h := range p.late {
		dst = append(dst, '.')
		dst = strconv.AppendUint(dst, uint64(h), 36)
	}
	return dst
}

// parseID parses an id of this generation. ok is false for anything else: garbage, or an id
// of another process or server.
func parseID(id, generation string) (p position, ok bool) {
	if len(id) > maxIDBytes {
		return p, false
	}
	gen, rest, found := strings.Cut(id, "-")
	if !found || gen != generation {
		return p, false
	}
	head, late, composite := strings.Cut(rest, ".")
	if p.seq, p.at, ok = parsePlain(head); !ok || !composite {
		return p, ok
	}
	if absent, ok := strings.CutPrefix(late, nowhere); ok {
		if p.absent, ok = parseNumber(absent, 64); !ok || p.absent == 0 {
			return position{}, false
		}
		return p, true
	}
	behind, hashes, found := strings.Cut(late, ".")
	if p.behind, ok = parseNumber(behind, 64); !ok || !found || p.behind > p.seq {
		return position{}, false
	}
	for h := range strings.SplitSeq(hashes, ".") {
		n, ok := parseNumber(h, 32)
		if !ok || len(p.late) == maxLate {
			return position{}, false
		}
		p.late = append(p.late, uint32(n))
	}
	return p, true
}

// parsePlain reads SEQ or SEQ-TIME.
func parsePlain(s string) (seq uint64, at int64, ok bool) {
	head, tail, timed := strings.Cut(s, "-")
	if seq, ok = parseNumber(head, 64); !ok || !timed {
		return seq, 0, ok
	}
	n, ok := parseNumber(tail, 63)
	if !ok || n == 0 {
		return 0, 0, false
	}
	return seq, int64(n), true
}

// parseNumber accepts base 36 only as appendID writes it: no sign, no upper case, no leading
// zero.
func parseNumber(s string, bits int) (uint64, bool) {
	if s == "" || s[0] == '+' || len(s) > 1 && s[0] == '0' || s != strings.ToLower(s) {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 36, bits)
	if err != nil {
		return 0, false
	}
	return n, true
}

// plausible reports whether a text has the form of an id, maybe of another process.
func plausible(id string) bool {
	id, _, _ = unseal(id)
	generation, rest, ok := strings.Cut(id, "-")
	rest, _, _ = strings.Cut(rest, ".")
	_, _, isNumber := parsePlain(rest)
	return ok && len(generation) == generationBytes && (isNumber || rest == nowhere)
}
