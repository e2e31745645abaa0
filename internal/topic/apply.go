package topic

import (
	"cmp"
	"context"
	"time"

	"sluice/internal/stream"
)

// stored is what a hub with a Store knows of it.
type stored struct {
	floor uint64 // the first position that the hub is given; what is before, only the store knows
	at    int64  // when the event at Hub.seq was stored
	marks marks
	loads map[string]*load
	moved chan struct{} // closed at the next event, for those who wait for one; nil if nobody does
}

// Begin tells the hub that it will be given the store's events from position
// floor on. at is when the event before that was stored; 0 if there is none any
// more. It comes before the first Apply.
func (h *Hub) Begin(floor uint64, at int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.past.floor = floor
	if h.seq = max(floor, 1) - 1; h.seq > 0 {
		h.past.at = cmp.Or(at, time.Now().UnixNano())
	}
}

// applyStep bounds the events that are applied under one hold of the lock.
const applyStep = 64

// Apply gives the hub the next events of its store, and says for each what
// became of it. It is called by one goroutine at a time, with each event once, in
// the order of their positions.
func (h *Hub) Apply(events []Stored) []Applied {
	applied := make([]Applied, 0, len(events))
	b := stream.NewBatch()
	if len(events) > 1 {
		b.Hold() // so that events for one stream leave in one write
	}
	for len(events) > 0 {
		n := min(len(events), applyStep)
		blocks := make([][]byte, n)
		for i, e := range events[:n] {
			blocks[i] = e.encode()
		}
		applied = h.applySome(b, events[:n], blocks, applied)
		events = events[n:]
	}
	b.Flush()
	h.Spread()
	return applied
}

func (e *Entry) encode() []byte {
	block, err := encode(Publication{HasEvent: e.HasEvent, Name: e.Name, Data: e.Data})
	if err != nil {
		// The name was checked before it was stored. What cannot be shown is
		// still a position.
		block, _ = encode(Publication{})
	}
	return block
}

func (h *Hub) applySome(b *stream.Batch, events []Stored, blocks [][]byte, applied []Applied) []Applied {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	for i := range events {
		applied = append(applied, h.apply(b, &events[i], blocks[i], now))
	}
	if h.past.moved != nil {
		close(h.past.moved)
		h.past.moved = nil
	}
	return applied
}

func (h *Hub) apply(b *stream.Batch, e *Stored, block []byte, now time.Time) Applied {
	if e.Seq <= h.seq {
		return Applied{}
	}
	h.seq, h.past.at = e.Seq, e.At
	h.past.marks.add(e.Seq, e.At)
	l, ok := h.topics[e.Topic]
	if !ok {
		l = h.enter(e.Topic)
	}
	switch {
	case e.Delete:
		h.forget(b, l, e.Seq, e.At)
		return Applied{}
	case l.closed:
		return Applied{Err: ErrClosed}
	}
	defer h.release(l)
	l.doubt = !e.PrevKnown && !l.known()
	l.bornAt(max(l.born, e.Born))
	if l.last == 0 && l.cold == 0 && e.Number > 1 {
		l.lose(e.Seq - 1) // all before it have expired
	}
	l.appended = max(l.appended+1, e.Number)
	receivers := h.append(b, l, h.stamp(block, e.Seq, e.At, e.At), now)
	if e.Close {
		h.finish(b, l)
	}
	h.evict()
	return Applied{Receivers: receivers}
}

// evict keeps the topics within their bound: those that nobody is at, and that
// were appended to longest ago, are left to the store.
func (h *Hub) evict() {
	for len(h.topics) > h.opts.MaxTopics && h.events > 1 {
		oldest := h.recent.front()
		if oldest.streams() > 0 || oldest.pins > 0 {
			h.recent.touch(oldest)
			return // a publisher of a new topic is refused
		}
		for oldest.held() > 0 {
			h.drop(oldest, DropMemory)
		}
		h.release(oldest)
	}
}

// Rewind tells the hub that the store has lost what was above position head:
// new events will come with numbers that were used before. Streams that were
// sent such events are told of it.
func (h *Hub) Rewind(head uint64, generation string) {
	b := stream.NewBatch()
	defer b.Flush()
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.onTheWay.events) > 0 {
		h.advance(b)
	}
	if generation != "" {
		h.generation = generation
	}
	h.seq = head
	h.past.marks.cut(head)
	h.past.at, _ = h.past.marks.find(head)
	h.past.floor = min(h.past.floor, head+1)
	h.keys.init(h.opts.MaxKeys)
	told := make(map[*Member]bool)
	for _, l := range h.topics {
		if l.last > head {
			h.rewind(b, l, head, told)
		}
	}
}

// rewind takes back a log. What it has held up to head is left to the store.
func (h *Hub) rewind(b *stream.Batch, l *log, head uint64, told map[*Member]bool) {
	for l.held() > 0 {
		h.drop(l, DropMemory)
	}
	l.traces = traces{lost: min(l.lost, head), born: min(l.born, head), forgotten: min(l.forgotten, head)}
	if head > 0 {
		l.cold = head + 1
	}
	for _, s := range l.subs {
		if s.member.cursor > head && !told[s.member] {
			told[s.member] = true
			h.resets++
			s.member.cursor = head
			_ = s.member.sink.PushAll(b, []stream.Item{{Frame: resetFrame, Kind: stream.Replay}, h.idBlock(head)})
		}
	}
	h.expiry.update(l)
	h.release(l)
}

// await waits until the hub has been given the event at a position, and reports
// false if ctx ends first.
func (h *Hub) await(ctx context.Context, seq uint64) bool {
	for {
		h.mu.Lock()
		if h.seq >= seq {
			h.mu.Unlock()
			return true
		}
		if h.past.moved == nil {
			h.past.moved = make(chan struct{})
		}
		moved := h.past.moved
		h.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
			return false
		}
	}
}
