package topic

import (
	"crypto/rand"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
)

// A position is where a client stands in the one order of all events, as its
// last event id says it.
//
// The id is opaque outside. Inside it is GENERATION-SEQ, the number in base 36:
// the generation is drawn when the logs are made, so that an id of others is
// recognised instead of being taken for a number of these. Logs that outlive
// the process have ids GENERATION-SEQ-TIME, with the time at which the event
// was stored: should the store ever go back and give a number anew, the time
// tells the two events apart. While a stream is given the past of topics that it
// joined late, .BEHIND.HASH[.HASH…] follows: everything up to SEQ, but of the
// topics with these hashes only up to BEHIND. A client that was told of topics that
// do not exist has .~HASH instead, the sum of theirs.
type position struct {
	seq    uint64
	at     int64 // unix nanoseconds; 0 without a store
	behind uint64
	late   []uint32 // hashes of the topics that stand at behind; nil for most ids
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

// appendID renders the id of a position that no topic is behind.
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

// appendLateID renders an id for a replay that runs behind the stream's cursor.
// Without hashes the id is one that no hub can place.
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

// parseID reads an id of this generation. What is not one — garbage, an id of
// another process or of another server — is not ok.
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
	if told, ok := strings.CutPrefix(late, nowhere); ok {
		if p.absent, ok = parseNumber(told, 64); !ok || p.absent == 0 {
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

// parseNumber takes base 36 as appendID writes it and nothing else: no sign, no
// upper case, no leading zero.
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

// plausible tells an id of another process from a word that was never an id.
func plausible(id string) bool {
	id, _, _ = unseal(id)
	generation, rest, ok := strings.Cut(id, "-")
	rest, _, _ = strings.Cut(rest, ".")
	_, _, isNumber := parsePlain(rest)
	return ok && len(generation) == generationBytes && (isNumber || rest == nowhere)
}
