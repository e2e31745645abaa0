package topic

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"tidegate/internal/stream"
	"tidegate/internal/wire"
	"tidegate/sse"
)

// plan is what an attach replays.
type plan struct {
	ask    ask
	events []planned // in order
	list   *[]planned
	reset  bool
	// skipped is the newest position that is held and deliberately not replayed: with
	// an id below it, the next resume would replay it.
	skipped uint64
	seq     uint64 // the head
}

type planned struct {
	event
	log *log
}

// plans reuses the memory of plans: a reconnect storm would leave megabytes of garbage.
var plans = sync.Pool{New: func() any { return new([]planned) }}

// keptPlanned bounds the events of a plan whose memory is reused.
const keptPlanned = 16 << 10

// plan decides what is replayed. The caller must call done on the result.
func (h *Hub) plan(a ask, logs []*log) plan {
	p := plan{ask: a, seq: h.seq, list: plans.Get().(*[]planned)}
	p.events = (*p.list)[:0]
	superseded := a.superseded(logs)
	for _, l := range logs {
		events, lost := a.of(l)
		if superseded[l] {
			events = nil
		}
		p.reset = p.reset || lost
		p.events = slices.Grow(p.events, len(events))
		for _, e := range events {
			p.events = append(p.events, planned{e, l})
		}
		if newest := l.last; newest > 0 && (len(events) == 0 || events[len(events)-1].seq < newest) {
			p.skipped = max(p.skipped, newest)
		}
	}
	if len(logs) > 1 {
		slices.SortFunc(p.events, func(a, b planned) int { return cmp.Compare(a.seq, b.seq) })
	}
	return p
}

// done frees the memory of the plan.
func (p *plan) done() {
	clear(p.events)
	if *p.list = p.events[:0]; cap(p.events) <= keptPlanned {
		plans.Put(p.list)
	}
	p.events, p.list = nil, nil
}

// superseded returns the logs whose newest event a new client does not receive although
// their topics are values: topics of one namespace that are attached together are one
// value, and its newest event counts.
func (a ask) superseded(logs []*log) map[*log]bool {
	if len(logs) < 2 || a.from != FromDefault || a.at != nil {
		return nil
	}
	newest := make(map[string]*log)
	older := make(map[*log]bool)
	for _, l := range logs {
		if l.keep.Replay != ReplayLast || l.held() == 0 {
			continue
		}
		namespace := wire.Namespace(l.name)
		switch other := newest[namespace]; {
		case other == nil:
			newest[namespace] = l
		case other.last < l.last:
			newest[namespace], older[other] = l, true
		default:
			older[l] = true
		}
	}
	return older
}

// of returns the events of a log that are replayed, and whether some that should be are
// lost.
func (a ask) of(l *log) (events []event, lost bool) {
	all := l.after(0)
	switch {
	case a.from == FromEarliest:
		return all, l.hasHole()
	case a.from == FromLatest:
		return nil, false
	case a.at != nil:
		seq := a.at.of(l.name)
		if l.keep.Replay == ReplayLast { // superseded events are not lost
			return l.after(seq), l.valueLost(seq)
		}
		return l.after(seq), l.lostAfter(seq) || l.expiredAfter(a.at, time.Now())
	}
	switch l.keep.Replay {
	case ReplayAll:
		return all, a.unknown || max(l.lost, l.missing) > l.deletedTo
	case ReplayHeld:
		return all, a.unknown || l.hasHole()
	case ReplayLast:
		return all[max(0, len(all)-1):], l.valueLost(l.deletedTo)
	}
	if a.unknown { // the unknown id may be before all events
		return all, true
	}
	return nil, false
}

var resetFrame = func() *stream.Frame {
	block, _ := sse.Append(nil, sse.Event{Name: "reset", Data: `{"reason":"history_lost"}`})
	return stream.FrameOf(block, 0)
}()

// replay queues the plan and moves the cursor. have is what the client has, by the id that it
// resumes from. If an open stream is attached to a topic late, events may be older than an
// id that the client has by then. They carry an id that says so, so that the client's last
// event id never goes back.
func (h *Hub) replay(b *stream.Batch, m *Member, have position, p plan) {
	if m.opened {
		have = h.standing(m)
	}
	items := make([]stream.Item, 0, len(p.events)+2)
	if p.reset {
		h.resets++
		items = append(items, stream.Item{Frame: resetFrame, Kind: stream.Replay})
	}
	late, floor := p.late(have)
	for _, e := range p.events {
		if e.mute {
			continue
		}
		if e.seq > have.seq {
			items = append(items, e.replay())
			continue
		}
		at := position{seq: have.seq, at: have.at, behind: e.seq}
		if e.seq >= floor {
			at.late = late
		}
		items = append(items, h.restamp(e.event, at)...)
	}
	behind := len(p.events) > 0 && p.events[0].seq <= have.seq
	if n := len(p.events); n > 0 && p.events[n-1].seq > have.seq {
		m.cursor, m.hasID = max(m.cursor, p.events[n-1].seq), m.hasID || !p.events[n-1].mute
	}
	// Without the block, a client that disconnects now would resume without an id, or
	// with one that replays what it has received, or was not to receive.
	if !m.hasID || p.skipped > m.cursor || behind {
		m.cursor, m.hasID = max(m.cursor, p.seq), true
		items = h.appendIDBlock(items, m.cursor)
	}
	if m.opened {
		_ = m.sink.PushAll(b, items) // a stream that has ended needs nothing
	} else {
		_ = m.sink.Merge(items) // nothing was sent yet: all attaches become one replay
	}
}

// standing is the position of an open stream, as an id can express it. Everything up to the
// head was queued for it, so the head will do if the time index does not have its cursor
// any more.
func (h *Hub) standing(m *Member) position {
	p := position{seq: m.cursor, at: h.timeOf(m.cursor)}
	if h.opts.Store != nil && p.at == 0 && p.seq > 0 {
		p.seq, p.at = h.seq, h.stored.at
	}
	return p
}

// late lists the topics that are behind have.seq while the plan is replayed: its own, and
// those that have.late names already. One id can express one place for all of them. Below
// floor, the client's place in one of them, it cannot express all places, nor can it if
// there are too many topics, and late is empty. Such an id leads to a reset if the client
// disconnects meanwhile.
func (p plan) late(have position) (late []uint32, floor uint64) {
	if len(have.late) > 0 {
		late, floor = slices.Clone(have.late), have.behind
	}
	seen := map[*log]bool{}
	for _, e := range p.events {
		if e.seq > have.seq {
			break
		}
		if seen[e.log] {
			continue
		}
		seen[e.log] = true
		if h := hash32(e.log.name); !slices.Contains(late, h) {
			late = append(late, h)
		}
		if at := p.ask.at; at != nil {
			floor = max(floor, at.of(e.log.name))
		}
	}
	if len(late) > maxLate {
		late = nil
	}
	return late, floor
}

// restamp returns an event's frame with another id: a line of its own, and the rest of the
// block, which stays shared.
func (h *Hub) restamp(e event, at position) []stream.Item {
	line, rest := e.frame.WithHead(append(h.appendLateID([]byte("id: "), at), '\n'), int(e.rest))
	return []stream.Item{{Frame: line, Kind: stream.Control}, {Frame: rest, Kind: stream.Replay}}
}
