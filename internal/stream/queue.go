package stream

import "sync"

// queue is what waits for one stream: mostly nothing, or one frame. Only a queue of
// more than that owns memory.
type queue struct {
	one  Item  // the only item; its Frame is nil if list is not, or nothing waits
	list *list // several
}

// list is the memory of a queue with more than one item, or of a stream whose socket
// took a part of a write. Lists are reused.
type list struct {
	items []Item // from head on
	head  int
	rest  []byte // of the last write: what the socket has not taken yet
	sent  batch  // what that write counts for
}

var lists = sync.Pool{New: func() any { return new(list) }}

// keptItems and keptBytes bound a list that is reused.
const (
	keptItems = 256
	keptBytes = 4 << 10
)

// spill moves what waits to a list.
func (q *queue) spill() *list {
	if q.list == nil {
		q.list = lists.Get().(*list)
		if q.one.Frame != nil {
			q.list.items = append(q.list.items, q.one)
			q.one = Item{}
		}
	}
	return q.list
}

func (q *queue) add(i Item) {
	if q.list == nil && q.one.Frame == nil {
		q.one = i
		return
	}
	l := q.spill()
	if l.head > 64 && l.head > len(l.items)/2 {
		// A queue that is never empty would only grow: move the items down.
		n := copy(l.items, l.items[l.head:])
		clear(l.items[n:])
		l.items, l.head = l.items[:n], 0
	}
	l.items = append(l.items, i)
}

// prepend puts an item before all others.
func (q *queue) prepend(i Item) {
	if q.list == nil && q.one.Frame == nil {
		q.one = i
		return
	}
	l := q.spill()
	l.items = append([]Item{i}, l.items[l.head:]...)
	l.head = 0
}

// merge puts each of items before those that wait and have a higher order. items must
// be in order. merge takes the slice over, so that many items need no copy.
func (q *queue) merge(items []Item) {
	switch {
	case q.front().Frame != nil:
	case len(items) > keptItems:
		l := q.spill()
		l.items, l.head = items, 0
		return
	default:
		for _, i := range items {
			q.add(i)
		}
		return
	}
	l := q.spill()
	waiting := l.items[l.head:]
	merged := make([]Item, 0, len(waiting)+len(items))
	for _, w := range waiting {
		for len(items) > 0 && items[0].Frame.order < w.Frame.order {
			merged = append(merged, items[0])
			items = items[1:]
		}
		merged = append(merged, w)
	}
	l.items, l.head = append(merged, items...), 0
}

// front is the next item; its Frame is nil if there is none.
func (q *queue) front() Item {
	if l := q.list; l != nil {
		if l.head < len(l.items) {
			return l.items[l.head]
		}
		return Item{}
	}
	return q.one
}

// drop takes the front item out.
func (q *queue) drop() {
	if l := q.list; l != nil {
		l.items[l.head] = Item{}
		l.head++
		return
	}
	q.one = Item{}
}

// empty reports whether nothing waits. It frees a list that is not needed any more.
func (q *queue) empty() bool {
	l := q.list
	if l == nil {
		return q.one.Frame == nil
	}
	if l.head < len(l.items) {
		return false
	}
	if len(l.rest) == 0 {
		q.clear()
	}
	return true
}

// clear drops all.
func (q *queue) clear() {
	q.one = Item{}
	l := q.list
	if l == nil {
		return
	}
	q.list = nil
	if cap(l.items) > keptItems || cap(l.rest) > keptBytes {
		return
	}
	l.reset()
	lists.Put(l) // another queue may use it from here on
}

// reset empties a list and keeps its array.
func (l *list) reset() {
	clear(l.items)
	*l = list{items: l.items[:0]}
}

const (
	// joinBytes is how much one write joins out of small frames: ten waiting
	// events then cost little more than one.
	joinBytes = 32 << 10
	// largeFrame is the size from which a frame is written alone, without a copy.
	largeFrame = joinBytes / 2
)

// batch is what one write takes from a queue.
type batch struct {
	bytes  []byte
	cost   int64
	size   int // of the events' blocks, without framing
	direct int
	events int
	beats  int // heartbeats
}

func (b *batch) take(i Item) {
	b.cost += i.cost()
	if i.Kind == Direct {
		b.direct++
	}
	if i.Kind != Control {
		b.events++
		b.size += i.Frame.Len()
	}
	if i.Frame == heartbeat || i.Frame == bareBeat {
		b.beats++
	}
}

// next takes the frames of the next write: one frame as it is, or several that are
// joined in buf, which must be empty and have room for joinBytes.
func (q *queue) next(buf []byte, chunked bool) batch {
	var b batch
	for i := q.front(); i.Frame != nil; i = q.front() {
		p := i.Frame.bytes(chunked)
		if len(b.bytes) > 0 && len(b.bytes)+len(p) > joinBytes {
			break
		}
		q.drop()
		b.take(i)
		last := q.front().Frame == nil
		if len(b.bytes) == 0 && (last || len(p) > largeFrame) {
			b.bytes = p
			break
		}
		buf = append(buf, p...)
		b.bytes = buf
	}
	return b
}
