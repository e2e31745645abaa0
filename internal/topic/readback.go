package topic

import "time"

// reader collects what is read back of a topic, within its bounds.
type reader struct {
	hub       *Hub
	keep      Retention
	events    []*Stored
	blocks    [][]byte // of events
	bytes     int64
	lost      uint64 // the newest event that was left out
	hole      uint64 // the newest event that was missing
	deletedTo uint64
	deletedAt int64
	closed    bool
}

func (r *reader) take(e Stored) error {
	switch {
	case e.Delete:
		*r = reader{hub: r.hub, keep: r.keep, deletedTo: e.Seq, deletedAt: e.At}
		return nil
	case r.closed:
		return nil // events after the end do not count
	case e.Unreadable:
		r.hole = e.Seq
		return nil
	}
	if before := max(r.newest(), e.DeletedTo); e.Prev > before && e.Prev < e.Seq {
		// The predecessor is missing. If it is not known to have been the newest one
		// then, there may have been more.
		if r.hole = e.Prev; !e.PrevKnown {
			r.hole = e.Seq - 1
		}
	}
	r.closed = e.Close
	r.deletedTo = max(r.deletedTo, e.DeletedTo)
	r.events = append(r.events, &e)
	r.bytes += e.size()
	for len(r.events) > max(r.keep.Events, 1) || r.keep.Bytes > 0 && r.bytes > r.keep.Bytes && len(r.events) > 1 {
		r.lost = r.events[0].Seq
		r.bytes -= r.events[0].size()
		r.events[0] = nil
		r.events = r.events[1:]
	}
	return nil
}

// encode encodes the events. It is called without the lock.
func (r *reader) encode() {
	r.blocks = make([][]byte, len(r.events))
	for i, e := range r.events {
		r.blocks[i] = e.encode()
	}
}

// size is about what a held event counts.
func (e *Stored) size() int64 { return int64(len(e.Data) + len(e.Name) + plainIDBytes) }

// splice puts what was read back before what is held. missing is the position up to which
// damage may have cost the store events. The caller holds the lock, and applies the bound
// over all topics later, when the events were used.
func (h *Hub) splice(l *log, r *reader, missing uint64) {
	l.cold, l.doubt = 0, false
	l.setDeletedTo(max(l.deletedTo, r.deletedTo))
	l.damaged(r.hole)
	if before := l.before; before > r.newest() && !r.closed { // that event was dropped since, or is damaged
		l.damaged(before)
	}
	if len(r.events) > 0 {
		missing = max(missing, h.stored.lacks)
	}
	if missing > r.newest() {
		l.mayMiss(missing)
	}
	l.before = 0
	if len(r.events) == 0 {
		if l.unsure, l.floor = true, h.unknownBelow(); l.last == 0 && r.deletedTo > 0 {
			l.last, l.lastAt = r.deletedTo, r.deletedAt
		}
		return
	}
	if r.closed { // held events came after the end and do not count
		for l.held() > 0 {
			h.pop(l)
		}
	}
	h.judgeLoss(l, r)
	if l.held() == 0 {
		h.nonEmpty++
	}
	front := make([]event, 0, len(r.events)+l.held())
	for i, e := range r.events {
		ev := h.stamp(r.blocks[i], e.Seq, e.At, e.At)
		front = append(front, ev)
		h.bytes += int64(ev.frame.Len())
		l.bytes += int64(ev.frame.Len())
	}
	newest := r.events[len(r.events)-1]
	if r.closed || l.last <= newest.Seq {
		l.last, l.lastAt, l.closed = newest.Seq, newest.At, r.closed
	}
	l.appended = max(l.appended, newest.Number)
	h.events += len(front)
	l.events, l.head = append(front, l.events[l.head:]...), 0
	h.recent.touch(l, time.Now()) // all of it may have expired: it is dropped again then
	for why := l.exceeded(time.Now()); why != ""; why = l.exceeded(time.Now()) {
		h.drop(l, why)
	}
	h.expiry.Remove(l) // its oldest event is older than before
	h.expiry.update(l)
}

// newest is the position of the newest event that was read back, or of the deletion after
// which there is none.
func (r *reader) newest() uint64 {
	if n := len(r.events); n > 0 {
		return r.events[n-1].Seq
	}
	return r.deletedTo
}

// judgeLoss finds out whether events before the oldest one that was read back are lost.
func (h *Hub) judgeLoss(l *log, r *reader) {
	oldest := r.events[0]
	switch {
	case r.lost > 0:
		l.lost = max(l.lost, r.lost)
	case !oldest.PrevKnown: // nor is its number: there was at least one more
		l.lost = max(l.lost, oldest.Seq-1)
	case oldest.Number <= 1:
		l.unsure = r.deletedTo == 0
	default:
		l.lost = max(l.lost, oldest.Prev)
	}
}

// setDeletedTo records that the topic was deleted up to a position, and has events again.
func (l *log) setDeletedTo(seq uint64) {
	l.deletedTo, l.forgotten, l.lost = seq, seq, max(l.lost, seq)
	if l.hole <= seq {
		l.hole = 0
	}
	if l.missing <= seq {
		l.missing = 0
	}
}

// markDeleted records that the topic was deleted and has no events since.
func (l *log) markDeleted(seq uint64, at int64) {
	l.cold, l.last, l.lastAt, l.closed, l.doubt, l.appended = 0, seq, at, false, false, 0
	l.lost, l.deletedTo, l.forgotten, l.hole, l.missing = seq, seq, seq, 0, 0
}
