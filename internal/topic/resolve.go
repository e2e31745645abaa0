package topic

import (
	"context"
	"time"

	"tidegate/internal/wire"
)

const (
	// maxAheadTime bounds how long an id that this node has not come to yet is
	// waited for: the client has it from another node.
	maxAheadTime = 2 * time.Second
	// maxAhead is how many wait for that at once.
	maxAhead = 1024
	// maxLookupsAhead is for how many of them the store is asked at once.
	maxLookupsAhead = 16
	// noneLife is for how long it is taken for granted that the store has nothing
	// from a position on, when it has just said so: of many clients that come after a
	// backup was restored few are looked up.
	noneLife = 200 * time.Millisecond
)

// none is the lowest position from which on the store had nothing, at a time.
type emptyFrom struct {
	seq uint64 // 0: nothing is known
	at  time.Time
}

// has tells whether that is still so.
func (n emptyFrom) has(seq uint64) bool {
	return n.seq > 0 && seq >= n.seq && time.Since(n.at) < noneLife
}

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
		if !p.ok || p.restarts != h.stored.restarts {
			return position{}, false
		}
		return p.position, true
	}
	p, ok, _ := h.judge(id)
	return p, ok
}

// judge reads an id and tells whether it is of this hub's logs. sure is false if
// that has to be looked up. Who made an id up is found out here, without a look.
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
	if !sure && h.seal != nil && !sealed && p.seq > h.opts.Unsealed { // of before there were seals, or made up
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

// resolveResume looks up the id that a client came with, once. What there was to
// wait for, CatchUp has waited for.
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

// CatchUp waits, for a moment and not for everybody, until this node has been given
// the event that a client was sent by another one last. It is called before others
// wait for the client. What it does not find out, an attach answers ErrUnavailable to.
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

// resolve is lookUp that waits for an event which is on its way to this node.
func (h *Hub) resolve(ctx context.Context, id string) (placed, error) {
	p, err := h.lookUp(ctx, id)
	if err != errBehind {
		return p, err
	}
	return h.waitFor(ctx, id, p)
}

// waitFor waits until this node has been given the event of an id, and reads it.
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

// errBehind is ErrUnavailable for an id whose event is in the store, and has not
// come to this node.
var errBehind = &wire.Error{Status: ErrUnavailable.Status, Code: ErrUnavailable.Code,
	Message: ErrUnavailable.Message, RetryAfter: ErrUnavailable.RetryAfter}

// lookUp reads an id, and asks the store where it must. It returns errBehind if this
// node lags behind.
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
