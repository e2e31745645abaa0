package topic

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"time"

	"sluice/internal/wire"
	"sluice/sse"
)

// info describes a log. The caller holds the lock.
func (h *Hub) info(l *log) wire.TopicInfo {
	info := wire.TopicInfo{
		Topic:    l.name,
		Events:   l.held(),
		Bytes:    l.bytes,
		Appended: l.appended,
		Streams:  l.streams(),
		Closed:   l.closed,
	}
	if l.held() > 0 {
		info.FirstID = h.id(l.events[l.head].seq)
	}
	if l.last > 0 {
		info.LastID = h.id(l.last)
	}
	if l.lastAt > 0 {
		info.LastAt = rfc3339(l.lastAt)
	}
	return info
}

func rfc3339(nanos int64) string {
	return time.Unix(0, nanos).UTC().Format(time.RFC3339Nano)
}

// Info describes one topic, or returns ErrNotFound.
func (h *Hub) Info(topic string) (wire.TopicInfo, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l, ok := h.topics[topic]
	if !ok {
		return wire.TopicInfo{}, ErrNotFound
	}
	return h.info(l), nil
}

// Filter selects topics for List.
type Filter struct {
	Prefix string // of the name
	Open   bool   // only those that are not closed
	After  string // only names above this one
	Limit  int    // at most so many
}

// List gives topics in the order of their names, and whether there are more.
// It looks at every name: it is for operators, not for the hot path.
func (h *Hub) List(f Filter) (infos []wire.TopicInfo, more bool) {
	h.mu.Lock()
	var names []string
	for name, l := range h.topics {
		if name > f.After && strings.HasPrefix(name, f.Prefix) && !(f.Open && l.closed) {
			names = append(names, name)
		}
	}
	h.mu.Unlock()
	slices.Sort(names)
	if more = len(names) > f.Limit; more {
		names = names[:f.Limit]
	}
	infos = make([]wire.TopicInfo, 0, len(names))
	for _, name := range names {
		if info, err := h.Info(name); err == nil {
			infos = append(infos, info)
		}
	}
	return infos, more
}

// Events gives a page of what a topic holds after an event id, oldest first,
// and whether there is more. It returns ErrNotFound, or ErrFrom for an id that
// is none of this process.
func (h *Hub) Events(topic, after string, limit int) (page []wire.EventInfo, more bool, err error) {
	events, closed, last, err := h.window(topic, after)
	if err != nil {
		return nil, false, err
	}
	if more = len(events) > limit; more {
		events = events[:limit]
	}
	page = make([]wire.EventInfo, 0, len(events))
	for _, e := range events {
		info := wire.EventInfo{ID: h.id(e.seq), At: rfc3339(e.at), Final: closed && e.seq == last}
		block := e.frame.Block()
		whole := sse.DecoderOptions{MaxLine: len(block), MaxEvent: len(block)}
		for ev := range sse.NewDecoder(bytes.NewReader(block), whole).Events() {
			info.Data = ev.Data
			if bytes.Contains(block, []byte("\nevent: ")) { // otherwise the name is a default
				info.Name = ev.Name
			}
		}
		page = append(page, info)
	}
	return page, more, nil
}

func (h *Hub) window(topic, after string) (events []event, closed bool, last uint64, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var seq uint64
	if after != "" {
		p, ok := parseID(after, h.generation)
		if !ok {
			return nil, false, 0, ErrFrom
		}
		seq = p.of(topic)
	}
	l, ok := h.topics[topic]
	if !ok {
		return nil, false, 0, ErrNotFound
	}
	return slices.Clone(l.after(seq)), l.closed, l.last, nil
}

// Members gives the streams of a topic, or ErrNotFound.
func (h *Hub) Members(topic string) ([]*Member, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l, ok := h.topics[topic]
	if !ok {
		return nil, ErrNotFound
	}
	members := make([]*Member, 0, l.streams())
	for _, s := range l.subs {
		if s != nil {
			members = append(members, s.member)
		}
	}
	return members, nil
}

// Stats are figures of the whole hub, for metrics.
type Stats struct {
	Topics, Events int
	Bytes          int64
	Published      uint64
	Resets         uint64
	Spreading      int // events on their way to the streams of wide topics
	Keys           int
	KeysEarly      uint64 // idempotency keys forgotten before their time
	Dropped        map[DropReason]uint64
}

// Stats gives the figures as they are now.
func (h *Hub) Stats() Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	return Stats{
		Topics: len(h.topics), Events: h.events, Bytes: h.bytes,
		Published: h.published, Resets: h.resets, Spreading: len(h.onTheWay.events),
		Keys: len(h.keys.records), KeysEarly: h.keys.early,
		Dropped: maps.Clone(h.dropped),
	}
}
