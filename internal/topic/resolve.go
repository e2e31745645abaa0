package topic

import (
	"context"
	"time"

	"tidegate/internal/wire"
)

const (
	// maxAheadTime bounds the wait for the event of an id that was not applied here yet:
	// the client has received it from another node.
	maxAheadTime = 2 * time.Second
	// maxAhead bounds the clients that wait for that at once.
	maxAhead = 1024
	// maxLookupsAhead bounds the look-ups in the store for them at once.
	maxLookupsAhead = 16
	// noneLife is how long an answer of the store that it has nothing from a position
	// on is reused: after a backup was restored, many clients ask for that.
	noneLife = 200 * time.Millisecond
)

// emptyFrom is the lowest position from which the store had nothing, at a time.
type emptyFrom struct {
	seq uint64 // 0: unknown
	at  time.Time
}

// has reports whether the answer still counts, and covers seq.
func (n emptyFrom) has(seq uint64) bool {
	return n.seq > 0 && seq >= n.seq && time.Since(n.at) < noneLife
}

// places are ids that were looked up in a store. Without a store there are none.
type places map[string]placed

type placed struct {
	position
	ok       bool
	restarts uint64 // it is void if the store has gone back since
}

// place returns the position of an id of this hub.
func (h *Hub) place(id string, at places) (position, bool) {
	if h.opts.Store != nil {
		p := at[id]
		if !p.ok || p.restarts != h.stored.restarts {
			return position{}, false
		}
		return p.position, true
	}
	p, ok, _ := h.judge(id)
	return p, ok
}

// judge parses an id and reports whether it is of this hub's logs. sure is false if the
// store has to be asked. A made-up id is recognized without that, by its seal.
func (h *Hub) judge(id string) (p position, ok, sure bool) {
	body, seal, sealed := id, "", false
	if h.seal != nil {
		body, seal, sealed = unseal(id)
	}
	p, ok = parseID(body, h.generation)
	switch {
	case !ok, sealed && !h.seal.right(seal, p):
		return position{}, false, true
	case h.opts.Store == nil:
		ok, sure = p.seq <= h.seq && p.at == 0 && sealed == (h.seal != nil), true
	case p.seq == 0:
		ok, sure = p.at == 0, true
	case p.seq <= h.seq:
		ok, sure = h.stored.times.matches(p.seq, p.at)
	}
	if !sure && h.seal != nil && !sealed && p.seq > h.opts.Unsealed { // from before ids had seals, or made up
		return position{}, false, true
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
	var at places
	if id := h.resumeOf(m); id != "" {
		if err := h.resolveResume(ctx, m, id); err != nil {
			return nil, err
		}
	}
	if from != FromDefault && from != FromEarliest && from != FromLatest {
		p, err := h.resolve(ctx, from)
		if err != nil {
			return nil, err
		}
		at = places{from: p}
	}
	return at, nil
}

// resolveResume looks up the id that a client resumes from, once. It does not wait: CatchUp
// has done so.
func (h *Hub) resolveResume(ctx context.Context, m *Member, id string) error {
	if h.resolved(m) {
		return nil
	}
	p, err := h.lookUp(ctx, id)
	switch {
	case err == errBehind:
		return ErrUnavailable
	case err != nil:
		return err
	}
	h.keepPlaced(m, p)
	return nil
}

func (h *Hub) keepPlaced(m *Member, p placed) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if m.history != nil {
		m.history.at, m.history.known = p, true
	}
}

func (h *Hub) resolved(m *Member) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return m.history == nil || m.history.known
}

// CatchUp waits until this node has applied the event of a client's last event id, which
// another node has sent: 2 s at most, for 1,024 clients at most. It is called before the
// client holds a slot that others wait for. If it does not succeed, an attach returns
// ErrUnavailable.
func (h *Hub) CatchUp(ctx context.Context, m *Member) {
	if h.opts.Store == nil {
		return
	}
	h.mu.Lock()
	id := m.resume()
	if id == "" {
		h.mu.Unlock()
		return
	}
	p, ok, sure := h.judge(id)
	ahead := ok && !sure && p.seq > h.seq
	h.mu.Unlock()
	if !ahead {
		return
	}
	wait, enough := context.WithTimeout(ctx, maxAheadTime)
	defer enough()
	select {
	case h.lookups <- struct{}{}:
	case <-wait.Done():
		return
	}
	found, err := h.lookUp(ctx, id)
	<-h.lookups
	if err == errBehind {
		found, err = h.waitFor(wait, id, found)
	}
	if err == nil {
		h.keepPlaced(m, found)
	}
}

// resolve is lookUp, but waits for an event that was not applied here yet.
func (h *Hub) resolve(ctx context.Context, id string) (placed, error) {
	p, err := h.lookUp(ctx, id)
	if err != errBehind {
		return p, err
	}
	return h.waitFor(ctx, id, p)
}

// waitFor waits until the event of an id was applied, and looks it up.
func (h *Hub) waitFor(ctx context.Context, id string, p placed) (placed, error) {
	select {
	case h.ahead <- struct{}{}:
		defer func() { <-h.ahead }()
	default:
		return placed{}, ErrUnavailable
	}
	wait, enough := context.WithTimeout(ctx, maxAheadTime)
	defer enough()
	if !h.await(wait, p.seq) {
		return placed{}, ErrUnavailable
	}
	p, err := h.lookUp(ctx, id)
	if err == errBehind { // the store went back meanwhile
		err = ErrUnavailable
	}
	return p, err
}

// errBehind is ErrUnavailable for an id whose event is in the store and was not applied
// here yet.
var errBehind = &wire.Error{Status: ErrUnavailable.Status, Code: ErrUnavailable.Code,
	Message: ErrUnavailable.Message, RetryAfter: ErrUnavailable.RetryAfter}

// lookUp parses an id, and asks the store if necessary. It returns errBehind if this node is
// behind.
func (h *Hub) lookUp(ctx context.Context, id string) (placed, error) {
	h.mu.Lock()
	p, ok, sure := h.judge(id)
	found := placed{p, ok, h.stored.restarts}
	gone := !sure && p.seq > h.seq && h.emptyFrom.seq > h.seq && h.emptyFrom.has(p.seq)
	h.mu.Unlock()
	switch {
	case sure:
		return found, nil
	case gone:
		return placed{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, maxFetchTime)
	defer cancel()
	at, exact, err := h.opts.Store.Time(ctx, p.seq)
	h.mu.Lock()
	ahead := p.seq > h.seq
	if err == nil && at == 0 && ahead && (p.seq < h.emptyFrom.seq || !h.emptyFrom.has(p.seq)) {
		h.emptyFrom = emptyFrom{p.seq, time.Now()}
	}
	h.mu.Unlock()
	switch {
	case err != nil:
		return placed{}, unavailable(err)
	case exact && at != p.at, at != 0 && at < p.at: // another event has the number
		return placed{}, nil
	case at == 0 && ahead: // there is no such event: the store has gone back, or the id is of a backup's future
		return placed{}, nil
	case ahead:
		return found, errBehind
	}
	return found, nil
}
