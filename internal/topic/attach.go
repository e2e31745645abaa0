package topic

import (
	"sluice/internal/stream"
	"sluice/internal/wire"
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
// Topics that the stream is at already, or was at when they were closed, are left
// as they are: a repeat does nothing.
//
// Topics that are attached before Open come as one replay in one order, be it in
// one call or, with FromDefault, in many. To an open stream a topic comes late:
// the ids that were queued before say nothing of it, so a client that is cut
// before the first one that does comes back behind the topic's past.
func (h *Hub) Attach(m *Member, topics []string, from string) (map[string]wire.TopicInfo, error) {
	b := stream.NewBatch()
	defer b.Flush()
	h.mu.Lock()
	defer h.mu.Unlock()
	if m.gone {
		return nil, ErrGone
	}
	h.settle(b, m)
	have, _ := h.place(m.resume())
	ask, err := h.ask(m, from)
	if err != nil {
		return nil, err
	}
	logs, infos, err := h.join(m, topics)
	if err != nil {
		return nil, err
	}
	m.cursor = max(m.cursor, have.seq)
	if len(logs) > 0 {
		h.replay(b, m, have, h.plan(ask, logs))
	}
	for _, l := range logs {
		if l.closed {
			m.finish(l)
			continue
		}
		s := &subscription{log: l, member: m}
		m.subs = append(m.subs, s)
		l.add(s)
	}
	m.endIfDone(b)
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
		if id = m.resume(); id == "" {
			return ask{}, nil
		}
	}
	if p, ok := h.place(id); ok {
		return ask{at: &p}, nil
	}
	if from != FromDefault && !plausible(from) {
		return ask{}, ErrFrom
	}
	return ask{unknown: true}, nil
}

// place reads an id of this hub.
func (h *Hub) place(id string) (position, bool) {
	p, ok := parseID(id, h.generation)
	if !ok || p.seq > h.seq {
		return position{}, false
	}
	return p, true
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
		if err == nil && !m.follows(l) && !m.had(l) {
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
		infos[name] = h.info(l)
	}
	return logs, infos, nil
}
