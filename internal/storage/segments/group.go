package segments

import (
	"fmt"

	"tidegate/internal/topic"
)

// writing is the scratch memory of the writer, reused for each group.
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

// writeGroup stores a group, passes it to the hub, and answers its requests. It returns why
// nothing was stored, which the requests have as their result already.
func (l *Log) writeGroup(group []*request) error {
	w := &l.writing
	defer w.reset()
	if err := l.ready(); err != nil {
		refuse(group, err)
		return err
	}
	controls, trims := l.admit(group)
	seg, err := l.write(controls, trims)
	if err != nil {
		l.undo(controls, trims, err)
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
	clear(w.events) // the hub keeps their texts
	w.items, w.events = w.items[:0], w.events[:0]
	if w.buf = w.buf[:0]; cap(w.buf) > keepBuffer {
		w.buf = nil
	}
	clear(w.byKey)
}

// refuse answers all requests of a group with an error.
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
	if err != nil && active != nil && size < 2*l.opts.segmentSize { // tried again with the next group
		l.log.Debug("no new segment yet", "error", err)
		return nil
	}
	if err != nil {
		return l.failing("begin a segment", err)
	}
	return nil
}

// admit gives the entries of a group their positions.
func (l *Log) admit(group []*request) (controls []control, trims map[string]uint64) {
	w := &l.writing
	now := l.opts.now().UnixNano()
	l.mu.Lock()
	defer l.mu.Unlock()
	controls, trims = l.takeControls()
	for _, r := range group {
		for i := range r.entries {
			if r.results[i].Err != nil {
				r.skip(r.entries[i].Topic)
				continue
			}
			l.admitOne(w, r, i, now)
		}
	}
	return controls, trims
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
	if s.Prev >= s.Seq { // a predecessor that does not exist
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

// write appends the group to the active segment.
func (l *Log) write(controls []control, trims map[string]uint64) (*segment, error) {
	w := &l.writing
	for _, m := range controls {
		w.buf = appendControl(w.buf, l.meta.Salt, m)
	}
	for name, below := range trims {
		w.buf = appendControl(w.buf, l.meta.Salt, control{kind: kindTrim, topic: name, to: below})
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

// abandon truncates what a failed write has left. What is on the disk is unknown then, so the
// next group begins another file.
func (l *Log) abandon(seg *segment, size int64) {
	_ = seg.file.Truncate(size) // what is left over is marked as void
	l.mu.Lock()
	defer l.mu.Unlock()
	seg.sealed = true
	if events := l.writing.events; len(events) > 0 {
		l.note(control{kind: kindVoid, from: events[0].Seq, to: events[len(events)-1].Seq})
	}
}

// undo drops a group that was not stored, and answers it. Its positions are not used again.
func (l *Log) undo(controls []control, trims map[string]uint64, err error) {
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
	l.restoreControls(controls, trims)
	l.stats.Failed++
}
