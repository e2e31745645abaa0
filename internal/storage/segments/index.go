package segments

import (
	"math"
	"sort"
	"strings"
	"time"
)

// place is where an event is.
type place struct {
	seq uint64
	seg uint32 // id of the segment
	off uint32
}

// topicIndex is the index of one topic. The log's lock guards it.
type topicIndex struct {
	name    string
	at      int           // in index.order
	places  []place       // of events that count, oldest first
	newest  uint64        // position of the newest event, whether it is there or not
	hole    uint64        // up to here events may be missing, see Log.Lost
	closed  int64         // until when the newest event closes the topic, 0 if it does not
	pending int           // events of it in the group that is being written
	age     time.Duration // the longest of any event, 0 for never
}

// index finds events by their topic. The log's lock guards it.
type index struct {
	topics map[string]*topicIndex
	order  []*topicIndex // all, in no order: to walk through in steps
	events int
}

func (x *index) init() { x.topics = make(map[string]*topicIndex) }

// enter finds or makes a topic.
func (x *index) enter(name string) *topicIndex {
	t, ok := x.topics[name]
	if !ok {
		name = strings.Clone(name) // it may be a part of something larger
		t = &topicIndex{name: name, at: len(x.order)}
		x.topics[name] = t
		x.order = append(x.order, t)
	}
	return t
}

// remove drops a topic.
func (x *index) remove(t *topicIndex) {
	last := x.order[len(x.order)-1]
	x.order[t.at], last.at = last, t.at
	x.order[len(x.order)-1] = nil
	x.order = x.order[:len(x.order)-1]
	delete(x.topics, t.name)
}

// keep notes the age limit of a new event.
func (t *topicIndex) keep(age time.Duration) {
	switch {
	case t.pending == 0 && len(t.places) == 0:
		t.age = age
	case age == 0, t.age == 0:
		t.age = 0
	default:
		t.age = max(t.age, age)
	}
}

// closes is until when an event closes its topic, as it stands in topicIndex.closed.
func closes(closing bool, at int64, age time.Duration) int64 {
	switch {
	case !closing:
		return 0
	case age == 0 || at > math.MaxInt64-int64(age):
		return math.MaxInt64
	}
	return at + int64(age)
}

// from is the index of the first place at or above a position.
func (t *topicIndex) from(seq uint64) int {
	if n := len(t.places); n == 0 || t.places[n-1].seq < seq {
		return n
	}
	return sort.Search(len(t.places), func(i int) bool { return t.places[i].seq >= seq })
}

// find gives the place of a position.
func (t *topicIndex) find(seq uint64) (place, bool) {
	i := t.from(seq)
	if i == len(t.places) || t.places[i].seq != seq {
		return place{}, false
	}
	return t.places[i], true
}

// push adds an event that has been written.
func (l *Log) push(t *topicIndex, p place, s *segment, closed int64) {
	if len(t.places) == cap(t.places) {
		t.places = grow(t.places)
	}
	t.places = append(t.places, p)
	t.newest, t.closed = p.seq, closed
	l.index.events++
	s.live++
}

// grow makes room by a quarter, or reuses what is free at the beginning: a topic that is
// trimmed all the time keeps its size.
func grow(places []place) []place {
	n := len(places)
	return append(make([]place, 0, n+max(n/4, 2)), places...)
}

// cut drops the places of a topic with indexes in [i, j), and the topic if there is
// nothing left of it.
func (l *Log) cut(t *topicIndex, i, j int) {
	l.cutKept(t, i, j)
	l.leave(t)
}

// cutKept is cut without dropping an empty topic.
func (l *Log) cutKept(t *topicIndex, i, j int) {
	for _, p := range t.places[i:j] {
		l.segments.of(p).live--
	}
	l.index.events -= j - i
	if i == 0 {
		t.places = t.places[j:]
	} else {
		t.places = append(t.places[:i], t.places[j:]...)
	}
	if len(t.places) == 0 {
		t.places = nil
	}
}

// leave drops a topic without events. What it has lost to damage counts from then on for all
// topics that are not in the index.
func (l *Log) leave(t *topicIndex) {
	if len(t.places) > 0 || t.pending > 0 {
		return
	}
	if t.hole > 0 {
		l.floors.discarded = max(l.floors.discarded, t.hole+1)
	}
	l.index.remove(t)
}
