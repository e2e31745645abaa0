package topic

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"tidegate/internal/wire"
	"tidegate/sse"
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
		info.FirstID = h.idOf(l.events[l.head].seq, l.events[l.head].at)
	}
	if l.last > 0 {
		info.LastID = h.idOf(l.last, l.lastAt)
	}
	if l.lastAt > 0 {
		info.LastAt = rfc3339(l.lastAt)
	}
	return info
}

// infoStored is info with the number of stored events, if the store knows it.
func (h *Hub) infoStored(l *log) wire.TopicInfo {
	info := h.info(l)
	if c, ok := h.opts.Store.(Catalog); ok {
		info.Stored = c.Held(l.name)
	}
	return info
}

func rfc3339(nanos int64) string {
	return time.Unix(0, nanos).UTC().Format(time.RFC3339Nano)
}

// Info describes one topic, or returns ErrNotFound or ErrUnavailable.
func (h *Hub) Info(ctx context.Context, topic string) (wire.TopicInfo, error) {
	for range maxFetchTries {
		info, known, err := h.infoNow(topic)
		if known {
			return info, err
		}
		if err := h.fetch(ctx, topic, needState); err != nil {
			return wire.TopicInfo{}, err
		}
	}
	return wire.TopicInfo{}, ErrUnavailable
}

// infoNow is Info of what is held; known is false if the store has to be asked.
func (h *Hub) infoNow(topic string) (info wire.TopicInfo, known bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l, ok := h.topics[topic]
	if !ok && h.opts.Store != nil {
		l = h.create(topic)
		defer h.release(l)
		ok = l.cold > 0 && l.last > 0
	}
	switch {
	case l != nil && !l.known():
		return info, false, nil
	case !ok:
		return info, true, ErrNotFound
	}
	return h.infoStored(l), true, nil
}

// Filter selects topics for List.
type Filter struct {
	Prefix string // of the name
	Open   bool   // only those that are not closed
	After  string // only names above this one
	Limit  int    // at most so many
}

// maxListTime bounds the time in which a listing asks the store about topics whose state is
// not known here.
const maxListTime = 2 * time.Second

// List returns topics in the order of their names, and whether there are more. If the store
// did not answer in time for a topic, it is listed with what is known, as Unsure. A page
// with more after it is full. List reads every name: it is for operators, not for the hot
// path.
func (h *Hub) List(ctx context.Context, f Filter) (infos []wire.TopicInfo, more bool) {
	ctx, cancel := context.WithTimeout(ctx, maxListTime)
	defer cancel()
	infos = []wire.TopicInfo{}
	for _, name := range h.names(f) {
		info, ok := h.listed(ctx, name)
		if !ok || f.Open && info.Closed { // gone, or closed, since names were taken
			continue
		}
		if len(infos) == f.Limit { // there is a topic after the page, not just a name
			return infos, true
		}
		infos = append(infos, info)
	}
	return infos, false
}

// names are the names of topics that a filter may select, sorted: of those that the
// hub holds and, if it knows them, those of the store.
func (h *Hub) names(f Filter) (names []string) {
	selects := func(name string) bool { return name > f.After && strings.HasPrefix(name, f.Prefix) }
	h.mu.Lock()
	for name, l := range h.topics {
		if selects(name) && !(f.Open && l.closed) {
			names = append(names, name)
		}
	}
	h.mu.Unlock()
	if c, ok := h.opts.Store.(Catalog); ok {
		c.Names(func(name string) {
			if selects(name) {
				names = append(names, name)
			}
		})
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// listed describes a topic for a listing; ok is false if it is not there any more.
func (h *Hub) listed(ctx context.Context, name string) (info wire.TopicInfo, ok bool) {
	info, err := h.Info(ctx, name)
	if err == nil || err == ErrNotFound {
		return info, err == nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	l, ok := h.topics[name]
	if !ok {
		return info, false
	}
	info = h.infoStored(l)
	info.Unsure = !l.known()
	return info, true
}

// Events returns a page of a topic's events after an event id, oldest first, and whether
// there are more. It returns ErrNotFound, ErrUnavailable, or ErrFrom for an id that is not
// of these logs.
func (h *Hub) Events(ctx context.Context, topic, after string, limit int) (page []wire.EventInfo, more bool, err error) {
	events, closed, last, err := h.window(ctx, topic, after)
	if err != nil {
		return nil, false, err
	}
	if more = len(events) > limit; more {
		events = events[:limit]
	}
	ids := h.idsOf(events)
	page = make([]wire.EventInfo, 0, len(events))
	for i, e := range events {
		info := wire.EventInfo{ID: ids[i], At: rfc3339(e.at), Final: closed && e.seq == last}
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

func (h *Hub) idsOf(events []event) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	ids := make([]string, len(events))
	for i, e := range events {
		ids[i] = h.idOf(e.seq, e.at)
	}
	return ids
}

func (h *Hub) window(ctx context.Context, topic, after string) (events []event, closed bool, last uint64, err error) {
	var at placed
	if after != "" {
		if at, err = h.resolve(ctx, after); err != nil {
			return nil, false, 0, err
		}
		if !at.ok {
			return nil, false, 0, ErrFrom
		}
	}
	for range maxFetchTries {
		events, closed, last, cold, err := h.windowNow(topic, at.of(topic))
		if !cold {
			return events, closed, last, err
		}
		if err := h.fetch(ctx, topic, needEvents); err != nil {
			return nil, false, 0, err
		}
	}
	return nil, false, 0, ErrUnavailable
}

func (h *Hub) windowNow(topic string, seq uint64) (events []event, closed bool, last uint64, cold bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	defer h.makeRoom()
	l, ok := h.topics[topic]
	if !ok && h.opts.Store != nil {
		l = h.create(topic)
		defer h.release(l)
	}
	switch {
	case l != nil && l.cold > seq+1:
		return nil, false, 0, true, nil
	case !ok:
		return nil, false, 0, false, ErrNotFound
	}
	return slices.Clone(l.after(seq)), l.closed, l.last, false, nil
}

// Members returns the streams of a topic, or ErrNotFound.
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
	FanningOut     int // events that are being fanned out to large topics
	Keys           int
	KeysEarly      uint64 // idempotency keys dropped before KeyLife
	Dropped        map[DropReason]uint64
}

// Stats returns the current figures.
func (h *Hub) Stats() Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	return Stats{
		Topics: len(h.topics), Events: h.events, Bytes: h.bytes,
		Published: h.published, Resets: h.resets, FanningOut: len(h.fanOuts.events),
		Keys: len(h.keys.records), KeysEarly: h.keys.early,
		Dropped: maps.Clone(h.dropped),
	}
}

// Delivered is how many events were queued for streams that were attached when they were
// published. Unlike Stats, it takes no lock.
func (h *Hub) Delivered() uint64 { return h.delivered.Load() }
