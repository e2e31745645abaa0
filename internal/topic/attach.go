package topic

import (
	"cmp"
	"slices"

	"sluice/internal/stream"
	"sluice/internal/wire"
	"sluice/sse"
)

// Where an attach may begin, beside an event id.
const (
	FromDefault  = ""         // after the client's last event id, else as the namespace says
	FromEarliest = "earliest" // all that is held
	FromLatest   = "latest"   // nothing of the past
)

// Attach puts a stream into topics and queues what it is to have of their past.
// From then on it gets everything that is published there, with neither gap nor
// repeat at the seam. If what is asked for is no longer held, the stream first
// gets an event "reset", and then all that is. If nothing is replayed, it gets
// a block with an id and no event, from which it can resume.
//
// Attach answers with the topics as the stream finds them. It returns ErrFrom,
// ErrGone, ErrTooManyTopics or ErrTooManyForStream, and then has attached nothing.
// Topics that the stream is at already are left as they are.
func (h *Hub) Attach(m *Member, topics []string, from string) (map[string]wire.TopicInfo, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if m.gone {
		return nil, ErrGone
	}
	ask, err := h.ask(m, from)
	if err != nil {
		return nil, err
	}
	logs, infos, err := h.join(m, topics)
	if err != nil {
		return nil, err
	}
	if ask.at != nil && from == FromDefault {
		m.cursor = max(m.cursor, ask.at.seq) // that far the client is already
	}
	plan := h.plan(ask, logs)
	h.replay(m, plan, len(logs) > 0)
	for _, l := range logs {
		m.had = true
		if !l.closed {
			s := &subscription{log: l, member: m}
			m.subs = append(m.subs, s)
			l.add(s)
		}
		h.release(l)
	}
	m.endIfDone()
	return infos, nil
}

// ask is what an attach was asked for, once the words are read.
type ask struct {
	from    string // FromDefault, FromEarliest, FromLatest, or "" with at set
	at      *position
	unknown bool // an id was given that is not of this hub
}

func (h *Hub) ask(m *Member, from string) (ask, error) {
	id := from
	switch from {
	case FromEarliest, FromLatest:
		return ask{from: from}, nil
	case FromDefault:
		if id = m.resume; id == "" {
			return ask{}, nil
		}
	}
	p, ok := parseID(id, h.generation)
	if ok && p.seq <= h.seq {
		return ask{at: &p}, nil
	}
	if from != FromDefault && !plausible(from) {
		return ask{}, ErrFrom
	}
	return ask{unknown: true}, nil
}

// plausible tells an id of another process from a word that was never an id.
func plausible(id string) bool {
	generation, rest, ok := cut(id)
	_, isNumber := parseNumber(rest, 64)
	return ok && len(generation) == 8 && isNumber
}

// join opens the logs that the member is not at yet, all or none.
func (h *Hub) join(m *Member, topics []string) ([]*log, map[string]wire.TopicInfo, error) {
	if len(m.subs)+len(topics) > MaxTopicsPerStream {
		return nil, nil, ErrTooManyForStream
	}
	var logs []*log
	infos := make(map[string]wire.TopicInfo, len(topics))
	for _, name := range topics {
		l, err := h.open(name)
		if err != nil {
			for _, l := range logs {
				h.release(l)
			}
			return nil, nil, err
		}
		if _, twice := infos[name]; !twice && !m.follows(l) {
			logs = append(logs, l)
		}
		infos[name] = h.info(l)
	}
	return logs, infos, nil
}

// plan is what an attach replays.
type plan struct {
	events []planned // in order
	reset  bool
	// skipped is the newest position that is held and deliberately not
	// replayed: an id below it would bring it back at the next resume.
	skipped uint64
	seq     uint64 // the head
}

type planned struct {
	event
	log *log
}

func (h *Hub) plan(a ask, logs []*log) plan {
	p := plan{seq: h.seq}
	for _, l := range logs {
		events, lost := a.of(l)
		p.reset = p.reset || lost
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

// of says which events of a log the asker gets, and whether some that it should
// get are gone.
func (a ask) of(l *log) (events []event, lost bool) {
	all := l.after(0)
	switch {
	case a.from == FromEarliest:
		return all, false
	case a.from == FromLatest:
		return nil, false
	case a.at != nil:
		seq := a.at.of(l.name)
		// Of a value only the newest counts: what it superseded is not lost.
		return l.after(seq), l.lostAfter(seq) && l.keep.Replay != ReplayLast
	}
	switch l.keep.Replay {
	case ReplayAll:
		return all, a.unknown || l.appended > uint64(len(all))
	case ReplayLast:
		return all[max(0, len(all)-1):], false
	default:
		return nil, a.unknown
	}
}

var resetBlock, _ = sse.Append(nil, sse.Event{Name: "reset", Data: `{"reason":"history_lost"}`})

// replay queues the plan and moves the cursor. Events that are older than the
// cursor — of topics that an open stream joins late — carry an id that says so,
// so that the client's last event id never goes back.
func (h *Hub) replay(m *Member, p plan, joined bool) {
	var frames []stream.Frame
	if p.reset {
		h.resets++
		frames = append(frames, stream.Frame{Bytes: resetBlock, Kind: stream.Replay})
	}
	var late []uint32
	for _, e := range p.events {
		if e.seq > m.cursor {
			frames = append(frames, e.replay())
			continue
		}
		if late == nil {
			late = h.late(p, m.cursor)
		}
		at := position{seq: m.cursor, behind: e.seq, late: late}
		frames = append(frames, stream.Frame{Bytes: h.restamp(e.event, at), Kind: stream.Replay})
	}
	if n := len(p.events); n > 0 {
		m.cursor = max(m.cursor, p.events[n-1].seq)
	}
	if joined && (len(p.events) == 0 || p.skipped > m.cursor || late != nil) {
		m.cursor = max(m.cursor, p.seq)
		frames = append(frames, h.idBlock(m.cursor))
	}
	if len(frames) > 0 {
		_ = m.sink.PushAll(frames) // a stream that has ended needs nothing
	}
}

// late lists the topics that a replay behind the cursor is of. Where they are
// more than an id can name it lists none, and the id is one that leads to a
// reset if the client drops meanwhile.
func (h *Hub) late(p plan, cursor uint64) []uint32 {
	late := []uint32{}
	seen := map[*log]bool{}
	for _, e := range p.events {
		if e.seq <= cursor && !seen[e.log] {
			seen[e.log] = true
			late = append(late, hash32(e.log.name))
		}
	}
	if len(late) > maxLate {
		return late[:0]
	}
	return late
}

// restamp copies an event's frame under another id.
func (h *Hub) restamp(e event, at position) []byte {
	block := append(appendLateID([]byte("id: "), h.generation, at), '\n')
	return append(block, e.frame[e.rest:]...)
}
