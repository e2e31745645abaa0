package topic

import (
	"context"

	"tidegate/internal/stream"
	"tidegate/internal/wire"
)

// Where an attach may start, besides an event id.
const (
	FromDefault  = ""         // after the client's last event id; without one, as the namespace says
	FromEarliest = "earliest" // all that is held
	FromLatest   = "latest"   // no events of the past
)

// Request is what a stream is to be attached to.
type Request struct {
	Topics   []string
	From     string             // where to start, for a client without a last event id
	Override bool               // From counts for clients with one, too
	Absent   []wire.AbsentTopic // topics to attach to if they have ever had an event, and what to send if not
}

// Attach is AttachTo for topics alone.
func (h *Hub) Attach(ctx context.Context, m *Member, topics []string, from string) (map[string]wire.TopicInfo, error) {
	infos, _, err := h.AttachTo(ctx, m, Request{Topics: topics, From: from})
	return infos, err
}

// AttachTo attaches a stream to topics and queues what it is to receive of their past.
// From then on it receives everything that is published there, without gap or repeat in
// between. If events that it should receive are no longer held, it first receives an event
// "reset", and then all that are held. If nothing is replayed, and the stream has no id yet
// from which it could resume here, it receives a block with an id and no event.
//
// AttachTo returns the topics as the stream finds them, and the names of those that do not
// exist. It returns ErrFrom, ErrGone, ErrTooManyTopics, ErrTooManyForStream or
// ErrUnavailable, and then has attached nothing. Topics that the stream is at already, or
// was at when they were closed, stay as they are: a repeat has no effect.
//
// Topics that are attached before Open are replayed together in one order, in one call or,
// with FromDefault, in many. To an open stream a topic is attached late: ids that were
// queued before say nothing of it. A client that disconnects before the first id that does
// resumes after the topic's past.
//
// With a store, events that are not held any more are read back first. AttachTo waits for
// that, 3 s at most for all topics together. What was read back by then is held, so
// another attempt continues there.
func (h *Hub) AttachTo(ctx context.Context, m *Member, r Request) (map[string]wire.TopicInfo, []string, error) {
	if !r.Override && h.resumeOf(m) != "" {
		r.From = FromDefault // it resumes
	}
	at, err := h.resolveAll(ctx, m, r.From)
	if err != nil {
		return nil, nil, err
	}
	infos, absent, missing, err := h.attachLimited(m, r, at)
	if err != nil || len(missing) == 0 {
		return infos, absent, err
	}
	ctx, cancel := context.WithTimeout(ctx, maxFetchTime) // for all topics together
	defer cancel()
	for range maxFetchTries {
		for topic, n := range missing {
			if err := h.fetch(ctx, topic, n); err != nil {
				return nil, nil, err
			}
		}
		infos, absent, missing, err = h.attachLimited(m, r, at)
		if err != nil || len(missing) == 0 {
			return infos, absent, err
		}
	}
	return nil, nil, ErrUnavailable
}

func (h *Hub) attachLimited(m *Member, r Request, at places) (map[string]wire.TopicInfo, []string, map[string]need, error) {
	h.attaching <- struct{}{}
	defer func() { <-h.attaching }()
	return h.attach(m, r, at)
}

// attach attaches, or returns what has to be read back before.
func (h *Hub) attach(m *Member, r Request, at places) (map[string]wire.TopicInfo, []string, map[string]need, error) {
	b := stream.NewBatch()
	defer b.Flush()
	h.mu.Lock()
	defer h.mu.Unlock()
	if m.gone {
		return nil, nil, nil, ErrGone
	}
	h.deliverPending(b, m)
	have, _ := h.own(m)
	ask, err := h.ask(m, r.From, at)
	if err != nil {
		return nil, nil, nil, err
	}
	topics, absent, missing := r.Topics, []wire.AbsentTopic(nil), map[string]need(nil)
	if len(r.Absent) > 0 {
		topics, absent, missing = h.split(r)
	}
	logs, infos, err := h.join(m, topics)
	if err != nil {
		return nil, nil, nil, err
	}
	if missing = h.missing(ask, logs, missing); len(missing) > 0 {
		return nil, nil, missing, nil
	}
	h.follow(b, m, logs, have, ask)
	if r.Override && m.history != nil {
		m.history.override = true
	}
	names := h.handleAbsent(b, m, absent)
	m.endIfDone(b)
	return infos, names, nil, nil
}

// split returns the topics of a request that are attached to, and those that are absent. A
// topic on both lists is attached to if it exists.
func (h *Hub) split(r Request) (topics []string, absent []wire.AbsentTopic, missing map[string]need) {
	there, absent, missing := h.splitAbsent(r.Absent)
	may := make(map[string]bool, len(r.Absent))
	for _, a := range r.Absent {
		may[a.Topic] = true
	}
	for _, name := range r.Topics {
		if !may[name] {
			topics = append(topics, name)
		}
	}
	return append(topics, there...), absent, missing
}

// handleAbsent sends what there is for the absent topics of a request, now or when the
// stream opens, and returns their names.
func (h *Hub) handleAbsent(b *stream.Batch, m *Member, absent []wire.AbsentTopic) (names []string) {
	for _, a := range absent {
		names = append(names, a.Topic)
	}
	switch {
	case len(absent) == 0:
	case m.opened:
		h.sendAbsent(b, m, absent)
	default:
		p := m.makeHistory()
		p.absent = append(p.absent, absent...)
	}
	return names
}

// follow replays to a stream what it is to receive of the past of logs, and attaches it to
// those that are not closed.
func (h *Hub) follow(b *stream.Batch, m *Member, logs []*log, have position, ask ask) {
	if now := min(max(m.cursor, have.seq), h.seq); now != m.cursor { // it had no topic when the store went back
		m.cursor, m.hasID = now, false
	}
	if len(logs) > 0 {
		p := h.plan(ask, logs)
		h.replay(b, m, have, p)
		p.done()
	}
	for _, l := range logs {
		if l.closed {
			m.finish(l)
			h.release(l) // it may hold no events
			continue
		}
		s := &subscription{log: l, member: m}
		m.subs = append(m.subs, s)
		l.add(s)
	}
	h.makeRoom() // which what was read back may need
}

// missing adds what has to be read back before an ask can be answered, and releases the
// logs if there is anything.
func (h *Hub) missing(a ask, logs []*log, missing map[string]need) map[string]need {
	for _, l := range logs {
		if n := a.missing(l); n != needNothing {
			if missing == nil {
				missing = make(map[string]need)
			}
			missing[l.name] = n
		}
	}
	if missing != nil {
		for _, l := range logs {
			h.release(l)
		}
	}
	return missing
}

// ask is where an attach starts, parsed.
type ask struct {
	from    string // FromDefault, FromEarliest, FromLatest, or "" with at set
	at      *position
	unknown bool // the id is not one of this hub
}

func (h *Hub) ask(m *Member, from string, at places) (ask, error) {
	id := from
	switch from {
	case FromEarliest, FromLatest:
		return ask{from: from}, nil
	case FromDefault:
		if id = m.resume(); id == "" {
			return ask{}, nil
		}
	}
	p, ok := h.own(m)
	if from != FromDefault {
		p, ok = h.place(id, at)
	}
	if ok {
		return ask{at: &p}, nil
	}
	if from != FromDefault && !plausible(from) {
		return ask{}, ErrFrom
	}
	return ask{unknown: true}, nil
}

// join opens the logs that the member is not at yet, all or none.
func (h *Hub) join(m *Member, topics []string) ([]*log, map[string]wire.TopicInfo, error) {
	var logs []*log
	infos := make(map[string]wire.TopicInfo, len(topics))
	for _, name := range topics {
		if _, twice := infos[name]; twice {
			continue
		}
		l, err := h.open(name)
		joins := err == nil && !m.follows(l) && !m.had(l)
		if joins {
			logs = append(logs, l)
			if len(m.subs)+len(logs) > MaxTopicsPerStream {
				err = ErrTooManyForStream
			}
		}
		if err != nil {
			for _, l := range logs {
				h.release(l)
			}
			return nil, nil, err
		}
		if infos[name] = h.info(l); !joins {
			h.release(l) // it may have been made just now, to see that it is over
		}
	}
	return logs, infos, nil
}
