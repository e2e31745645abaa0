package segments

import (
	"errors"
	"fmt"

	"tidegate/internal/topic"
	"tidegate/internal/wire"
)

// writing is what who writes uses, over and over.
type writing struct {
	group  []*request
	items  []item
	events []topic.Stored // of the items that are new
	buf    []byte
	head   *headFile
	byKey  map[keyID]int // of the group's own events: index in items
}

// item is one entry of a group.
type item struct {
	r     *request
	i     int         // of the entry in it
	t     *topicIndex // nil if it is not stored
	key   keyID
	keyed bool
	off   uint32
	event int   // index in events
	as    int   // of the item in the group that it repeats, -1 if none
	first keyed // what it repeats, if seq is not 0
	undo  topicState
}

// topicState is what an item changes of its topic before it is written.
type topicState struct {
	newest uint64
	closed int64
}

// keepBuffer is how large a buffer may be that is kept for the next group.
const keepBuffer = 4 << 20

// writeGroup stores what a group has, gives it to the hub, and answers. The error is
// why nothing was stored, which those of the group have been answered.
func (l *Log) writeGroup(group []*request) error {
	w := &l.writing
	defer w.reset()
	if err := l.ready(); err != nil {
		refuse(group, err)
		return err
	}
	marks, trims := l.admit(group)
	seg, err := l.write(marks, trims)
	if err != nil {
		l.undo(marks, trims, err)
		return err
	}
	l.commit(seg)
	var applied []topic.Applied
	if len(w.events) > 0 {
		applied = l.hub.Apply(w.events)
	}
	l.answer(applied)
	return nil
}

func (w *writing) reset() {
	clear(w.items)
	clear(w.events) // the texts are the hub's
	w.items, w.events = w.items[:0], w.events[:0]
	if w.buf = w.buf[:0]; cap(w.buf) > keepBuffer {
		w.buf = nil
	}
	clear(w.byKey)
}

// refuse answers all of a group that was not begun.
func refuse(group []*request, err error) {
	for _, r := range group {
		for i := range r.results {
			if r.results[i].Err == nil {
				r.results[i].Err = err
			}
		}
	}
}

// ready makes sure that there is a segment to write to, and room.
func (l *Log) ready() error {
	if err := l.opts.Refuse(); err != nil {
		l.count(func(s *Stats) { s.Refused++ })
		return err
	}
	l.mu.Lock()
	active := l.segments.active()
	var size int64
	if active != nil {
		size = active.size
	}
	l.mu.Unlock()
	if active != nil && size < l.opts.segmentSize {
		return nil
	}
	err := l.roll()
	if err != nil && active != nil && size < 2*l.opts.segmentSize { // it is tried again
		l.log.Debug("no new segment yet", "error", err)
		return nil
	}
	if err != nil {
		return l.failing("begin a segment", err)
	}
	return nil
}

// admit gives the entries of a group their positions.
func (l *Log) admit(group []*request) (marks []mark, trims map[string]uint64) {
	w := &l.writing
	now := l.opts.now().UnixNano()
	l.mu.Lock()
	defer l.mu.Unlock()
	marks, trims = l.takeMarks()
	for _, r := range group {
		for i := range r.entries {
			if r.results[i].Err != nil {
				r.skip(r.entries[i].Topic)
				continue
			}
			l.admitOne(w, r, i, now)
		}
	}
	return marks, trims
}

func (l *Log) admitOne(w *writing, r *request, i int, now int64) {
	e := &r.entries[i]
	it := item{r: r, i: i, as: -1}
	if e.Key != "" {
		it.key, it.keyed = topic.KeyID(*e), true
		if as, ok := w.byKey[it.key]; ok {
			it.as = as
			r.skip(e.Topic)
			w.items = append(w.items, it)
			return
		}
		if first, ok := l.keys.find(it.key, now); ok {
			it.first = first
			r.skip(e.Topic)
			w.items = append(w.items, it)
			return
		}
	}
	t := l.index.enter(e.Topic)
	if t.closed > now && !e.Delete {
		r.results[i].Err = topic.ErrClosed
		r.skip(e.Topic)
		return
	}
	t.keep(e.Age)
	l.lastAt = max(now, l.lastAt)
	s := topic.Stored{Entry: *e, Seq: l.next, At: l.lastAt, PrevKnown: true}
	s.Number -= min(r.unstored[e.Topic], s.Number)
	s.Prev = max(e.Prev, t.newest, t.hole)
	if s.Prev >= s.Seq { // the hub cannot know of what there is not
		s.Prev = t.newest
	}
	l.next++
	it.t, it.undo = t, topicState{t.newest, t.closed}
	t.pending++
	t.newest, t.closed = s.Seq, closes(e.Close && !e.Delete, s.At, e.Age)
	it.event = len(w.events)
	w.events = append(w.events, s)
	if it.keyed {
		if w.byKey == nil {
			w.byKey = make(map[keyID]int)
		}
		w.byKey[it.key] = len(w.items)
	}
	w.items = append(w.items, it)
}

// write puts the group behind what the active segment has.
func (l *Log) write(marks []mark, trims map[string]uint64) (*segment, error) {
	w := &l.writing
	for _, m := range marks {
		w.buf = appendMark(w.buf, l.meta.Salt, m)
	}
	for name, below := range trims {
		w.buf = appendMark(w.buf, l.meta.Salt, mark{kind: kindTrim, topic: name, to: below})
	}
	l.mu.Lock()
	seg := l.segments.active()
	base := seg.size
	l.mu.Unlock()
	for i := range w.items {
		it := &w.items[i]
		if it.t == nil {
			continue
		}
		var key *keyID
		if it.keyed {
			key = &it.key
		}
		it.off = uint32(base + int64(len(w.buf)))
		w.buf = appendEvent(w.buf, l.meta.Salt, &w.events[it.event], key)
	}
	if len(w.buf) == 0 {
		return seg, nil
	}
	if base+int64(len(w.buf)) > mostFile {
		return nil, l.failing("write a group", fmt.Errorf("%d bytes are too many at once", len(w.buf)))
	}
	_, err := seg.file.WriteAt(w.buf, base)
	what := "write events"
	if err == nil && l.opts.Power {
		err, what = seg.file.Datasync(), "sync events"
	}
	if err == nil && len(w.events) > 0 {
		err, what = w.head.write(w.events[len(w.events)-1].Seq), "write the head"
	}
	if err != nil {
		l.abandon(seg, base)
		return nil, l.failing(what, err)
	}
	return seg, nil
}

// mostFile is how large a segment may become: places have 32 bits for it.
const mostFile = 1<<32 - 1

// abandon takes back what a failed write has left. After that nobody knows what is on
// the disk, so the next group begins another file.
func (l *Log) abandon(seg *segment, size int64) {
	_ = seg.file.Truncate(size) // what is left over is marked as void
	l.mu.Lock()
	defer l.mu.Unlock()
	seg.sealed = true
	if events := l.writing.events; len(events) > 0 {
		l.note(mark{kind: kindVoid, from: events[0].Seq, to: events[len(events)-1].Seq})
	}
}

// undo forgets a group that was not stored, and answers it. Its positions are not
// used again.
func (l *Log) undo(marks []mark, trims map[string]uint64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	items := l.writing.items
	for i := len(items) - 1; i >= 0; i-- {
		it := &items[i]
		it.r.results[it.i].Err = err
		if it.t == nil {
			continue
		}
		it.t.newest, it.t.closed = it.undo.newest, it.undo.closed
		it.t.pending--
		l.leave(it.t)
	}
	l.restoreMarks(marks, trims)
	l.stats.Failed++
}

// commit has the group count.
func (l *Log) commit(seg *segment) {
	w := &l.writing
	l.mu.Lock()
	defer l.mu.Unlock()
	seg.size += int64(len(w.buf))
	for i := range w.items {
		it := &w.items[i]
		if it.t == nil {
			continue
		}
		e := &w.events[it.event]
		newest, closed := it.t.newest, it.t.closed // of the group's last
		l.push(it.t, place{seq: e.Seq, seg: seg.id, off: it.off}, seg, closed)
		it.t.newest, it.t.pending = newest, it.t.pending-1
		if it.keyed {
			l.keys.add(it.key, e.Seq, e.At)
		}
	}
	if n := len(w.events); n > 0 {
		newest := &w.events[n-1]
		seg.events += n
		seg.last, seg.lastAt = newest.Seq, newest.At
		seg.times.add(newest.Seq, newest.At)
	}
	l.stats.Groups++
	l.stats.Appends += uint64(len(w.events))
	if l.opts.Power {
		l.stats.Syncs++
	}
	l.trouble.passed()
}

// answer tells what became of each entry.
func (l *Log) answer(applied []topic.Applied) {
	w := &l.writing
	for i := range w.items {
		it := &w.items[i]
		res := &it.r.results[it.i]
		if it.t == nil {
			*res = l.repeated(it)
			continue
		}
		e, a := &w.events[it.event], applied[it.event]
		if a.Err != nil {
			l.takeOut(it, e.Seq)
			res.Err = a.Err
			continue
		}
		res.Appended = topic.Appended{Seq: e.Seq, At: e.At, Receivers: a.Receivers}
	}
}

// repeated answers an entry whose key was used before. That the first is not there any
// more is no reason to refuse it.
func (l *Log) repeated(it *item) topic.Result {
	e := &it.r.entries[it.i]
	l.count(func(s *Stats) { s.Repeats++ })
	if it.as >= 0 {
		first := &l.writing.items[it.as]
		res := first.r.results[first.i]
		if res.Err == nil && !first.r.entries[first.i].SameContent(e) {
			return topic.Result{Err: topic.ErrMismatch}
		}
		res.Receivers, res.Repeat = 0, true
		return res
	}
	// If it cannot be read it cannot be compared, as if it were not there.
	if stored, found, err := l.at(e.Topic, it.first.seq); err == nil && found && !stored.SameContent(e) {
		return topic.Result{Err: topic.ErrMismatch}
	}
	return topic.Result{Appended: topic.Appended{Seq: it.first.seq, At: it.first.at, Repeat: true}}
}

// takeOut drops an event that the hub has refused: it counts for nobody.
func (l *Log) takeOut(it *item, seq uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.note(mark{kind: kindVoid, from: seq, to: seq})
	if it.keyed {
		l.keys.refuse(it.key, seq)
	}
	if i := it.t.from(seq); i < len(it.t.places) && it.t.places[i].seq == seq {
		l.cut(it.t, i, i+1)
	}
}

// failing notes why nothing can be written, and gives the error to answer. A refusal
// that says by itself why stays as it is.
func (l *Log) failing(what string, err error) error {
	if _, ok := errors.AsType[*wire.Error](err); ok {
		return err
	}
	err = fmt.Errorf("%s: %w", what, err)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.trouble.failed(err, l.opts.now()) {
		l.log.Error("the event log cannot be written", "error", err)
	}
	return err
}
