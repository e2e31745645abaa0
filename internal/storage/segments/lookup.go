package segments

import (
	"context"
	"errors"
	"math"

	"tidegate/internal/topic"
)

// Last gives the newest stored event of a topic, see [topic.Store]. What has expired
// is passed over: an older one may live longer.
func (l *Log) Last(ctx context.Context, name string) (e topic.Stored, found bool, err error) {
	for before := uint64(math.MaxUint64); !found && err == nil; {
		seq := l.newest(name, before)
		if seq == 0 {
			return e, false, nil
		}
		// What is damaged leaves the index meanwhile.
		err = l.read(ctx, name, seq, before, func(v eventView) error {
			e, found = v.stored(name), true
			return nil
		})
		before = seq
	}
	return e, found, err
}

// newest is the position of the newest event of a topic below another one that is in
// the index, 0 for none.
func (l *Log) newest(name string, before uint64) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	t, ok := l.index.topics[name]
	if !ok {
		return 0
	}
	if i := t.from(before); i > 0 {
		return t.places[i-1].seq
	}
	return 0
}

// at gives the event of a topic at a position.
func (l *Log) at(name string, seq uint64) (e topic.Entry, found bool, err error) {
	err = l.read(context.Background(), name, seq, seq+1, func(v eventView) error {
		e, found = v.stored(name).Entry, true
		return nil
	})
	return e, found, err
}

// Find looks for an event by its key, see [topic.Store].
func (l *Log) Find(ctx context.Context, e topic.Entry, from, before uint64) (found topic.Appended, ok bool, err error) {
	id, same := topic.KeyID(e), true
	err = l.read(ctx, e.Topic, from, before, func(v eventView) error {
		if string(v.key) != string(id[:]) {
			return nil
		}
		first := v.stored(e.Topic)
		found, ok, same = topic.Appended{Seq: v.seq, At: v.at, Repeat: true}, true, first.SameContent(&e)
		return nil
	})
	if ok && err == nil && !same {
		return topic.Appended{}, false, topic.ErrMismatch
	}
	return found, ok && err == nil, err
}

// errFound ends a scan.
var errFound = errors.New("segments: found")

// Time is when the event at a position was stored, or the next one that there is,
// see [topic.Store]. It reads through a segment.
func (l *Log) Time(ctx context.Context, seq uint64) (at int64, exact bool, err error) {
	now := l.opts.now().UnixNano()
	l.mu.Lock()
	var segs []*segment
	for _, s := range l.segments.list {
		if s.last >= seq {
			s.use()
			segs = append(segs, s)
		}
	}
	l.mu.Unlock()
	defer l.release(segs)
	for _, s := range segs {
		err := scanFile(s.file, scanOptions{salt: s.salt, from: segmentHeader, to: l.sizeOf(s)}, func(r scanned) error {
			if r.kind != kindEvent || ctx.Err() != nil {
				return ctx.Err()
			}
			v, err := parseEvent(r.body)
			if err == nil && v.seq >= seq && !v.expired(now) && l.counts(string(v.topic), v.seq) {
				at, exact = v.at, v.seq == seq
				return errFound
			}
			return nil
		})
		if err != nil && !errors.Is(err, errFound) {
			return 0, false, err
		}
		if at != 0 {
			return at, exact, nil
		}
	}
	return 0, false, nil
}

func (l *Log) sizeOf(s *segment) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return s.size
}

// counts reports whether an event is in the index.
func (l *Log) counts(name string, seq uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	t, ok := l.index.topics[name]
	if !ok {
		return false
	}
	_, ok = t.find(seq)
	return ok
}

// Discarded is the position below which events may have been dropped for want of
// room, or lost; 0 if none were.
func (l *Log) Discarded() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.floors.discarded
}

// Lost is a position up to which events of a topic may be missing for damage, 0 if
// none are.
func (l *Log) Lost(name string) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t, ok := l.index.topics[name]; ok {
		return t.hole
	}
	return 0
}

// Names gives the name of each topic that has events, see [topic.Catalog].
func (l *Log) Names(yield func(topic string)) {
	var names [stepTopics]string
	for i, more := 0, true; more; {
		n := 0
		i, more = l.topicsFrom(i, func(t *topicIndex) {
			if len(t.places) > 0 {
				names[n] = t.name
				n++
			}
		})
		for _, name := range names[:n] { // without the lock: yield may take its time
			yield(name)
		}
	}
}

// Held is how many events of a topic are in the log, see [topic.Catalog].
func (l *Log) Held(name string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t, ok := l.index.topics[name]; ok {
		return len(t.places)
	}
	return 0
}
