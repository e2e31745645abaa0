package segments

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"tidegate/internal/topic"
)

// rebuild makes the index from the files of a log. It changes nothing.
type rebuild struct {
	l      *Log
	now    int64
	head   uint64 // the newest position that was written
	noHead bool   // that is not known
	buffer []byte

	last    uint64 // the newest position that was seen, or is known to be gone
	stored  uint64 // the same, without positions that were given to nobody
	top     uint64 // the highest that a segment is named by
	lost    bool   // there was damage behind last
	suspect int    // index in Damage of the first of it
	inFile  uint64 // the newest position that was seen in the file that is read
	holes   []span
	voids   []span
	deletes []deletion // of what is before, unless they were refused
	Damage  []Damage
	ended   bool  // it has a last record
	lastEnd int64 // behind the last whole record
}

// deletion is an event that deletes its topic.
type deletion struct {
	t   *topicIndex
	seq uint64
}

// span is a range of positions, both ends in it.
type span struct{ from, to uint64 }

// Damage is a place in a file that is not what was written.
type Damage struct {
	File     string `json:"file"`
	From     int64  `json:"from"` // bytes
	To       int64  `json:"to"`
	What     string `json:"what"`
	FromSeq  uint64 `json:"from_position,omitempty"` // of events that are missing for it, as far as is known
	ToSeq    uint64 `json:"to_position,omitempty"`
	Harmless bool   `json:"harmless,omitempty"` // nothing is missing that was answered
}

// run reads all segments.
func (b *rebuild) run() error {
	names, err := segmentNames(b.l.fs, b.l.opts.Dir, false)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for i, name := range names {
		if err := b.segment(name, i == len(names)-1); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	b.finish()
	return nil
}

// segment reads one file.
func (b *rebuild) segment(name string, newest bool) error {
	path := filepath.Join(b.l.opts.Dir, name)
	mode := os.O_RDWR
	if b.l.readOnly {
		mode = os.O_RDONLY
	}
	f, err := b.l.fs.OpenFile(path, mode, 0)
	if err != nil {
		return err
	}
	size, err := f.Size()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	base, _ := baseOf(name)
	s := &segment{base: base, path: path, file: f, salt: b.l.meta.Salt, sealed: !newest}
	b.l.segments.add(s)
	if err := b.joint(s, size, len(b.l.segments.list) == 1); err != nil {
		return err
	}
	b.lastEnd, b.ended, b.inFile = min(segmentHeader, size), false, 0
	err = scanFile(f, scanOptions{salt: s.salt, from: segmentHeader, to: size, buffer: b.buffer}, func(r scanned) error {
		return b.record(s, r)
	})
	if err != nil {
		return err
	}
	s.size, s.last = b.lastEnd, max(b.stored, s.last)
	s.sealed = s.sealed || b.ended || size < segmentHeader
	if b.lost && newest {
		b.tail(s, size)
	}
	return nil
}

// header reads the first bytes. Where they are damaged the file's name and the log's
// own salt have to do; ok is false then. So it is with a file that could neither be
// begun nor removed.
func (b *rebuild) header(s *segment, size int64) (h header, ok bool, err error) {
	first, err := readSome(s.file, min(size, segmentHeader))
	if err != nil {
		return h, false, err
	}
	h, err = parseHeader(first)
	if err == nil && h.base == s.base && h.salt == s.salt {
		b.l.floors.raise(h.floors)
		return h, true, nil
	}
	what := "the header is damaged"
	if err == nil {
		what = "the header is that of another log or segment"
	}
	b.lose(Damage{File: s.path, To: min(size, segmentHeader), What: what})
	s.sealed = true
	return h, false, nil
}

func readSome(f File, n int64) ([]byte, error) {
	b := make([]byte, n)
	got, err := f.ReadAt(b, 0)
	if int64(got) == n {
		err = nil
	}
	return b[:got], err
}

// joint compares a segment's beginning with the end of the one before. Without its
// header it takes the first event of it, or the next segment, to tell what is missing.
func (b *rebuild) joint(s *segment, size int64, first bool) error {
	b.top = max(b.top, s.base)
	h, ok, err := b.header(s, size)
	switch {
	case err != nil:
		return err
	case first: // beginning judges what is before
	case !ok:
		return nil
	case h.prior > b.last && b.lost:
		b.hole(s, "", h.prior) // it was said what was damaged there
	case h.prior > b.last:
		b.hole(s, "the end of the segment before it is missing", h.prior)
	case b.lost:
		b.harmless("a write that failed has left it")
	}
	b.last, b.lost = max(b.last, s.base-1), b.lost && !ok // positions in between were given to nobody
	return nil
}

// lose notes damage behind which events may be missing.
func (b *rebuild) lose(d Damage) {
	if !b.lost {
		b.lost, b.suspect = true, len(b.Damage)
	}
	b.note(d)
}

// harmless notes that nothing is missing for the damage behind the last position.
func (b *rebuild) harmless(what string) {
	for i := min(b.suspect, len(b.Damage)); i < len(b.Damage); i++ {
		b.Damage[i].Harmless, b.Damage[i].What = true, b.Damage[i].What+": "+what
		b.l.stats.Damaged--
	}
	b.lost = false
}

// hole notes that what lies between the newest position that was seen and another one,
// that included, is not there.
func (b *rebuild) hole(s *segment, what string, to uint64) {
	if to <= b.last {
		return
	}
	if what != "" {
		b.note(Damage{File: s.path, What: what, FromSeq: b.last + 1, ToSeq: to})
	} else if n := len(b.Damage); n > 0 {
		b.Damage[n-1].FromSeq, b.Damage[n-1].ToSeq = b.last+1, to
	}
	b.holes = append(b.holes, span{b.last + 1, to})
	b.l.note(control{kind: kindHole, from: b.last + 1, to: to})
	b.last, b.stored = to, max(b.stored, to)
}

// mostDamage bounds what is said of each place. Holes are noted all the same.
const mostDamage = 1000

func (b *rebuild) note(d Damage) {
	if len(b.Damage) < mostDamage {
		b.Damage = append(b.Damage, d)
	}
	b.l.stats.Damaged++
}

// record takes what stands next in a file.
func (b *rebuild) record(s *segment, r scanned) error {
	if r.kind == 0 {
		b.lose(Damage{File: s.path, From: r.off, To: r.end, What: "no whole record"})
		return nil
	}
	b.lastEnd = r.end
	if r.kind == kindEvent {
		return b.event(s, r)
	}
	m, err := parseControl(r.kind, r.body)
	if err != nil {
		b.note(Damage{File: s.path, From: r.off, To: r.end, What: "a control record of another version"})
		return nil
	}
	b.control(s, m)
	return nil
}

func (b *rebuild) control(s *segment, m control) {
	switch m.kind {
	case kindTrim:
		if t, ok := b.l.index.topics[m.topic]; ok {
			b.l.cutKept(t, 0, t.from(m.to))
		}
	case kindVoid:
		b.voids = append(b.voids, span{m.from, m.to})
	case kindHole:
		s.holes = append(s.holes, m)
		if m.topic == "" {
			b.holes = append(b.holes, span{m.from, m.to})
			return
		}
		b.l.index.enter(m.topic).hole = m.to
	case kindFloor:
		b.l.floors.raise(floors{dropped: m.from, discarded: m.to})
	case kindEnd:
		b.ended = true
		if b.lost {
			b.hole(s, "", m.to)
			b.lost = false
		}
		b.last, b.stored, s.last = max(b.last, m.to), max(b.stored, m.to), m.to
	}
}

func (b *rebuild) event(s *segment, r scanned) error {
	v, err := parseEvent(r.body)
	if err != nil {
		b.lose(Damage{File: s.path, From: r.off, To: r.end, What: "an event of another version"})
		return nil
	}
	if v.seq < b.inFile {
		b.misplaced(s, r, &v)
		return nil
	}
	b.inFile = v.seq
	if v.seq <= b.last {
		return nil // it stands in a segment that was merged as well
	}
	if b.lost {
		b.hole(s, "", v.seq-1)
		b.lost = false
	}
	b.last, b.stored = v.seq, v.seq
	l := b.l
	t, ok := l.index.topics[string(v.topic)]
	if !ok {
		t = l.index.enter(string(v.topic))
	}
	flags := v.flags
	if flags&flagDelete != 0 && len(t.places) > 0 {
		b.deletes = append(b.deletes, deletion{t, v.seq})
	}
	if i := t.from(v.born); v.born > 0 && i > 0 { // what deleted them may be damaged
		l.cutKept(t, 0, i)
	}
	t.keep(v.age)
	l.push(t, place{seq: v.seq, seg: s.id, off: uint32(r.off)}, s,
		closes(flags&flagClose != 0 && flags&flagDelete == 0, v.at, v.age))
	s.events++
	s.last, s.lastAt = v.seq, v.at
	s.times.add(v.seq, v.at)
	l.lastAt = max(l.lastAt, v.at)
	if v.key != nil && b.now-v.at < int64(topic.KeyLife) {
		l.keys.add(keyID(v.key), v.seq, v.at)
	}
	return nil
}

// misplaced leaves out an event that stands behind a later one of its file: it was not
// written there.
func (b *rebuild) misplaced(s *segment, r scanned, v *eventView) {
	b.note(Damage{File: s.path, From: r.off, To: r.end, What: "an event behind a later one", FromSeq: v.seq, ToSeq: v.seq})
	b.l.stats.Holes++
	name := string(v.topic)
	t := b.l.index.enter(name)
	t.hole = max(t.hole, v.seq)
	b.l.note(control{kind: kindHole, topic: name, from: v.seq, to: v.seq})
}

// tail judges what is behind the last whole record of the newest segment. What was
// being written when the process ended was answered to nobody; the head says up to
// where something was.
func (b *rebuild) tail(s *segment, size int64) {
	if !b.l.opts.Redraw && (b.head > b.last || b.noHead) {
		return // finish says what is missing
	}
	b.harmless("the last write was not finished")
}
