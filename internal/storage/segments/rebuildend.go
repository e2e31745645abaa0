package segments

// finish draws the sums: what is missing at the end, what was refused, and which
// topics may lack something.
func (b *rebuild) finish() {
	l := b.l
	if b.noHead && b.lost { // something was behind the last event, and nothing says what
		b.head = b.last + 1
	}
	if b.head > b.last && l.opts.Redraw { // lost in a power failure: every client gets a reset
		l.log.Warn("the machine went down: the last events of the log are lost", "from", b.last+1, "to", b.head)
		b.last = b.head
	}
	if b.head > b.last {
		file := l.opts.Dir
		if n := len(l.segments.list); n > 0 {
			file = l.segments.list[n-1].path
			l.segments.list[n-1].sealed = true
		}
		what := "the end of the log is missing"
		if b.lost {
			what = ""
		}
		b.hole(&segment{path: file}, what, b.head)
	}
	l.next = max(b.last+1, b.top)
	b.beginning()
	b.drop(b.voids)
	for _, d := range b.deletes {
		if !within(span{d.seq, d.seq}, b.voids) {
			l.cutKept(d.t, 0, d.t.from(d.seq))
		}
	}
	for _, h := range b.holes {
		if within(h, b.voids) {
			continue
		}
		l.floors.discarded = max(l.floors.discarded, h.to+1)
		for _, t := range l.index.order {
			if t.newest < h.from {
				t.hole = max(t.hole, h.to)
			}
		}
		l.stats.Holes++
	}
	for i := len(l.index.order) - 1; i >= 0; i-- {
		l.leave(l.index.order[i])
	}
}

// beginning decides whether what is before the oldest segment was dropped on purpose or is
// missing.
func (b *rebuild) beginning() {
	l := b.l
	if len(l.segments.list) == 0 {
		return
	}
	s := l.segments.list[0]
	if s.base <= max(l.floors.dropped, 1) {
		return
	}
	b.note(Damage{File: s.path, What: "the segments before it are missing", FromSeq: max(l.floors.dropped, 1), ToSeq: s.base - 1})
	l.floors.raise(floors{dropped: s.base, discarded: s.base})
	l.note(control{kind: kindFloor, from: s.base, to: s.base})
	l.stats.Holes++
}

// within reports whether all of a range was refused: then it is no hole.
func within(h span, voids []span) bool {
	for _, v := range voids {
		if v.from <= h.from && h.from <= v.to {
			if h.to <= v.to {
				return true
			}
			h.from = v.to + 1
		}
	}
	return false
}

// drop removes refused events from the index.
func (b *rebuild) drop(voids []span) {
	if len(voids) == 0 {
		return
	}
	for id, first := range b.l.keys.byID {
		if within(span{first.seq, first.seq}, voids) {
			delete(b.l.keys.byID, id)
		}
	}
	for i := len(b.l.index.order) - 1; i >= 0; i-- {
		t := b.l.index.order[i]
		for _, v := range voids {
			if i, j := t.from(v.from), t.from(v.to+1); i < j {
				b.l.cutKept(t, i, j)
			}
		}
		if within(span{t.newest, t.newest}, voids) {
			b.endAt(t)
		}
	}
}

// endAt makes the newest event that is left the end of a topic, whose newest was refused.
func (b *rebuild) endAt(t *topicIndex) {
	n := len(t.places)
	if t.newest, t.closed = 0, 0; n == 0 {
		return
	}
	p := t.places[n-1]
	t.newest = p.seq
	var r reader
	v, err := r.event(b.l.segments.of(p), p, t.name)
	if err != nil {
		return // the next read finds out
	}
	t.closed = closes(v.flags&flagClose != 0 && v.flags&flagDelete == 0, v.at, v.age)
}
