package segments

import (
	"context"
	"errors"
)

// scrubber reads all segments slowly, again and again, and compares them with their checksums.
// So damage is noticed while the events may still be in memory, or in a backup.
type scrubber struct {
	base   uint64 // of the segment that is read, or the next
	off    int64
	buffer []byte
}

// step reads about so many bytes.
func (s *scrubber) step(ctx context.Context, l *Log, budget int64) {
	if s.buffer == nil {
		s.buffer = make([]byte, 0, scanBuffer)
	}
	for budget > 0 && ctx.Err() == nil {
		seg, size := s.next(l)
		if seg == nil {
			s.base, s.off = 0, 0
			return // the next round is that of the next step
		}
		read, err := s.read(ctx, l, seg, size, budget)
		l.release([]*segment{seg})
		if err != nil {
			if ctx.Err() == nil {
				l.unreadable(err)
			}
			return
		}
		l.readable(read)
		budget -= max(read, 1)
	}
}

// next gives the segment to read from, used, and its size.
func (s *scrubber) next(l *Log) (*segment, int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, seg := range l.segments.list {
		if seg.base < s.base || seg.base == s.base && s.off >= seg.size {
			continue
		}
		if seg.base != s.base {
			s.base, s.off = seg.base, segmentHeader
		}
		if s.off >= seg.size {
			continue
		}
		seg.use()
		return seg, seg.size
	}
	return nil, 0
}

// read reads a part of a segment.
func (s *scrubber) read(ctx context.Context, l *Log, seg *segment, size, budget int64) (read int64, err error) {
	from := s.off
	err = scanFile(seg.file, scanOptions{salt: seg.salt, from: from, to: size, buffer: s.buffer}, func(r scanned) error {
		if r.kind == 0 {
			l.damagedRange(seg, r.off, r.end)
		}
		if s.off = r.end; s.off-from >= budget {
			return errFound
		}
		return ctx.Err()
	})
	switch {
	case errors.Is(err, errFound):
		return s.off - from, nil
	case err == nil:
		s.off = size // zeros that were reserved
	}
	return s.off - from, err
}

// readable notes that the files can be read.
func (l *Log) readable(bytes int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trouble.reading = nil
	l.stats.Scrubbed += bytes
}
