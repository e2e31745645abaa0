package topic

import (
	"context"
	"strconv"
	"strings"
	"time"

	"tidegate/sse"
)

// store publishes through the Store, which passes the event to the hubs of all nodes, in
// one order.
func (h *Hub) store(ctx context.Context, p Publication) (Receipt, error) {
	if strings.ContainsAny(p.Name, "\r\n\x00") {
		_, err := sse.Append(nil, sse.Event{Name: p.Name})
		return Receipt{}, err
	}
	e, r, answered, err := h.entry(ctx, p)
	if err == ErrClosed && p.Key != "" {
		return h.repeat(ctx, p, e)
	}
	if err != nil || answered {
		return r, err
	}
	got, err := h.appendOne(ctx, e.clone())
	if err != nil {
		return Receipt{}, unavailable(err)
	}
	return h.recordAnswer(p, got)
}

// clone copies the texts, which may be parts of a request's body.
func (e Entry) clone() Entry {
	var all strings.Builder // one piece for all; a sum of strings may be one of them
	all.Grow(len(e.Topic) + len(e.Name) + len(e.Data))
	for _, part := range [...]string{e.Topic, e.Name, e.Data} {
		all.WriteString(part)
	}
	text, n, m := all.String(), len(e.Topic), len(e.Topic)+len(e.Name)
	e.Topic, e.Name, e.Data = text[:n], text[n:m], text[m:]
	return e
}

func (h *Hub) appendOne(ctx context.Context, e Entry) (Appended, error) {
	r := h.opts.Store.AppendAll(ctx, []Entry{e})[0]
	return r.Appended, r.Err
}

// entry returns the store's entry of a publication. It needs the state of the topic, and
// reads that back if it is not known.
func (h *Hub) entry(ctx context.Context, p Publication) (e Entry, r Receipt, answered bool, err error) {
	content := contentOf(p)
	for range maxFetchTries {
		e, r, answered, known, err := h.entryNow(p, content)
		if err != nil || answered || known {
			return e, r, answered, err
		}
		if err := h.fetch(ctx, p.Topic, needState); err != nil {
			return e, r, false, err
		}
	}
	return e, r, false, ErrUnavailable
}

func (h *Hub) entryNow(p Publication, content uint64) (e Entry, r Receipt, answered, known bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.entryOf(&p, content, time.Now())
}

// entryOf returns the entry of a publication if the topic's state is known, or answers it.
// The caller holds the lock.
func (h *Hub) entryOf(p *Publication, content uint64, now time.Time) (e Entry, r Receipt, answered, known bool, err error) {
	if r, ok, err := h.answered(p, content, now); ok || err != nil {
		return e, r, ok, true, err
	}
	l, err := h.openToPublish(p.Topic)
	if err != nil {
		return e, r, false, true, err
	}
	defer h.release(l)
	if !l.known() {
		return e, r, false, false, nil
	}
	e = Entry{
		Topic: p.Topic, Name: p.Name, Data: p.Data, HasEvent: p.HasEvent, Close: p.Close,
		Number: l.appended + 1, Prev: l.last, DeletedTo: l.deletedTo, Age: l.keep.life(),
	}
	if p.Key != "" {
		// Keys from before the topic was deleted do not count. All nodes must agree on
		// this, so events carry it.
		e.Key = strconv.FormatUint(l.forgotten, 36) + "." + p.Key
	}
	switch {
	case l.closed:
		return e, r, false, true, ErrClosed
	case !p.HasEvent && !p.Close:
		return e, Receipt{Receivers: l.streams()}, true, true, nil
	}
	return e, r, false, true, nil
}

// recordAnswer keeps an answer for repeats of its key, and asks the store to trim the
// topic now and then. It returns ErrClosed for a repeat of an event after the topic's end.
func (h *Hub) recordAnswer(p Publication, got Appended) (Receipt, error) {
	content := contentOf(p)
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.recordAnswerLocked(&p, content, got, time.Now())
}

// recordAnswerLocked is recordAnswer for callers that hold the lock.
func (h *Hub) recordAnswerLocked(p *Publication, content uint64, got Appended, now time.Time) (Receipt, error) {
	l := h.topics[p.Topic]
	at := got.At
	if at == 0 { // the first event is gone
		at, _ = h.stored.times.find(got.Seq)
	}
	r := Receipt{Receivers: got.Receivers}
	if at != 0 { // with a wrong time the id would be of another log
		r.ID = h.id(got.Seq, at)
	}
	if got.Repeat && l != nil {
		if l.closed && got.Seq > l.last {
			return Receipt{}, ErrClosed
		}
		r.Receivers = l.streams()
	}
	if p.Key != "" && at != 0 {
		h.keys.add(p.Topic, p.Key, dedupRecord{content: content, seq: got.Seq, at: at, receivers: r.Receivers}, now)
	}
	if l == nil || l.keep.Events <= 0 {
		return r, nil
	}
	if l.untrimmed++; l.untrimmed >= max(l.keep.Events/4, leastTrim) && l.appended > uint64(l.keep.Events) {
		l.untrimmed = 0
		h.opts.Store.Trim(p.Topic, l.keep.Events)
	}
	return r, nil
}

// leastTrim is the least number of appended events between two trims of a topic: a trim
// is expensive.
const leastTrim = 256
