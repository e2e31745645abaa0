package topic

import (
	"slices"

	"tidegate/internal/stream"
	"tidegate/internal/wire"
)

// Member is a stream's place in the hub: its topics and its cursor. Init makes
// one; it must not be copied then. Everything in it but the set-once fields is
// guarded by the hub's lock. There is one for each stream, so what most streams
// do not need is behind a pointer.
type Member struct {
	sink Sink // set once

	subs    []*subscription
	cursor  uint64         // the highest position whose id was queued for the stream
	history *memberHistory // nil for a client that came without an id, and has no closed topic and none that is absent
	opened  bool           // its callback has been accepted
	gone    bool
	hasID   bool // the client has, or will have by then, the id of some position on this stream

	finished bool // some topic of it is closed
}

// past is what a stream has behind it.
type memberHistory struct {
	resume       string // set once: the client's last event id, "" if it sent none
	at           placed // what that says, once it is known
	known        bool   // at is
	closedTopics []*log // the latest of its topics that were closed: it has had them

	absent   []wire.AbsentTopic // to be told of when the stream opens
	override bool               // what was asked for counts, not the client's id: no 204
}

// history gives the member's past, to be written to.
func (m *Member) makeHistory() *memberHistory {
	if m.history == nil {
		m.history = new(memberHistory)
	}
	return m.history
}

// own is the position that the client came with. With a store it has been looked up
// before, and does not hold when that has gone back since.
func (h *Hub) own(m *Member) (position, bool) {
	switch {
	case m.resume() == "":
		return position{}, false
	case !m.history.known && h.opts.Store != nil:
		return position{}, false
	case !m.history.known:
		p, ok, _ := h.judge(m.history.resume)
		m.history.at, m.history.known = placed{p, ok, h.stored.restarts}, true
	}
	if at := m.history.at; at.ok && at.restarts == h.stored.restarts {
		return at.position, true
	}
	return position{}, false
}

// Init makes the place of one stream. lastEventID is what the client sent.
func (m *Member) Init(sink Sink, lastEventID string) {
	m.sink = sink
	if lastEventID != "" {
		m.history = &memberHistory{resume: lastEventID}
	}
}

// NewMember is Init for a member by itself.
func NewMember(sink Sink, lastEventID string) *Member {
	m := new(Member)
	m.Init(sink, lastEventID)
	return m
}

// resume is the last event id that the client sent.
func (m *Member) resume() string {
	if m.history == nil {
		return ""
	}
	return m.history.resume
}

// resumeOf is [Member.resume] for whoever does not hold the hub's lock: a topic that
// is closed meanwhile, or the end of the stream, changes what is behind a member.
func (h *Hub) resumeOf(m *Member) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return m.resume()
}

// had tells whether the stream was at l when that was closed. The log may have
// been dropped and read back since.
func (m *Member) had(l *log) bool {
	return m.history != nil && slices.ContainsFunc(m.history.closedTopics, func(o *log) bool {
		return o == l || l.closed && o.name == l.name && o.last == l.last
	})
}

// push queues a live event and reports whether it was taken. A stream that has
// ended, or that is ended here for being slow, leaves the hub by itself.
func (m *Member) push(b *stream.Batch, e event) bool {
	if e.gap {
		_ = m.sink.PushAll(b, []stream.Item{{Frame: resetFrame, Kind: stream.Replay}}) // Push tells if it has ended
	}
	if e.mute {
		m.cursor = e.seq
		return true
	}
	if m.sink.Push(b, e.frame) != nil {
		return false
	}
	m.cursor, m.hasID = e.seq, true // the newest position there is
	return true
}

// maxClosedTopics bounds the closed topics that a stream remembers.
const maxClosedTopics = 256

// finish notes that a topic of the stream is closed.
func (m *Member) finish(l *log) {
	m.finished = true
	m.makeHistory()
	if len(m.history.closedTopics) == maxClosedTopics {
		m.history.closedTopics = slices.Delete(m.history.closedTopics, 0, 1)
	}
	m.history.closedTopics = append(m.history.closedTopics, l)
}

// left takes s out of the member's list; the log's list is the caller's.
func (m *Member) left(s *subscription) {
	for i, own := range m.subs {
		if own == s {
			m.subs = append(m.subs[:i], m.subs[i+1:]...)
			return
		}
	}
}

// follows tells whether the member is attached to l. A stream has few topics,
// or many topics few streams: the shorter list is searched.
func (m *Member) follows(l *log) bool {
	if len(l.subs) < len(m.subs) {
		for _, s := range l.subs {
			if s != nil && s.member == m {
				return true
			}
		}
		return false
	}
	for _, s := range m.subs {
		if s.log == l {
			return true
		}
	}
	return false
}

// done tells whether the stream has come to the end of its topics.
func (m *Member) done() bool { return m.finished && len(m.subs) == 0 }

// endIfDone ends an open stream that has come to the end of its topics.
func (m *Member) endIfDone(b *stream.Batch) {
	if m.opened && m.done() {
		m.sink.End(b, ended, nil)
	}
}

// Open says that the stream's callback has been accepted: from now on the end
// of its last topic ends it. finished is true for a client that has come back
// with the last id of topics that are all closed: there is nothing for it, now
// or ever, and it should be told not to return.
func (h *Hub) Open(m *Member) (finished bool) {
	b := stream.NewBatch()
	defer b.Flush()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.deliverPending(b, m)
	knows := h.openAbsent(b, m) // before it counts as open: what is queued is still one replay
	m.opened = true
	over := m.done() || knows && len(m.subs) == 0
	if over && h.resumes(m) && !m.sink.HasEvents() && !m.history.override {
		return true
	}
	m.endIfDone(b)
	return false
}

// resumes tells whether the client came with an id of this hub.
func (h *Hub) resumes(m *Member) bool {
	_, ok := h.own(m)
	return ok
}

// Leave takes a stream out of all its topics. It may be called more than once.
func (h *Hub) Leave(m *Member) {
	h.mu.Lock()
	defer h.mu.Unlock()
	m.gone = true
	subs := m.subs
	m.subs, m.history = nil, nil
	for _, s := range subs {
		s.log.remove(s)
		h.release(s.log)
	}
}

// Detach takes a stream out of some topics. Topics it is not at are ignored.
func (h *Hub) Detach(m *Member, topics []string) {
	b := stream.NewBatch()
	defer b.Flush()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.deliverPending(b, m)
	for _, name := range topics {
		if m.history != nil {
			m.history.closedTopics = slices.DeleteFunc(m.history.closedTopics, func(o *log) bool { return o.name == name })
		}
		l, ok := h.topics[name]
		if !ok {
			continue
		}
		for _, s := range m.subs {
			if s.log == l {
				m.left(s)
				l.remove(s)
				h.release(l)
				break
			}
		}
	}
}

// Topics lists what a stream follows, in the order in which it was attached.
func (h *Hub) Topics(m *Member) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	names := make([]string, len(m.subs))
	for i, s := range m.subs {
		names[i] = s.log.name
	}
	return names
}
