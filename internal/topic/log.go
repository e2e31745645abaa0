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
	rest  int32 // where the block goes on after its id line
	gap   bool  // to be queued live behind a reset
	mute  bool  // not to be sent: it has no more than an id
}

func (e event) replay() stream.Item { return stream.Item{Frame: e.frame, Kind: stream.Replay} }

// id is the event's plain id, as it stands in its frame.
func (e event) id() string { return string(e.frame.Block()[len("id: ") : e.rest-1]) }

// order is the event's place among frames. The next one is that of the block
// that says no more than that everything up to the event has been sent.
func (e event) order() uint64 { return 2 * e.seq }

// log is one topic. Everything in it is guarded by the hub's lock.
type log struct {
	name string
	keep Retention

	events []event // held, oldest first, from head on
	head   int
	bytes  int64 // of the frames held

	traces

	pins      int // of those who read it back from the store
	untrimmed int // events appended here since the store was asked to trim the topic

	subs    []*subscription // with gaps while an event is spread
	gaps    int
	fanOuts int // events on their way to subs

	heap.Place       // in the hub's expiries
	expires    int64 // key there
	prev, next *log  // in the hub's list of logs that hold events
	used       int64 // when it was put at the end of that list, unix nanoseconds
}

// traces are what is known of a log beside its events. They stay for a while when
// the log itself is gone.
type traces struct {
	appended  uint64 // events ever; in a store shared with others, at least so many
	last      uint64 // position of the newest event ever, 0: none known
	lastAt    int64
	lost      uint64 // position of the newest event that is nowhere any more, 0: none
	cold      uint64 // events below it may be in the store that are not held here, 0: there are none
	deletedTo uint64 // up to it the topic was deleted: nothing that a newcomer has lost
	since     uint64 // where the hub was when the log was made: streams at it have come later
	closed    bool
	doubt     bool // the newest event may have come after the topic's end, which is below cold

	before uint64 // position of an event below cold that was there once, 0: none known
	hole   uint64 // up to it events are nowhere any more that are not older than all that are held, 0: there are none
	// missing is up to where the store may have lost events by damage that are newer
	// than all that are known, 0: nowhere. The next event tells.
	missing uint64

	floor  uint64 // below it, it is not known whether there were events
	unsure bool   // nor is it of events that have had time to expire

	forgotten uint64 // up to it idempotency keys do not count, see Hub.forgotten
}

// known says whether the newest event is known, or that there is none.
func (t *traces) known() bool { return t.cold == 0 || t.last > 0 && !t.doubt }

// subscription is one stream at one topic.
type subscription struct {
	log    *log
	member *Member
	at     int // index in log.subs
}

func (l *log) held() int { return len(l.events) - l.head }

// after gives the events held whose position is above seq.
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

// lostAfter reports whether events above seq existed, or may have, that are no
// longer held.
func (l *log) lostAfter(seq uint64) bool { return max(l.lost, l.missing) > seq || seq < l.floor }

// damaged notes that an event is missing that nothing has dropped, or not the oldest
// first: those before it may be held all the same.
func (l *log) damaged(seq uint64) {
	if seq > l.deletedTo {
		l.hole, l.lost = max(l.hole, seq), max(l.lost, seq)
	}
}

// mayMiss notes that events may be missing up to a position, unless one behind it is
// known.
func (l *log) mayMiss(seq uint64) {
	if seq > max(l.last, l.deletedTo) {
		l.missing = seq
	}
}

// resolve is for an event that comes behind those that may be missing: what it says of
// the one before it tells whether there were any.
func (l *log) resolve(e *Stored) {
	if l.missing == 0 || e.Seq <= l.missing {
		return
	}
	if !e.PrevKnown {
		l.damaged(l.missing)
	}
	l.missing = 0
}

// torn reports whether events are missing between those that are held, or behind
// them.
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

// pop takes out the oldest event.
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

// lose notes that an event, and all before it, are nowhere any more.
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

// over names the bound of its own that the log is beyond, if any.
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

// streams is how many are at the topic.
func (l *log) streams() int { return len(l.subs) - l.gaps }

// remove takes s out. While an event is on its way through the list nobody may
// move in it.
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
