package segments

import (
	"context"
	"errors"
	"fmt"
	"io"

	"tidegate/internal/topic"
)

// readStep is how many places are looked up under one hold of the lock.
const readStep = 512

// Read gives the stored events of a topic, see [topic.Store]. What is found to be
// damaged is left out, and is a hole from then on.
func (l *Log) Read(ctx context.Context, name string, from, before uint64, yield func(topic.Stored) error) error {
	l.count(func(s *Stats) { s.Reads++ })
	return l.read(ctx, name, from, before, func(v eventView) error { return yield(v.stored(name)) })
}

// read gives the events of a topic that have not expired. A view is valid until the
// function returns.
func (l *Log) read(ctx context.Context, name string, from, before uint64, yield func(eventView) error) error {
	now := l.opts.now().UnixNano()
	var r reader
	for {
		places, segs, err := l.lookUp(name, from, before)
		if err != nil || len(places) == 0 {
			return err
		}
		for _, p := range places {
			if err = ctx.Err(); err != nil {
				break
			}
			var v eventView
			v, err = r.event(segs[p.seg], p, name)
			switch {
			case errors.Is(err, errDamaged):
				l.damaged(name, p, err)
				err = nil
				continue
			case err != nil:
				l.unreadable(err)
			case !v.expired(now):
				err = yield(v)
			}
			if err != nil {
				break
			}
		}
		l.release(used(segs))
		if err != nil {
			return err
		}
		from = places[len(places)-1].seq + 1
	}
}

// lookUp gives the next places of a topic, and their segments, which are used.
func (l *Log) lookUp(name string, from, before uint64) ([]place, map[uint32]*segment, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, nil, errClosed
	}
	t, ok := l.index.topics[name]
	if !ok {
		return nil, nil, nil
	}
	i, j := t.from(from), t.from(before)
	if i >= j {
		return nil, nil, nil
	}
	places := append([]place(nil), t.places[i:min(j, i+readStep)]...)
	segs := make(map[uint32]*segment)
	for _, p := range places {
		if segs[p.seg] == nil {
			segs[p.seg] = l.segments.of(p)
			segs[p.seg].use()
		}
	}
	return places, segs, nil
}

func used(segs map[uint32]*segment) []*segment {
	list := make([]*segment, 0, len(segs))
	for _, s := range segs {
		list = append(list, s)
	}
	return list
}

// unreadable notes that a file could not be read. It is not known to be damaged.
func (l *Log) unreadable(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.trouble.reading == nil {
		l.log.Error("the event log cannot be read", "error", err)
	}
	l.trouble.reading = err
	l.stats.ReadErrors++
}

// errDamaged: what is in a file is not what was written.
var errDamaged = errors.New("segments: a record is damaged")

// reader reads records. It keeps what it has read last: the next one is often there.
type reader struct {
	seg   *segment
	start int64
	buf   []byte
}

// readGuess is how much is read at once, if an event is not known to be larger.
const readGuess = 4 << 10

// event reads and checks the event at a place. What was read ahead may have been
// about to be written: only what is read now can be damaged.
func (r *reader) event(seg *segment, p place, name string) (eventView, error) {
	v, err := r.try(seg, p, name)
	if errors.Is(err, errDamaged) {
		r.seg = nil
		v, err = r.try(seg, p, name)
	}
	return v, err
}

func (r *reader) try(seg *segment, p place, name string) (eventView, error) {
	b, err := r.record(seg, int64(p.off))
	if err != nil {
		return eventView{}, err
	}
	v, err := parseEvent(b[recordHeader:])
	if err != nil || v.seq != p.seq || string(v.topic) != name || kind(b[1]) != kindEvent {
		return eventView{}, fmt.Errorf("%w: at byte %d of %s another one stands", errDamaged, p.off, seg.path)
	}
	return v, nil
}

// record reads a whole record and checks its sum, with the salt that its segment's
// log has.
func (r *reader) record(seg *segment, off int64) ([]byte, error) {
	b, err := r.bytes(seg, off, recordHeader)
	if err != nil {
		return nil, err
	}
	h, ok := headOf(b, mostRecord)
	if !ok {
		return nil, fmt.Errorf("%w: at byte %d of %s", errDamaged, off, seg.path)
	}
	if b, err = r.bytes(seg, off, h.size); err != nil {
		return nil, err
	}
	if sum(b, seg.salt) != h.sum {
		return nil, fmt.Errorf("%w: at byte %d of %s the sum is wrong", errDamaged, off, seg.path)
	}
	return b, nil
}

// mostRecord is how large a record may be.
const mostRecord = mostMaxEvent + 1<<20

// bytes gives n bytes of a file.
func (r *reader) bytes(seg *segment, off int64, n int) ([]byte, error) {
	if r.seg == seg && off >= r.start && off+int64(n) <= r.start+int64(len(r.buf)) {
		return r.buf[off-r.start:][:n], nil
	}
	size := max(n, readGuess)
	if cap(r.buf) < size {
		r.buf = make([]byte, size)
	}
	r.buf = r.buf[:size]
	got, err := seg.file.ReadAt(r.buf, off)
	r.seg, r.start, r.buf = seg, off, r.buf[:got]
	switch {
	case got >= n:
		return r.buf[:n], nil
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("%w: %s ends at byte %d", errDamaged, seg.path, off+int64(got))
	}
	return nil, err
}
