package topic

import (
	"hash/fnv"
	"slices"

	"tidegate/internal/stream"
	"tidegate/internal/wire"
	"tidegate/sse"
)

// A stream may be subscribed to topics that perhaps do not exist, such as that of a task
// with a made-up id. It receives the events that the backend provides for that case, with
// ids, and nothing is stored: no topic is created, however many are named. The ids say
// which topics the client knows to be absent. If it resumes with such an id, and they
// still are, it is finished, as with closed topics.
//
// What is sent is decided when the stream opens, because only then all its topics are
// known. A topic that exists by then is attached to.

// exists reports whether a topic has, or had, events. The newest one must be known.
func (t *traces) exists() bool { return t.appended > 0 || t.closed }

// isAbsent reports whether a topic has never had an event; known is false if the store has
// to be asked.
func (h *Hub) isAbsent(name string) (absent, known bool) {
	if l, ok := h.topics[name]; ok {
		return !l.exists() && l.held() == 0, l.known()
	}
	l := h.create(name)
	defer h.release(l)
	return !l.exists(), l.known()
}

// splitAbsent splits topics that may be absent: those that exist are attached to like
// others. missing is what has to be looked up first.
func (h *Hub) splitAbsent(all []wire.AbsentTopic) (there []string, absent []wire.AbsentTopic, missing map[string]need) {
	for _, a := range all {
		is, known := h.isAbsent(a.Topic)
		switch {
		case !known:
			if missing == nil {
				missing = make(map[string]need)
			}
			missing[a.Topic] = needState
		case !is:
			there = append(there, a.Topic)
		case !slices.ContainsFunc(absent, func(b wire.AbsentTopic) bool { return b.Topic == a.Topic }):
			absent = append(absent, a)
		}
	}
	return there, absent, missing
}

// absentHash stands for a set of topics in an id. It is the sum of the hashes of its
// members, and never 0.
func absentHash(topics []wire.AbsentTopic) (sum uint64) {
	for _, a := range topics {
		h := fnv.New64a()
		_, _ = h.Write([]byte(a.Topic))
		sum += h.Sum64()
	}
	return max(sum, 1)
}

// sendAbsent sends a stream the events for topics that do not exist. A stream without
// other topics receives all of them and ends; any other one only the first of each topic.
func (h *Hub) sendAbsent(b *stream.Batch, m *Member, absent []wire.AbsentTopic) {
	alone := len(m.subs) == 0 && !m.finished
	m.cursor = max(m.cursor, h.seq) // all that there is for it was queued
	m.hasID = true
	at := position{seq: m.cursor, at: h.timeOf(m.cursor)}
	if h.opts.Store != nil && at.at == 0 && at.seq > 0 {
		at.seq, at.at = h.seq, h.stored.at
	}
	var items []stream.Item
	add := func(e wire.Event) {
		block := h.appendID([]byte("id: "), at)
		block, err := sse.Append(append(block, '\n'), sse.Event{Name: e.Name, Data: e.Data})
		if err == nil { // names were checked before
			items = append(items, stream.Item{Frame: stream.FrameOf(block, event{seq: at.seq}.order()+1), Kind: stream.Replay})
		}
	}
	for i, a := range absent {
		if last := i == len(absent)-1; last && (!alone || len(restOf(absent)) == 0) {
			at.absent = absentHash(absent)
		}
		add(a.Events[0])
	}
	if alone {
		rest := restOf(absent)
		for i, e := range rest {
			if i == len(rest)-1 {
				at.absent = absentHash(absent)
			}
			add(e)
		}
		m.finished = true
	}
	if m.opened {
		_ = m.sink.PushAll(b, items) // a stream that has ended needs nothing
	} else {
		_ = m.sink.Merge(items)
	}
}

// restOf returns the events after the first one of each.
func restOf(absent []wire.AbsentTopic) (rest []wire.Event) {
	for _, a := range absent {
		rest = append(rest, a.Events[1:]...)
	}
	return rest
}

// openAbsent attaches a stream that opens to the topics that exist by now, and sends the
// events for the others. It reports whether the client knows already that they are absent.
func (h *Hub) openAbsent(b *stream.Batch, m *Member) (known bool) {
	if m.history == nil || len(m.history.absent) == 0 {
		return false
	}
	there, absent, _ := h.splitAbsent(m.history.absent) // events since then were applied
	m.history.absent = nil
	if logs, _, err := h.join(m, there); err == nil && len(logs) > 0 {
		have, _ := h.own(m)
		h.follow(b, m, logs, have, ask{from: FromEarliest})
	}
	if len(absent) == 0 {
		return false
	}
	if have, ok := h.own(m); ok && !m.history.override && have.absent == absentHash(absent) {
		return true
	}
	h.sendAbsent(b, m, absent)
	return false
}
