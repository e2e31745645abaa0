package topic

import (
	"slices"
	"strings"
	"testing"
)

const testGeneration = "abcdefgh"

func (p position) equal(q position) bool {
	return p.seq == q.seq && p.at == q.at && p.behind == q.behind && p.absent == q.absent && slices.Equal(p.late, q.late)
}

func TestParseIDReadsWhatWasWritten(t *testing.T) {
	t.Parallel()
	for _, want := range []position{
		{},
		{seq: 1},
		{seq: 1<<64 - 1},
		{seq: 7, at: 1},
		{seq: 7, absent: 1},
		{seq: 7, at: 36, absent: 1<<64 - 1},
		{seq: 1<<64 - 1, at: 1<<63 - 1},
		{seq: 36, at: 1700000000000000000, behind: 36, late: []uint32{5}},
		{seq: 35, behind: 0, late: []uint32{0}},
		{seq: 36, behind: 36, late: []uint32{1<<32 - 1}},
		{seq: 1<<64 - 1, behind: 1<<64 - 1, late: slices.Repeat([]uint32{1<<32 - 1}, maxLate)},
	} {
		id := string(appendID(nil, testGeneration, want))
		if want.late != nil {
			id = string(appendLateID(nil, testGeneration, want))
		}
		if got, ok := parseID(id, testGeneration); !ok || !got.equal(want) {
			t.Errorf("parseID(%q) = %+v, %v; want %+v", id, got, ok, want)
		}
	}
}

func TestParseIDRefuses(t *testing.T) {
	t.Parallel()
	for _, id := range []string{
		"", "-", "abcdefgh", "abcdefgh-", "-1", "abcdefgi-1", "ABCDEFGH-1", "abcdefg-1", "abcdefghi-1",
		"abcdefgh-01", "abcdefgh-+1", "abcdefgh--1", "abcdefgh-1-", "abcdefgh-1-0", "abcdefgh-1-01", "abcdefgh-1-1-1", "abcdefgh-1-1y2p0ij32e8e8", // 2^63
		"abcdefgh-1--1", "abcdefgh-A", "abcdefgh-1 ", " abcdefgh-1", "abcdefgh-1_0", "abcdefgh-ſ",
		"abcdefgh-3w5e11264sgsg", // 2^64
		"abcdefgh-~",
		"abcdefgh-5.", "abcdefgh-5.1", "abcdefgh-5.1.", "abcdefgh-5..1", "abcdefgh-5.6.1", // behind is not behind
		"abcdefgh-5.~", "abcdefgh-5.~0", "abcdefgh-5.~01", "abcdefgh-5.~1.1", "abcdefgh-5.1.~1", "abcdefgh-5.~~1", "abcdefgh-5.~3w5e11264sgsg",
		"abcdefgh-5.1.1.", "abcdefgh-5.1.01", "abcdefgh-5.1.1z141z4", // 2^32
		"abcdefgh-5.1" + strings.Repeat(".1", maxLate+1),
		"abcdefgh-" + strings.Repeat("1", 1<<20),
	} {
		if p, ok := parseID(id, testGeneration); ok {
			t.Errorf("parseID(%.80q) = %+v, want it refused", id, p)
		}
	}
}

func TestAPositionIsBehindForItsLateTopicsOnly(t *testing.T) {
	t.Parallel()
	p := position{seq: 9, behind: 4, late: []uint32{hash32("b"), hash32("c")}}
	for topic, want := range map[string]uint64{"a": 9, "b": 4, "c": 4, "d": 9} {
		if got := p.of(topic); got != want {
			t.Errorf("of(%q) = %d, want %d", topic, got, want)
		}
	}
}

func TestIDsOfOtherProcessesArePlausibleAndWordsAreNot(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]bool{
		"zzzzzzzz-1": true, "zzzzzzzz-1.0.5": true, "zzzzzzzz-~": true,
		"earlyest": false, "": false, "12": false, "zzzzzzzz-": false, "zzzzzzzz-!": false, "zzz-1": false,
	} {
		if got := plausible(id); got != want {
			t.Errorf("plausible(%q) = %v, want %v", id, got, want)
		}
	}
}

// FuzzParseID holds that no id makes the parser panic, and that there is one way
// only to write a position: what parses is written back as it was.
func FuzzParseID(f *testing.F) {
	for _, id := range []string{
		"abcdefgh-1", "abcdefgh-2s.1e.1z141z3", "abcdefgh-2s.0.0.0", "abcdefgh-~", "abcdefgh-0", "abcdefgh-3w5e11264sgsf",
		"zzzzzzzz-1", "abcdefgh-1.2.3", "abcdefgh-7000000000000", "abcdefgh-5.1" + strings.Repeat(".1", maxLate), "latest", "", "abcdefgh-1-1y2p0ij32e8e7", "abcdefgh-1.~2s", "abcdefgh-1-5.~3w5e11264sgsf", "abcdefgh-2s-5.1e.1z141z3",
	} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		p, ok := parseID(id, testGeneration)
		if !ok {
			if !p.equal(position{}) {
				t.Errorf("parseID(%q) is refused and yet gives %+v", id, p)
			}
			return
		}
		again := appendID(nil, testGeneration, p)
		if p.late != nil {
			again = appendLateID(nil, testGeneration, p)
		}
		if string(again) != id {
			t.Errorf("parseID(%q) = %+v, which is written %q", id, p, again)
		}
		if len(id) > maxIDBytes || p.behind > p.seq || len(p.late) > maxLate {
			t.Errorf("parseID(%q) = %+v is beyond its bounds", id, p)
		}
		if !plausible(id) {
			t.Errorf("plausible(%q) = false for an id that parses", id)
		}
	})
}
