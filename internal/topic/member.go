package topic

import (
	"slices"

	"tidegate/internal/stream"
	"tidegate/internal/wire"
)

// Member is the topics and the cursor of one stream. Call Init before use; it must not be
// copied after that. The hub's lock guards all fields that are not set once. Each stream
// has one, so what most streams do not need is behind a pointer.
type Member struct {
	sink Sink // set once

	subs    []*subscription
	cursor  uint64         // the highest position whose id was queued for the stream
	history *memberHistory // nil for a client that came without an id, and has no closed topic and none that is absent
	opened  bool           // its callback was accepted
	gone    bool
	hasID   bool // the client has received an id on this stream, or will have when it gets to it

	finished bool // some topic of it is closed
}

// memberHistory is what a client had received before it connected, or has to know.
type memberHistory struct {
	resume       string // set once: the client's last event id, "" if it sent none
	at           placed // the position of resume, if known
	known        bool   // at is
	closedTopics []*log // the latest of its topics that were closed: it has received them

	absent   []wire.AbsentTopic // sent when the stream opens
	override bool               // the subscribe decided where to start, not the client's id: no 204
}

// makeHistory returns the history, and creates it if there is none.
func (m *Member) makeHistory() *memberHistory {
	if m.history == nil {
		m.history = new(memberHistory)
	}
	return m.history
}

// own is the position that the client resumes from. With a store it was looked up before,
// and is void if the store has gone back since.
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

// Init prepares the member of one stream. lastEventID is what the client sent; "" for
// nothing.
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

// resumeOf is [Member.resume] for callers that do not hold the hub's lock.
func (h *Hub) resumeOf(m *Member) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return m.resume()
}

// had reports whether the stream was at l when l was closed. The log may have been
// dropped and read back since.
func (m *Member) had(l *log) bool {
	return m.history != nil && slices.ContainsFunc(m.history.closedTopics, func(o *log) bool {
		return o == l || l.closed && o.name == l.name && o.last == l.last
	})
}

// push queues a live event, and reports whether it was queued. A stream that has ended,
// or that push ends because it is slow, leaves the hub by itself.
func (m *Member) push(b *stream.Batch, e event) bool {
	if e.gap {
		_ = m.sink.PushAll(b, []stream.Item{{Frame: resetFrame, Kind: stream.Replay}}) // Push reports whether it has ended
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

// maxClosedTopics bounds the closed topics that a member lists.
const maxClosedTopics = 256

// finish adds a topic of the stream that was closed.
func (m *Member) finish(l *log) {
	m.finished = true
	m.makeHistory()
	if len(m.history.closedTopics) == maxClosedTopics {
		m.history.closedTopics = slices.Delete(m.history.closedTopics, 0, 1)
	}
	m.history.closedTopics = append(m.history.closedTopics, l)
}

// left takes s out of the member's list; the caller takes it out of the log's.
func (m *Member) left(s *subscription) {
	for i, own := range m.subs {
		if own == s {
			m.subs = append(m.subs[:i], m.subs[i+1:]...)
			return
		}
	}
}

// follows reports whether the member is attached to l. It searches the shorter list: of
// the stream's topics, or of the topic's streams.
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

// done reports whether the stream has received the end of all its topics.
func (m *Member) done() bool { return m.finished && len(m.subs) == 0 }

// endIfDone ends an open stream that has received the end of all its topics.
func (m *Member) endIfDone(b *stream.Batch) {
	if m.opened && m.done() {
		m.sink.End(b, ended, nil)
	}
}

// Open reports to the hub that the stream's callback was accepted: from now on the end of
// its last topic ends it. finished is true for a client that has resumed with the last id
// of topics that are all closed: nothing will ever follow, and it should be answered 204.
func (h *Hub) Open(m *Member) (finished bool) {
	b := stream.NewBatch()
	defer b.Flush()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.deliverPending(b, m)
	knows := h.openAbsent(b, m) // before it is open: what is queued is still one replay
	m.opened = true
	over := m.done() || knows && len(m.subs) == 0
	if over && h.resumes(m) && !m.sink.HasEvents() && !m.history.override {
		return true
	}
	m.endIfDone(b)
	return false
}

// resumes reports whether the client sent an id of this hub.
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
