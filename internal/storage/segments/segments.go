package segments

import "slices"

// segmentSet is all segments, oldest first. The log's lock guards it.
type segmentSet struct {
	list []*segment
	byID map[uint32]*segment // those that were replaced as well, while a place names them
	next uint32
}

func (s *segmentSet) init() { s.byID = make(map[uint32]*segment) }

// add puts a segment behind all others.
func (s *segmentSet) add(seg *segment) {
	s.number(seg)
	s.list = append(s.list, seg)
}

// number gives a segment an id.
func (s *segmentSet) number(seg *segment) {
	s.next++
	seg.id = s.next
	s.byID[seg.id] = seg
}

// of gives the segment of a place.
func (s *segmentSet) of(p place) *segment { return s.byID[p.seg] }

// active is the segment that is appended to, nil if the next append begins one.
func (s *segmentSet) active() *segment {
	if n := len(s.list); n > 0 && !s.list[n-1].sealed {
		return s.list[n-1]
	}
	return nil
}

// bytes is the size of all.
func (s *segmentSet) bytes() (n int64) {
	for _, seg := range s.list {
		n += seg.size
	}
	return n
}

// replace puts one segment in the place of some that follow each other.
func (s *segmentSet) replace(old []*segment, by *segment) {
	i := slices.Index(s.list, old[0])
	s.list = slices.Replace(s.list, i, i+len(old), by)
}

// dropFirst takes the oldest out.
func (s *segmentSet) dropFirst() { s.list = slices.Delete(s.list, 0, 1) }

// use keeps the file of a segment open until release.
func (seg *segment) use() { seg.users++ }

// release ends a use. It closes the file if the segment is gone; that may happen under the
// lock, since closing a file that was only read writes nothing.
func (l *Log) release(segs []*segment) {
	var closing []File
	l.mu.Lock()
	for _, seg := range segs {
		if seg.users--; seg.users == 0 && seg.gone {
			closing = append(closing, seg.file)
			delete(l.segments.byID, seg.id)
		}
	}
	l.mu.Unlock()
	for _, f := range closing {
		_ = f.Close() // it was only read
	}
}

// retire marks a segment as gone that no place names any more. The caller holds the lock, and
// closes the file that is returned, if any.
func (l *Log) retire(seg *segment) File {
	seg.gone = true
	if seg.users > 0 {
		return nil
	}
	delete(l.segments.byID, seg.id)
	return seg.file
}
