package segments

import "path/filepath"

// roll ends the active segment and begins the next one. Only the writer calls it.
//
// The maintenance syncs the ended segment, unless each group was synced. The oldest segments
// make room for the new one, if the log is too large.
func (l *Log) roll() error {
	l.mu.Lock()
	n := len(l.segments.list)
	if n > 0 && l.segments.list[n-1].base == l.next { // nothing is in it: the new one must not take its file
		l.next++
	}
	h := header{base: l.next, salt: l.meta.Salt}
	if n > 0 {
		h.prior = l.segments.list[n-1].last
	}
	victims := l.tooMuch()
	fl := l.floors
	if n := len(victims); n > 0 { // there is one behind them
		base := l.segments.list[n].base
		fl.raise(floors{dropped: base, discarded: base})
	}
	h.floors = fl
	l.mu.Unlock()

	path := filepath.Join(l.opts.Dir, segmentName(h.base))
	var allocate int64
	if l.opts.Power {
		allocate = l.opts.segmentSize
	}
	f, err := createSegment(l.fs, path, h, allocate, l.opts.Power)
	if err != nil {
		return err
	}
	l.mu.Lock()
	for _, s := range l.segments.list {
		s.sealed = true
	}
	l.floors.raise(fl)
	l.segments.add(&segment{base: h.base, path: path, file: f, salt: h.salt, size: segmentHeader, last: h.prior, synced: l.opts.Power})
	l.mu.Unlock()
	l.discard(victims)
	l.poke()
	return nil
}

// tooMuch gives the oldest segments that have to go so that the log may have one
// more. The caller holds the lock.
func (l *Log) tooMuch() (victims []*segment) {
	bytes := l.segments.bytes() + l.opts.segmentSize
	for i, s := range l.segments.list {
		if bytes <= l.opts.MaxBytes || i == len(l.segments.list)-1 {
			break
		}
		victims = append(victims, s)
		bytes -= s.size
	}
	return victims
}

// discard drops the oldest segments with their events.
func (l *Log) discard(victims []*segment) {
	if len(victims) == 0 {
		return
	}
	newest := victims[len(victims)-1]
	dropped := 0
	l.eachTopic(func(t *topicIndex) {
		if i := t.from(newest.last + 1); i > 0 {
			dropped += i
			l.cut(t, 0, i)
		}
	})
	l.count(func(s *Stats) { s.Discarded += uint64(dropped) })
	l.log.Warn("the event log is full: its oldest events are dropped", "events", dropped, "below", newest.last+1, "max_bytes", l.opts.MaxBytes)
	for _, v := range victims {
		l.dropOldest(v)
	}
}

// dropOldest removes the oldest segment if the index names nothing in it.
func (l *Log) dropOldest(s *segment) {
	l.mu.Lock()
	if len(l.segments.list) == 0 || l.segments.list[0] != s {
		l.mu.Unlock()
		return
	}
	l.segments.dropFirst()
	f := l.retire(s)
	l.mu.Unlock()
	if f != nil {
		_ = f.Close()
	}
	if err := l.fs.Remove(s.path); err != nil {
		l.log.Warn("a segment that is not needed any more stays", "file", s.path, "error", err)
	}
}

// stepTopics is how many topics are visited before the lock is released once.
const stepTopics = 1024

// eachTopic calls do for all topics, under the lock, which is given up now and then.
// Topics that come or go meanwhile may be left out, or come twice.
func (l *Log) eachTopic(do func(*topicIndex)) {
	for i, more := 0, true; more; {
		i, more = l.topicsFrom(i, do)
	}
}

// topicsFrom calls do for stepTopics topics at most, under the lock, beginning with the
// i-th from the end. It returns where to go on, and whether there are more.
func (l *Log) topicsFrom(i int, do func(*topicIndex)) (next int, more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i = min(i, len(l.index.order))
	for end := max(0, len(l.index.order)-i-stepTopics); len(l.index.order)-i > end; i++ {
		// From the end on: a removed topic is replaced by the last one, which was visited.
		do(l.index.order[len(l.index.order)-1-i])
	}
	return i, i < len(l.index.order)
}

// poke wakes the maintenance.
func (l *Log) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}
