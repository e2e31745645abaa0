package topic

import (
	"slices"
	"time"

	"tidegate/internal/heap"
	"tidegate/internal/stream"
)

// event is one entry of a log. Its frame is the whole SSE block, id line first,
// and is shared by every stream that is sent it.
type event struct {
	seq   uint64
	at    int64 // unix nanoseconds
	frame *stream.Frame
	rest  int32 // where the block continues after its id line
	gap   bool  // to be queued live after a reset
	mute  bool  // not to be sent: it has only an id
}

func (e event) replay() stream.Item { return stream.Item{Frame: e.frame, Kind: stream.Replay} }

// id is the event's plain id, as in its frame.
func (e event) id() string { return string(e.frame.Block()[len("id: ") : e.rest-1]) }

// order is the event's place among frames. The next number is that of an id block after
// it, which says that everything up to the event was sent.
func (e event) order() uint64 { return 2 * e.seq }

// log is one topic. Everything in it is guarded by the hub's lock.
type log struct {
	name string
	keep Retention

	events []event // held, oldest first, from head on
	head   int
	bytes  int64 // of the frames held

	traces

	pins      int // reads from the store in progress
	untrimmed int // events appended here since the last Store.Trim

	subs    []*subscription // with gaps while an event is fanned out
	gaps    int
	fanOuts int // events that are being fanned out to subs

	heap.Place       // in the hub's expiries
	expires    int64 // key there
	prev, next *log  // in the hub's list of logs that hold events
	used       int64 // when it was put at the end of that list, unix nanoseconds
}

// traces are what is known of a log besides its events. Tombstones keep them when the log
// itself is removed.
type traces struct {
	appended  uint64 // events so far; in a shared store, at least so many
	last      uint64 // position of the newest event so far, 0: none known
	lastAt    int64
	lost      uint64 // position of the newest event that neither hub nor store has, 0: none
	cold      uint64 // below it the store may have events that are not held here, 0: it has none
	deletedTo uint64 // up to it the topic was deleted: new clients have lost nothing
	since     uint64 // position of the hub when the log was created: its streams were attached later
	closed    bool
	doubt     bool // the newest event may have come after the topic's end, which is below cold

	before uint64 // position of an event below cold that existed, 0: none known
	hole   uint64 // up to it events are lost that are not older than all held ones, 0: none
	// missing is the position up to which damage may have cost the store events that are
	// newer than all known ones, 0: none. The next event decides.
	missing uint64

	floor  uint64 // below it there may have been events
	unsure bool   // and there may have been events that have expired since

	forgotten uint64 // up to it idempotency keys are invalid, see Hub.forgotten
}

// known reports whether the newest event is known, or it is known that there is none.
func (t *traces) known() bool { return t.cold == 0 || t.last > 0 && !t.doubt }

// subscription attaches one stream to one topic.
type subscription struct {
	log    *log
	member *Member
	at     int // index in log.subs
}

func (l *log) held() int { return len(l.events) - l.head }

// after returns the events held whose position is above seq.
func (l *log) after(seq uint64) []event {
	held := l.events[l.head:]
	if len(held) == 0 || held[0].seq > seq {
		return held
	}
	low, high := 0, len(held) // held[low].seq <= seq; the first above it is in (low, high]
	for high-low > 1 {
		mid := int(uint(low+high) >> 1)
		if held[mid].seq <= seq {
			low = mid
		} else {
			high = mid
		}
	}
	return held[high:]
}

// lostAfter reports whether events above seq existed, or may have existed, that are no longer
// held.
func (l *log) lostAfter(seq uint64) bool { return max(l.lost, l.missing) > seq || seq < l.floor }

// damaged records a missing event that was not dropped as the oldest one: events before it
// may still be held.
func (l *log) damaged(seq uint64) {
	if seq > l.deletedTo {
		l.hole, l.lost = max(l.hole, seq), max(l.lost, seq)
	}
}

// mayMiss records that events may be missing up to a position, unless a later one is known.
func (l *log) mayMiss(seq uint64) {
	if seq > max(l.last, l.deletedTo) {
		l.missing = seq
	}
}

// resolve is called for an event after those that may be missing: the predecessor that it
// names decides whether there were any.
func (l *log) resolve(e *Stored) {
	if l.missing == 0 || e.Seq <= l.missing {
		return
	}
	if !e.PrevKnown {
		l.damaged(l.missing)
	}
	l.missing = 0
}

// hasHole reports whether events are missing between those that are held, or after them.
func (l *log) hasHole() bool { return l.held() > 0 && max(l.hole, l.missing) > l.events[l.head].seq }

// valueLost reports, of a log whose newest event is what counts, whether one above seq
// is missing that is newer than all that are held, and has not just expired.
func (l *log) valueLost(seq uint64) bool {
	hole := max(l.hole, l.missing)
	return hole > seq && (l.held() == 0 || hole > l.events[len(l.events)-1].seq) && (l.keep.Age <= 0 || hole > l.last)
}

// expiredAfter reports whether such events may have expired before anything was
// known of the log. at is where somebody stands who asks for what comes after.
func (l *log) expiredAfter(at *position, now time.Time) bool {
	if !l.unsure || l.keep.Age <= 0 {
		return false
	}
	return at.of(l.name) != at.seq || at.at+int64(l.keep.Age) <= now.UnixNano()
}

// push appends an event that is kept.
func (l *log) push(e event) {
	l.events = append(l.events, e)
	l.bytes += int64(e.frame.Len())
}

// pop removes the oldest event.
func (l *log) pop() event {
	e := l.events[l.head]
	l.events[l.head] = event{}
	l.head++
	l.bytes -= int64(e.frame.Len())
	switch {
	case l.head == len(l.events):
		l.events, l.head = nil, 0
	case l.head > 32 && l.head > len(l.events)/2:
		n := copy(l.events, l.events[l.head:])
		clear(l.events[n:])
		l.events, l.head = l.events[:n], 0
	}
	return e
}

// lose records that neither hub nor store has an event, or any before it.
func (l *log) lose(seq uint64) {
	l.lost = max(l.lost, seq)
	if l.cold <= seq+1 {
		l.cold = 0
	}
}

// due is when the oldest event expires; ok is false if it never does.
func (l *log) due() (int64, bool) {
	if l.keep.Age <= 0 || l.held() == 0 {
		return 0, false
	}
	return l.events[l.head].at + int64(l.keep.Age), true
}

// exceeded is the bound of its own that the log exceeds; "" for none.
func (l *log) exceeded(now time.Time) DropReason {
	switch {
	case l.held() == 0:
		return ""
	case l.held() > l.keep.Events:
		return DropEvents
	case l.keep.Bytes > 0 && l.bytes > l.keep.Bytes && l.held() > 1:
		return DropBytes
	}
	if due, ok := l.due(); ok && now.UnixNano() >= due {
		return DropAge
	}
	return ""
}

func (l *log) add(s *subscription) {
	s.at = len(l.subs)
	l.subs = append(l.subs, s)
}

// streams is how many streams are at the topic.
func (l *log) streams() int { return len(l.subs) - l.gaps }

// remove takes s out. While an event is fanned out through the list, others keep their
// places.
func (l *log) remove(s *subscription) {
	if l.fanOuts > 0 {
		l.subs[s.at] = nil
		l.gaps++
		return
	}
	end := len(l.subs) - 1
	l.subs[s.at] = l.subs[end]
	l.subs[s.at].at = s.at
	l.subs[end] = nil
	l.subs = l.subs[:end]
	if end == 0 {
		l.subs = nil
	}
}

// compact closes the gaps.
func (l *log) compact() {
	if l.gaps == 0 {
		return
	}
	l.gaps = 0
	l.subs = slices.DeleteFunc(l.subs, func(s *subscription) bool { return s == nil })
	for i, s := range l.subs {
		s.at = i
	}
}
