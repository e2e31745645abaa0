package topic

import (
	"context"
	"time"
)

// aheadPatience bounds how long an id that this node has not come to yet is
// waited for: the client has it from another node.
const aheadPatience = 2 * time.Second

// places are ids that were looked up in a store. Without a store there are none,
// and an id is read when it is needed.
type places map[string]placed

type placed struct {
	position
	ok       bool
	restarts uint64 // it does not hold when the store has gone back since
}

// place reads an id of this hub.
func (h *Hub) place(id string, at places) (position, bool) {
	if h.opts.Store != nil {
		p := at[id]
		if !p.ok || p.restarts != h.past.restarts {
			return position{}, false
		}
		return p.position, true
	}
	p, ok, _ := h.judge(id)
	return p, ok
}

// judge reads an id and tells whether it is of this hub's logs. sure is false if
// that has to be looked up.
func (h *Hub) judge(id string) (p position, ok, sure bool) {
	p, ok = parseID(id, h.generation)
	switch {
	case !ok:
		return position{}, false, true
	case h.opts.Store == nil:
		ok, sure = p.seq <= h.seq && p.at == 0, true
	case p.seq == 0:
		ok, sure = p.at == 0, true
	case p.seq <= h.seq:
		ok, sure = h.past.marks.fits(p.seq, p.at)
	}
	if sure && !ok {
		return position{}, false, true
	}
	return p, true, sure
}

// resolveAll looks up the ids of an attach.
func (h *Hub) resolveAll(ctx context.Context, m *Member, from string) (places, error) {
	if h.opts.Store == nil {
		return nil, nil
	}
	at := make(places, 2)
	if id := m.resume(); id != "" {
		p, err := h.resolveResume(ctx, m, id)
		if err != nil {
			return nil, err
		}
		at[id] = p
	}
	if from != FromDefault && from != FromEarliest && from != FromLatest {
		p, err := h.resolve(ctx, from)
		if err != nil {
			return nil, err
		}
		at[from] = p
	}
	return at, nil
}

// resolveResume looks up the id that a client came with, once.
func (h *Hub) resolveResume(ctx context.Context, m *Member, id string) (placed, error) {
	if p := h.resolved(m); p != nil {
		return *p, nil
	}
	p, err := h.resolve(ctx, id)
	if err != nil {
		return p, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if m.past != nil {
		m.past.at = &p
	}
	return p, nil
}

func (h *Hub) resolved(m *Member) *placed {
	h.mu.Lock()
	defer h.mu.Unlock()
	if m.past == nil {
		return nil
	}
	return m.past.at
}

// resolve reads an id, and asks the store where it must.
func (h *Hub) resolve(ctx context.Context, id string) (placed, error) {
	h.mu.Lock()
	p, ok, sure := h.judge(id)
	ahead := p.seq > h.seq
	found := placed{p, ok, h.past.restarts}
	h.mu.Unlock()
	if sure {
		return found, nil
	}
	ctx, cancel := context.WithTimeout(ctx, coldPatience)
	defer cancel()
	if ahead {
		wait, enough := context.WithTimeout(ctx, aheadPatience)
		defer enough()
		if h.await(wait, p.seq) {
			return h.resolve(ctx, id)
		}
	}
	at, exact, err := h.opts.Store.Time(ctx, p.seq)
	switch {
	case err != nil:
		return placed{}, unavailable(err)
	case exact && at != p.at, at != 0 && at < p.at: // another event has the number
		return placed{}, nil
	case at == 0 && ahead: // there is no such event
		return placed{}, nil
	case ahead:
		return placed{}, ErrUnavailable // this node lags behind
	}
	return found, nil
}
