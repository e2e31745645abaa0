package segments

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// damages lists all.
func damages(t *testing.T, o *original) []damage {
	all := slices.Concat(recordDamages(t, o), headerDamages(o), cutDamages(t, o), fileDamages(o), manyDamages(t, o))
	slices.SortFunc(all, func(a, b damage) int { return cmp.Compare(a.name, b.name) })
	return all
}

// recordDamages flips a bit in each part of a record.
func recordDamages(t *testing.T, o *original) (all []damage) {
	middle := o.names[len(o.names)/2]
	inMiddle := o.find(t, "event in the middle", func(r recordAt) bool { return r.file == middle && r.topic == "a" && !r.first && !r.last })
	keyed := o.find(t, "event with a key", func(r recordAt) bool { return r.file == middle && r.keyed && !r.last })
	parts := []struct {
		name string
		r    recordAt
		at   int64
	}{
		{"magic", inMiddle, 0}, {"kind", inMiddle, 1}, {"zero", inMiddle, 2}, {"length, small", inMiddle, 4}, {"length, large", inMiddle, 7},
		{"sum", inMiddle, 8}, {"position, small", inMiddle, 12}, {"position, large", inMiddle, 19}, {"time", inMiddle, 20}, {"flags", inMiddle, 28},
		{"number", inMiddle, 29}, {"predecessor", inMiddle, 30}, {"topic's length", inMiddle, 33}, {"topic", inMiddle, 34}, {"data", inMiddle, 60},
		{"last byte", inMiddle, inMiddle.end - inMiddle.off - 1}, {"key", keyed, 35},
	}
	for _, p := range parts {
		all = append(all, damage{"a bit of the " + p.name + " of an event", func(t *testing.T, f folder) { f.flip(t, p.r.file, p.r.off+p.at) }, isDamaged, []string{p.r.topic}})
	}
	for _, r := range []struct {
		name string
		is   func(recordAt) bool
		v    verdict
	}{
		{"the first event of all", func(r recordAt) bool { return r.seq == 1 }, isDamaged},
		{"the newest event of all", func(r recordAt) bool { return r.last && r.file == o.names[len(o.names)-1] }, isDamaged},
		{"the first event of a segment", func(r recordAt) bool { return r.file == middle && r.first }, isDamaged},
		{"the last event of a segment", func(r recordAt) bool { return r.file == middle && r.last }, isDamaged},
		{"an event that ends its topic", func(r recordAt) bool { return r.closing }, isDamaged},
		{"an event that deletes its topic", func(r recordAt) bool { return r.deleting }, isDamaged},
		{"the newest event of a topic", func(r recordAt) bool { return r.seq == o.answers["rare"][1].seq }, isDamaged},
		{"the only event that is left of a topic", func(r recordAt) bool { return r.seq == o.answers["rare"][0].seq }, isDamaged},
		{"an event that was trimmed", func(r recordAt) bool { return r.seq == o.answers["trimmed"][0].seq }, isEither},
		{"an event of a topic that was deleted", func(r recordAt) bool { return r.seq == o.answers["deleted"][0].seq }, isEither},
		{"a trim", func(r recordAt) bool { return r.kind == kindTrim }, isEither},
	} {
		at := o.find(t, r.name, r.is)
		all = append(all, damage{"a bit of " + r.name, func(t *testing.T, f folder) { f.flip(t, at.file, at.end-1) }, r.v, nil})
	}
	return all
}

// headerDamages flips a bit in each part of a header.
func headerDamages(o *original) (all []damage) {
	for where, name := range map[string]string{"oldest": o.names[0], "middle": o.names[len(o.names)/2], "newest": o.names[len(o.names)-1]} {
		for part, off := range map[string]int64{"magic": 0, "base": 8, "salt": 16, "prior": 24, "dropped": 32, "discarded": 40, "sum": 60} {
			all = append(all, damage{
				fmt.Sprintf("a bit of the %s in the header of the %s segment", part, where),
				func(t *testing.T, f folder) { f.flip(t, name, off) }, isDamaged, nil,
			})
		}
		all = append(all, damage{"the header of the " + where + " segment is zeros", func(t *testing.T, f folder) { f.zero(t, name, 0, segmentHeader) }, isDamaged, nil})
	}
	return all
}

// cutDamages end a file at every kind of place.
func cutDamages(t *testing.T, o *original) (all []damage) {
	for where, name := range map[string]string{"oldest": o.names[0], "middle": o.names[len(o.names)/2], "newest": o.names[len(o.names)-1]} {
		r := o.find(t, "event to cut", func(r recordAt) bool { return r.file == name && r.kind == kindEvent && !r.first })
		for place, size := range map[string]int64{
			"at its start": 0, "in its header": 30, "behind its header": segmentHeader, "before an event": r.off, "in the head of an event": r.off + 5,
			"behind the head of an event": r.off + recordHeader, "in an event": (r.off + r.end) / 2, "a byte before the end of an event": r.end - 1,
		} {
			all = append(all, damage{
				fmt.Sprintf("the %s segment is cut %s", where, place),
				func(t *testing.T, f folder) { f.cut(t, name, size) }, isDamaged, nil,
			})
		}
		all = append(all,
			damage{"a sector of the " + where + " segment is zeros", func(t *testing.T, f folder) { f.zero(t, name, 512, 1024) }, isDamaged, nil},
			damage{"the end of the " + where + " segment is zeros", func(t *testing.T, f folder) { f.zero(t, name, r.off, 1<<40) }, isDamaged, nil},
			damage{"the " + where + " segment is zeros", func(t *testing.T, f folder) { f.zero(t, name, 0, 1<<40) }, isDamaged, nil},
			damage{"the " + where + " segment is noise", func(t *testing.T, f folder) {
				f.edit(t, name, func(b []byte) []byte { return noise(len(b)) })
			}, isDamaged, nil},
			damage{"a byte too much in the " + where + " segment", func(t *testing.T, f folder) {
				f.edit(t, name, func(b []byte) []byte { return slices.Insert(b, int(r.off), 0) })
			}, isDamaged, nil},
		)
	}
	newest := o.names[len(o.names)-1]
	for what, tail := range map[string][]byte{"zeros": make([]byte, 5000), "noise": noise(5000), "half a record": {recordMagic, byte(kindEvent), 0, 0, 200, 0, 0, 0, 1, 2, 3, 4, 5}} {
		all = append(all, damage{"behind the newest event are " + what, func(t *testing.T, f folder) {
			f.edit(t, newest, func(b []byte) []byte { return append(b, tail...) })
		}, isHarmless, nil})
	}
	return all
}

func noise(n int) []byte {
	b := make([]byte, n)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// fileDamages are about whole files.
func fileDamages(o *original) []damage {
	n := len(o.names)
	oldest, second, middle, newest := o.names[0], o.names[1], o.names[n/2], o.names[n-1]
	all := []damage{
		{"the oldest segment is missing", func(t *testing.T, f folder) { f.remove(t, oldest) }, isDamaged, nil},
		{"the two oldest segments are missing", func(t *testing.T, f folder) { f.remove(t, oldest, second) }, isDamaged, nil},
		{"a segment is missing", func(t *testing.T, f folder) { f.remove(t, middle) }, isDamaged, nil},
		{"two segments are missing", func(t *testing.T, f folder) { f.remove(t, middle, second) }, isDamaged, nil},
		{"the newest segment is missing", func(t *testing.T, f folder) { f.remove(t, newest) }, isDamaged, nil},
		{"the two newest segments are missing", func(t *testing.T, f folder) { f.remove(t, newest, o.names[n-2]) }, isDamaged, nil},
		{"only the newest segment is there", func(t *testing.T, f folder) { f.remove(t, o.names[:n-1]...) }, isDamaged, nil},
		{"only the oldest segment is there", func(t *testing.T, f folder) { f.remove(t, o.names[1:]...) }, isDamaged, nil},
		{"no segment is there", func(t *testing.T, f folder) { f.remove(t, o.names...) }, isDamaged, nil},
		{"two segments are swapped", func(t *testing.T, f folder) {
			f.rename(t, middle, "x")
			f.rename(t, second, middle)
			f.rename(t, "x", second)
		}, isDamaged, nil},
		{"the oldest and the newest segment are swapped", func(t *testing.T, f folder) {
			f.rename(t, oldest, "x")
			f.rename(t, newest, oldest)
			f.rename(t, "x", newest)
		}, isDamaged, nil},
		{"a segment is there twice", func(t *testing.T, f folder) {
			b, _ := os.ReadFile(f.path(middle))
			base, _ := baseOf(middle)
			f.write(t, segmentName(base+1), b)
		}, isEither, nil},
		{"a segment is there twice, as the newest", func(t *testing.T, f folder) {
			b, _ := os.ReadFile(f.path(middle))
			f.write(t, segmentName(1<<40), b)
		}, isEither, nil},
		{"a segment has another name", func(t *testing.T, f folder) {
			base, _ := baseOf(middle)
			f.rename(t, middle, segmentName(base+1))
		}, isDamaged, nil},
		{"a segment stands in place of another", func(t *testing.T, f folder) {
			b, _ := os.ReadFile(f.path(second))
			f.write(t, middle, b)
		}, isDamaged, nil},
		{"a segment of another log", func(t *testing.T, f folder) {
			f.edit(t, middle, func([]byte) []byte { b, _ := os.ReadFile(filepath.Join(otherLog(t), oldest)); return b })
		}, isDamaged, nil},
		{"meta.json is missing", func(t *testing.T, f folder) { f.remove(t, "meta.json") }, isDamaged, nil},
		{"meta.json is empty", func(t *testing.T, f folder) { f.cut(t, "meta.json", 0) }, isDamaged, nil},
		{"meta.json is noise", func(t *testing.T, f folder) { f.write(t, "meta.json", noise(100)) }, isDamaged, nil},
		{"meta.json is cut", func(t *testing.T, f folder) { f.cut(t, "meta.json", 20) }, isDamaged, nil},
		{"meta.json is that of another log", func(t *testing.T, f folder) {
			f.edit(t, "meta.json", func([]byte) []byte { b, _ := os.ReadFile(filepath.Join(otherLog(t), "meta.json")); return b })
		}, isDamaged, nil},
		{"head is missing", func(t *testing.T, f folder) { f.remove(t, headName) }, isDamaged, nil},
		{"head is empty", func(t *testing.T, f folder) { f.cut(t, headName, 0) }, isDamaged, nil},
		{"head is noise", func(t *testing.T, f folder) { f.write(t, headName, noise(32)) }, isDamaged, nil},
		{"one half of head is noise", func(t *testing.T, f folder) { f.flip(t, headName, 3) }, isEither, nil},
		{"meta.json and head are missing", func(t *testing.T, f folder) { f.remove(t, "meta.json", headName) }, isDamaged, nil},
		{"a stray file", func(t *testing.T, f folder) { f.write(t, "notes.txt", noise(100)) }, isHarmless, nil},
		{"a stray file that ends like a segment", func(t *testing.T, f folder) { f.write(t, "copy.seg", noise(100)) }, isHarmless, nil},
		{"a backup of a segment", func(t *testing.T, f folder) {
			b, _ := os.ReadFile(f.path(middle))
			f.write(t, middle+".bak", b)
			f.write(t, strings.ToUpper(middle), b)
		}, isHarmless, nil},
		{"a file that was being written", func(t *testing.T, f folder) { f.write(t, middle+newSuffix, noise(100)) }, isHarmless, nil},
		{"an empty segment that was being begun", func(t *testing.T, f folder) { f.write(t, segmentName(1<<20), nil) }, isHarmless, nil},
	}
	return all
}

// manyDamages are damages together, and records out of their order.
func manyDamages(t *testing.T, o *original) (all []damage) {
	n := len(o.names)
	both := func(name string, a, b recordAt) damage {
		return damage{name, func(t *testing.T, f folder) {
			f.flip(t, a.file, a.end-1)
			f.flip(t, b.file, b.end-1)
		}, isDamaged, nil}
	}
	event := func(is func(recordAt) bool) recordAt {
		return o.find(t, "event", func(r recordAt) bool { return r.kind == kindEvent && is(r) })
	}
	in := func(i int) func(recordAt) bool {
		return func(r recordAt) bool { return r.file == o.names[i] && !r.first }
	}
	a, b := event(in(2)), event(in(n-2))
	lastOf, firstOf := event(func(r recordAt) bool { return r.file == o.names[2] && r.last }), event(func(r recordAt) bool { return r.file == o.names[3] && r.first })
	all = append(all,
		both("two events of different segments", a, b),
		both("the last of a segment and the first of the next", lastOf, firstOf),
		damage{"the last event of a segment and the header of the next", func(t *testing.T, f folder) {
			f.flip(t, lastOf.file, lastOf.end-1)
			f.flip(t, firstOf.file, 8)
		}, isDamaged, nil},
		damage{"the newest event and head", func(t *testing.T, f folder) {
			r := o.records[len(o.records)-1]
			f.flip(t, r.file, r.end-1)
			f.write(t, headName, noise(32))
		}, isDamaged, nil},
		damage{"every segment has a zero sector", func(t *testing.T, f folder) {
			for _, name := range o.names[:n-1] {
				f.zero(t, name, 1024, 1536)
			}
		}, isDamaged, nil},
		damage{"every event", func(t *testing.T, f folder) {
			for _, r := range o.records {
				f.flip(t, r.file, r.end-1)
			}
		}, isDamaged, nil},
	)
	for _, name := range []string{"a", "b", "rare", "closed"} {
		all = append(all, damage{"all events of " + name, func(t *testing.T, f folder) {
			for _, r := range o.records {
				if r.topic == name {
					f.flip(t, r.file, r.end-1)
				}
			}
		}, isDamaged, nil})
	}
	for what, file := range map[string]string{"in the middle": o.names[n/2], "at the end": o.names[n-1]} {
		records := slices.DeleteFunc(slices.Clone(o.records), func(r recordAt) bool { return r.file != file || r.kind != kindEvent })
		x, y := records[len(records)-2], records[len(records)-1]
		all = append(all,
			damage{"two events change their places " + what, func(t *testing.T, f folder) {
				f.edit(t, file, func(b []byte) []byte {
					first, between, second := bytes.Clone(b[x.off:x.end]), bytes.Clone(b[x.end:y.off]), bytes.Clone(b[y.off:y.end])
					copy(b[x.off:], slices.Concat(second, between, first))
					return b
				})
			}, isDamaged, nil},
			damage{"an event is there twice " + what, func(t *testing.T, f folder) {
				f.edit(t, file, func(b []byte) []byte { return slices.Insert(b, int(y.end), bytes.Clone(b[y.off:y.end])...) })
			}, isEither, nil},
			damage{"an event is cut out " + what, func(t *testing.T, f folder) {
				f.edit(t, file, func(b []byte) []byte { return slices.Delete(b, int(y.off), int(y.end)) })
			}, isDamaged, nil},
		)
	}
	return all
}

// otherLog makes another log, and gives its folder.
func otherLog(t *testing.T) string {
	t.Helper()
	r := start(t, t.TempDir())
	r.add(entry("a", "of another log"), entry("b", "of another log"))
	r.stop()
	return r.opts.Dir
}
