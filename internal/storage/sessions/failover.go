package sessions

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/backoff"
	"tidegate/internal/storage/membership"
	"tidegate/internal/wire"
)

// takeOverFunc deals with the record of a dead node's stream.
type takeOverFunc func(context.Context, wire.SessionRecord) error

// failOver takes over the sessions of dead nodes until ctx ends. It looks for them when
// nodes have changed, and every CheckEvery.
func (s *Store) failOver(ctx context.Context, takeOver takeOverFunc) {
	var work sync.WaitGroup
	defer work.Wait()
	work.Go(func() { s.scans(ctx) })
	tick := time.NewTicker(s.opts.CheckEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-s.nodes.Changed():
			s.queue.resume()
		}
		if !s.nodes.MayRecord(s.nodes.Node()) {
			continue // without a lease, this node may be the one that is cut off
		}
		for _, dead := range s.nodes.Dead() {
			if !s.begin(dead.Name) {
				continue
			}
			work.Go(func() {
				defer s.finish(dead.Name)
				f := &failover{store: s, dead: dead, takeOver: takeOver, taken: map[[16]byte]bool{}}
				if err := f.run(ctx); err != nil && ctx.Err() == nil {
					s.log.Warn("not all sessions of a dead node were taken over: tried again", "node", dead.Name, "error", err)
				}
			})
		}
	}
}

// begin claims a dead node within this process. It reports false if another goroutine
// has it, or too many failovers are under way.
func (s *Store) begin(node string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failovers[node] || len(s.failovers) >= s.opts.Failovers {
		return false
	}
	s.failovers[node] = true
	return true
}

func (s *Store) finish(node string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.failovers, node)
}

// failover takes over the sessions of one dead node.
type failover struct {
	store    *Store
	dead     membership.DeadNode
	takeOver takeOverFunc
	from     uint64 // where the next pass begins

	mu    sync.Mutex
	taken map[[16]byte]bool // guarded by mu: records that takeOver has dealt with, deleted or not
}

// run takes over all sessions of a dead node. It returns nil if there are none, or another
// node takes them over.
func (f *failover) run(ctx context.Context) error {
	if f.dead.Drained {
		// All were taken over. Has a record arrived since?
		if _, err := f.next(ctx, 1); errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
	}
	return f.store.nodes.TakeOver(ctx, f.dead, f.work)
}

// work makes passes until there is nothing left.
func (f *failover) work(ctx context.Context) error {
	f.store.log.InfoContext(ctx, "taking over the sessions of a dead node", "node", f.dead.Name)
	for misses := 0; ; {
		whole := f.from <= 1
		p, err := f.pass(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err == nil && whole && p.read == 0 {
			done, err := f.finish(ctx)
			if err != nil || done {
				return err
			}
			continue // the node has registered again
		}
		if err == nil && p.failed.Load() == 0 {
			misses = 0
			continue
		}
		if p.taken.Load() > 0 {
			misses = 0
		}
		misses++
		f.store.log.Debug("sessions of a dead node are tried again", "node", f.dead.Name, "failed", p.failed.Load(), "error", err)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(backoff.Exponential(misses, f.store.opts.FirstPause, f.store.opts.MaxPause)):
		}
	}
}

// passResult is what one reading of a dead node's records has come to.
type passResult struct {
	read          int
	taken, failed atomic.Int64
	inARow        atomic.Int64 // failures
}

// pass has takeOver deal with each record from f.from on. It ends early when takeOver
// fails again and again. The next pass begins there, so that records that always fail do
// not hide those behind them.
func (f *failover) pass(ctx context.Context) (*passResult, error) {
	p := &passResult{}
	var calls sync.WaitGroup
	defer calls.Wait()
	at := max(f.from, 1)
	f.from = 1
	for {
		m, err := f.next(ctx, at)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return p, nil
		}
		if err != nil {
			f.from = at
			return p, fmt.Errorf("read records of node %s: %w", f.dead.Name, err)
		}
		p.read++
		at = m.Sequence + 1
		select {
		case f.store.calls <- struct{}{}:
		case <-ctx.Done():
			return p, context.Cause(ctx)
		}
		calls.Go(func() {
			defer func() { <-f.store.calls }()
			f.takeOne(ctx, p, m)
		})
		if p.inARow.Load() >= int64(f.store.opts.Calls) {
			f.from = at
			return p, nil
		}
	}
}

// next reads the first record from a position on, or returns
// jetstream.ErrMsgNotFound.
func (f *failover) next(ctx context.Context, from uint64) (*jetstream.RawStreamMsg, error) {
	ctx, cancel := context.WithTimeout(ctx, f.store.opts.WriteTimeout)
	defer cancel()
	return f.store.st.GetMsg(ctx, from, jetstream.WithGetMsgSubject(f.store.records(f.dead.Name)+"*"))
}

// takeOne has takeOver deal with one record, unless it has already, and deletes it.
func (f *failover) takeOne(ctx context.Context, p *passResult, m *jetstream.RawStreamMsg) {
	key, record, err := f.parse(m)
	if err != nil {
		f.store.unreadable.Add(1)
		f.store.log.Error("a session record of a dead node cannot be read and is deleted", "node", f.dead.Name, "error", err)
		if err := f.store.st.DeleteMsg(ctx, m.Sequence); err != nil {
			p.failed.Add(1)
		}
		return
	}
	if f.isTaken(key) {
		p.failed.Add(1) // it should not have been there
	} else if err := f.takeOver(ctx, record); err != nil {
		f.store.takeOverFailures.Add(1)
		p.failed.Add(1)
		p.inARow.Add(1)
		return
	} else {
		f.store.takenOver.Add(1)
		p.taken.Add(1)
		p.inARow.Store(0)
		f.setTaken(key)
	}
	// This needs no bound: there are as many as calls of takeOver.
	select {
	case <-f.store.queue.delete(key, math.MaxInt).done:
	case <-ctx.Done():
	}
}

func (f *failover) parse(m *jetstream.RawStreamMsg) (key recordKey, r wire.SessionRecord, err error) {
	hash, err := hex.DecodeString(strings.TrimPrefix(m.Subject, f.store.records(f.dead.Name)))
	if err != nil {
		return key, r, err
	}
	if len(hash) != len(key.hash) {
		return key, r, errors.New("the subject does not end with a hash")
	}
	err = json.Unmarshal(m.Data, &r)
	return recordKey{node: f.dead.Name, hash: [16]byte(hash)}, r, err
}

func (f *failover) isTaken(key recordKey) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.taken[key.hash]
}

func (f *failover) setTaken(key recordKey) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.taken[key.hash] = true
}

// finish notes that a node has no records any more. It reports false if the node has
// registered again in the meantime.
func (f *failover) finish(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, f.store.opts.WriteTimeout)
	defer cancel()
	done, err := f.store.nodes.MarkDrained(ctx, &f.dead, f.store.opts.DrainedFor)
	if done {
		f.store.log.InfoContext(ctx, "all sessions of a dead node are taken over", "node", f.dead.Name)
	}
	return done, err
}
