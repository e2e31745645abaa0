package segments

import (
	"context"
	"errors"
	"slices"
)

// rewriteSome compacts a segment of which less than half is in the index, or merges some small
// ones. It reports whether there was work and it succeeded. Appends go on meanwhile.
//
// The new file gets the name of the first old one when it is on the disk. If the process
// ends before the others are removed, their records are in both, and the next start ignores
// the second copy.
func (l *Log) rewriteSome(ctx context.Context) bool {
	old := l.sparse()
	if len(old) == 0 {
		return false
	}
	defer l.release(old)
	err := l.rewrite(ctx, old)
	if err != nil && ctx.Err() == nil {
		l.log.Warn("a segment was not rewritten: tried again", "file", old[0].path, "error", err)
	}
	return err == nil
}

// sparse chooses what to rewrite, and has it used.
func (l *Log) sparse() []*segment {
	l.mu.Lock()
	defer l.mu.Unlock()
	var run []*segment
	var bytes int64
	worth := func() bool { return len(run) > 1 || len(run) == 1 && run[0].isSparse() }
	for i, s := range l.segments.list {
		fits := s.sealed && s.synced && (i > 0 || s.live > 0)
		left := s.left()
		if !fits || bytes+left > l.opts.segmentSize/2 {
			if worth() {
				return use(run)
			}
			run, bytes = nil, 0
		}
		if fits {
			run, bytes = append(run, s), bytes+left
		}
	}
	if worth() {
		return use(run)
	}
	return nil
}

func use(segs []*segment) []*segment {
	for _, s := range segs {
		s.use()
	}
	return segs
}

// left is about how many bytes in a segment count.
func (seg *segment) left() int64 {
	if seg.events == 0 {
		return seg.controlBytes
	}
	return seg.controlBytes + (seg.size-seg.controlBytes)/int64(seg.events)*int64(seg.live)
}

// isSparse reports whether rewriting frees more than it costs.
func (seg *segment) isSparse() bool { return seg.size > 4<<10 && seg.left() < seg.size/2 }

// rewrite writes some neighbours into one file, and points the index to it.
func (l *Log) rewrite(ctx context.Context, old []*segment) error {
	first, last := old[0], old[len(old)-1]
	to := &segment{base: first.base, path: first.path, salt: first.salt, sealed: true, synced: true, last: last.last, lastAt: last.lastAt}
	c := &copying{l: l, ctx: ctx, to: to}
	if err := c.write(old); err != nil {
		return err
	}
	// Events that were left out for a trim must not be missing between events that come
	// back because the trim's record is gone.
	err := l.writeControls()
	if err == nil {
		l.queue.exclusive(func() { err = l.exchange(to, old) })
	}
	if err != nil {
		return errors.Join(err, to.file.Close(), l.fs.Remove(to.path+newSuffix))
	}
	var before int64
	for _, s := range old {
		before += s.size
	}
	c.adopt(old)
	for _, s := range old[1:] {
		if err := l.fs.Remove(s.path); err != nil {
			l.log.Warn("a segment that is not needed any more stays", "file", s.path, "error", err)
		}
	}
	l.count(func(s *Stats) {
		s.Rewritten += uint64(len(old))
		s.Reclaimed += max(before-to.size, 0)
	})
	return nil
}

// errOvertaken: what was being rewritten has been dropped meanwhile.
var errOvertaken = errors.New("segments: dropped meanwhile")

// exchange replaces the old files by the new one, while no group is written.
func (l *Log) exchange(to *segment, old []*segment) error {
	l.mu.Lock()
	i := slices.Index(l.segments.list, old[0])
	there := i >= 0 && !l.closed && slices.Equal(l.segments.list[i:min(i+len(old), len(l.segments.list))], old)
	l.mu.Unlock()
	if !there {
		return errOvertaken
	}
	if err := l.fs.Rename(to.path+newSuffix, to.path); err != nil {
		return err
	}
	if err := l.fs.SyncDir(l.opts.Dir); err != nil { // it is there, if not for certain
		l.log.Warn("the folder of the event log was not synced", "error", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.segments.number(to)
	l.segments.replace(old, to)
	return nil
}

// copying is the writing of a new file.
type copying struct {
	l     *Log
	ctx   context.Context
	to    *segment
	buf   []byte
	moved []moved

	// What is before the old files may have events that do not count by what stands
	// in them only.
	trims map[string]uint64 // by topic: events below do not count
	voids []control
}

// moved is an event that stands in the new file as well.
type moved struct {
	t        *topicIndex
	seq      uint64
	seg      uint32 // of the old file
	from, to uint32 // offsets
}

// write writes the new file, synced, under another name.
func (c *copying) write(old []*segment) (err error) {
	l, to, path := c.l, c.to, c.to.path+newSuffix
	l.mu.Lock()
	h := header{base: to.base, prior: to.base - 1, salt: to.salt, floors: l.floors}
	if i := slices.Index(l.segments.list, old[0]); i > 0 {
		h.prior = l.segments.list[i-1].last
	}
	l.mu.Unlock()
	if to.file, err = createSegment(l.fs, path, h, 0, false); err != nil {
		return err
	}
	to.size, c.trims = segmentHeader, make(map[string]uint64)
	for _, s := range old {
		if err = c.segment(s); err != nil {
			break
		}
	}
	if err == nil {
		err = c.keepControls(old[0])
	}
	if err == nil {
		c.buf = appendControl(c.buf, to.salt, control{kind: kindEnd, from: uint64(to.events), to: to.last})
		err = c.flush()
	}
	if err == nil {
		err = to.file.Datasync()
	}
	if err != nil {
		return errors.Join(err, to.file.Close(), l.fs.Remove(path))
	}
	return nil
}

// segment copies what counts of one file.
func (c *copying) segment(s *segment) error {
	for _, h := range s.holes {
		c.buf = appendControl(c.buf, c.to.salt, h)
		c.to.holes = append(c.to.holes, h)
	}
	return scanFile(s.file, scanOptions{salt: s.salt, from: segmentHeader, to: c.l.sizeOf(s)}, func(r scanned) error {
		switch {
		case c.ctx.Err() != nil:
			return context.Cause(c.ctx)
		case r.kind == 0:
			c.l.damagedRange(s, r.off, r.end)
			return nil
		case r.kind != kindEvent:
			return c.control(r)
		}
		v, err := parseEvent(r.body)
		if err != nil {
			c.l.damagedRange(s, r.off, r.end)
			return nil
		}
		t := c.l.standing(v.topic, place{v.seq, s.id, uint32(r.off)})
		if t == nil {
			return nil
		}
		c.moved = append(c.moved, moved{t, v.seq, s.id, uint32(r.off), uint32(c.to.size + int64(len(c.buf)))})
		c.buf = append(c.buf, r.raw...)
		c.to.events++
		c.to.times.add(v.seq, v.at)
		if len(c.buf) >= scanBuffer {
			return c.flush()
		}
		return nil
	})
}

// control notes what a control record says of events in other files.
func (c *copying) control(r scanned) error {
	m, err := parseControl(r.kind, r.body)
	switch {
	case err != nil:
	case m.kind == kindTrim:
		c.trims[m.topic] = max(c.trims[m.topic], m.to)
	case m.kind == kindVoid:
		c.voids = append(c.voids, m)
	}
	return nil
}

// keepControls writes the control records that are still needed: none if the first old file is
// the oldest segment.
func (c *copying) keepControls(first *segment) error {
	c.l.mu.Lock()
	oldest := len(c.l.segments.list) > 0 && c.l.segments.list[0] == first
	c.l.mu.Unlock()
	if oldest {
		return nil
	}
	before := c.to.size + int64(len(c.buf))
	for name, below := range c.trims {
		c.buf = appendControl(c.buf, c.to.salt, control{kind: kindTrim, topic: name, to: below})
	}
	for _, m := range c.voids {
		c.buf = appendControl(c.buf, c.to.salt, m)
	}
	c.to.controlBytes = c.to.size + int64(len(c.buf)) - before
	return c.flush()
}

func (c *copying) flush() error {
	_, err := c.to.file.WriteAt(c.buf, c.to.size)
	c.to.size += int64(len(c.buf))
	c.buf = c.buf[:0]
	return err
}

// standing gives the topic whose index names a place, nil if none does.
func (l *Log) standing(name []byte, p place) *topicIndex {
	l.mu.Lock()
	defer l.mu.Unlock()
	t, ok := l.index.topics[string(name)]
	if !ok {
		return nil
	}
	if at, ok := t.find(p.seq); !ok || at != p {
		return nil
	}
	return t
}

// adopt points the index to the new file, and retires the old ones. Events that were dropped
// meanwhile stay dropped.
func (c *copying) adopt(old []*segment) {
	l := c.l
	for some := range slices.Chunk(c.moved, stepTopics) {
		l.mu.Lock()
		for _, m := range some {
			i := m.t.from(m.seq)
			if i < len(m.t.places) && m.t.places[i] == (place{m.seq, m.seg, m.from}) {
				l.segments.byID[m.seg].live--
				m.t.places[i] = place{m.seq, c.to.id, m.to}
				c.to.live++
			}
		}
		l.mu.Unlock()
	}
	for _, s := range old {
		l.mu.Lock()
		left := s.live
		l.mu.Unlock()
		if left > 0 { // what could not be read
			l.damagedRange(s, 0, mostFile)
		}
		l.mu.Lock()
		s.gone = true // it is closed when the rewrite releases it
		l.mu.Unlock()
	}
}
