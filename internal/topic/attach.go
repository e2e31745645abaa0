package topic

import (
	"context"

	"tidegate/internal/stream"
	"tidegate/internal/wire"
)

// Where an attach may begin, beside an event id.
const (
	FromDefault  = ""         // after the client's last event id, else as the namespace says
	FromEarliest = "earliest" // all that is held
	FromLatest   = "latest"   // nothing of the past
)

// Request says what a stream is to be attached to.
type Request struct {
	Topics   []string
	From     string             // where to begin, for a client that brings no last event id
	Override bool               // From counts for those that bring one, too
	Absent   []wire.AbsentTopic // topics to attach to if they have ever had an event, and what to send if not
}

// Attach is AttachTo for topics alone.
func (h *Hub) Attach(ctx context.Context, m *Member, topics []string, from string) (map[string]wire.TopicInfo, error) {
	infos, _, err := h.AttachTo(ctx, m, Request{Topics: topics, From: from})
	return infos, err
}

// AttachTo puts a stream into topics and queues what it is to have of their past.
// From then on it gets everything that is published there, with neither gap nor
// repeat at the seam. If what is asked for is no longer held, the stream first
// gets an event "reset", and then all that is. If nothing is replayed, and the
// stream has not been sent the id of a position from which all this follows, it
// gets a block with an id and no event, from which it can resume.
//
// AttachTo answers with the topics as the stream finds them, and with those that
// do not exist. It returns ErrFrom, ErrGone, ErrTooManyTopics, ErrTooManyForStream
// or ErrUnavailable, and then has attached nothing. Topics that the stream is at
// already, or was at when they were closed, are left as they are: a repeat does
// nothing.
//
// Topics that are attached before Open come as one replay in one order, be it in
// one call or, with FromDefault, in many. To an open stream a topic comes late:
// the ids that were queued before say nothing of it, so a client that is cut
// before the first one that does comes back behind the topic's past.
//
// With a store, what is not held any more is read back first. That is waited
// for, a few seconds at most for all topics; nothing else is. What was read back by
// then is held, so the next attempt goes on from there.
func (h *Hub) AttachTo(ctx context.Context, m *Member, r Request) (map[string]wire.TopicInfo, []string, error) {
	if !r.Override && h.resumeOf(m) != "" {
		r.From = FromDefault // it goes on where it was
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

// attach does it, or says what has to be read back before.
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

// split gives the topics of a request that are attached to, and those that are
// absent. One that is on both lists is what it turns out to be.
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

// remain deals with the absent topics of a request, and gives their names.
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

// follow replays what a stream is to have of the past of logs, and has it follow
// those that are not closed.
func (h *Hub) follow(b *stream.Batch, m *Member, logs []*log, have position, ask ask) {
	if now := min(max(m.cursor, have.seq), h.seq); now != m.cursor { // it was at no topic when the store went back
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
			h.release(l) // nothing of it may be held
			continue
		}
		s := &subscription{log: l, member: m}
		m.subs = append(m.subs, s)
		l.add(s)
	}
	h.makeRoom() // for what was read back
}

// missing adds what has to be read back before an ask can be answered. The logs
// are let go again if there is any.
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

// ask is what an attach was asked for, once the words are read.
type ask struct {
	from    string // FromDefault, FromEarliest, FromLatest, or "" with at set
	at      *position
	unknown bool // an id was given that is not of this hub
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
