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

// heirFunc deals with the record of a dead node's stream.
type takeOverFunc func(context.Context, wire.SessionRecord) error

// sweep looks for dead nodes when something has changed, and every so often,
// until ctx ends.
func (l *Store) failOver(ctx context.Context, heir takeOverFunc) {
	var work sync.WaitGroup
	defer work.Wait()
	work.Go(func() { l.scans(ctx) })
	tick := time.NewTicker(l.opts.CheckEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-l.nodes.Changed():
			l.queue.resume()
		}
		if !l.nodes.MayRecord(l.nodes.Node()) {
			continue // who has no lease is in no position to call others dead
		}
		for _, dead := range l.nodes.Dead() {
			if !l.begin(dead.Name) {
				continue
			}
			work.Go(func() {
				defer l.finish(dead.Name)
				s := &failover{l: l, dead: dead, takeOver: heir, taken: map[[16]byte]bool{}}
				if err := s.run(ctx); err != nil && ctx.Err() == nil {
					l.log.Warn("a dead node's streams are left for later", "node", dead.Name, "error", err)
				}
			})
		}
	}
}

// begin claims a dead node within this process.
func (l *Store) begin(node string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failovers[node] || len(l.failovers) >= l.opts.Failovers {
		return false
	}
	l.failovers[node] = true
	return true
}

func (l *Store) finish(node string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.failovers, node)
}

// estate is what a dead node has left, being dealt with by one heir.
type failover struct {
	l    *Store
	dead membership.DeadNode
	takeOver takeOverFunc
	from uint64 // where the next pass begins

	mu   sync.Mutex
	taken map[[16]byte]bool // guarded by mu: what heir has dealt with, whether or not it is out
}

// settle takes over all sessions of a dead node. It returns nil if there is nothing to
// do, or somebody else does it.
func (s *failover) run(ctx context.Context) error {
	if s.dead.Drained {
		// It was dealt with. Is there something that arrived after that?
		if _, err := s.next(ctx, 1); errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
	}
	return s.l.nodes.TakeOver(ctx, s.dead, s.work)
}

// work makes passes until there is nothing left.
func (s *failover) work(ctx context.Context) error {
	s.l.log.InfoContext(ctx, "dealing with the streams of a dead node", "node", s.dead.Name)
	for misses := 0; ; {
		whole := s.from <= 1
		p, err := s.pass(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err == nil && whole && p.read == 0 {
			done, err := s.finish(ctx)
			if err != nil || done {
				return err
			}
			continue // the dead has put itself on the roster again
		}
		if err == nil && p.failed.Load() == 0 {
			misses = 0
			continue
		}
		if p.taken.Load() > 0 {
			misses = 0
		}
		misses++
		s.l.log.Debug("dead node's streams are tried again", "node", s.dead.Name, "failed", p.failed.Load(), "error", err)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(backoff.Exponential(misses, s.l.opts.FirstPause, s.l.opts.MaxPause)):
		}
	}
}

// estatePass is one reading of a dead node's records.
type pass struct {
	read          int
	taken, failed atomic.Int64
	inARow        atomic.Int64 // failures
}

// pass has heir deal with each record from s.from on. It ends early when heir
// fails again and again; the next one begins there, so that records that always
// fail do not hide those behind them.
func (s *failover) pass(ctx context.Context) (*pass, error) {
	p := &pass{}
	var calls sync.WaitGroup
	defer calls.Wait()
	at := max(s.from, 1)
	s.from = 1
	for {
		m, err := s.next(ctx, at)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return p, nil
		}
		if err != nil {
			s.from = at
			return p, fmt.Errorf("read records of node %s: %w", s.dead.Name, err)
		}
		p.read++
		at = m.Sequence + 1
		select {
		case s.l.calls <- struct{}{}:
		case <-ctx.Done():
			return p, context.Cause(ctx)
		}
		calls.Go(func() {
			defer func() { <-s.l.calls }()
			s.takeOne(ctx, p, m)
		})
		if p.inARow.Load() >= int64(s.l.opts.Calls) {
			s.from = at
			return p, nil
		}
	}
}

// next reads the first record from a position on, or returns
// jetstream.ErrMsgNotFound.
func (s *failover) next(ctx context.Context, from uint64) (*jetstream.RawStreamMsg, error) {
	ctx, cancel := context.WithTimeout(ctx, s.l.opts.WriteTimeout)
	defer cancel()
	return s.l.st.GetMsg(ctx, from, jetstream.WithGetMsgSubject(s.l.records(s.dead.Name)+"*"))
}

// deal gives one record to heir, unless that has been done, and takes it out.
func (s *failover) takeOne(ctx context.Context, p *pass, m *jetstream.RawStreamMsg) {
	key, entry, err := s.parse(m)
	if err != nil {
		s.l.unreadable.Add(1)
		s.l.log.Error("a dead node's record cannot be read and is taken out", "node", s.dead.Name, "error", err)
		if err := s.l.st.DeleteMsg(ctx, m.Sequence); err != nil {
			p.failed.Add(1)
		}
		return
	}
	if s.isTaken(key) {
		p.failed.Add(1) // it should not have been there
	} else if err := s.takeOver(ctx, entry); err != nil {
		s.l.takeOverFailures.Add(1)
		p.failed.Add(1)
		p.inARow.Add(1)
		return
	} else {
		s.l.takenOver.Add(1)
		p.taken.Add(1)
		p.inARow.Store(0)
		s.setTaken(key)
	}
	// There is no need of a bound: these are as many as calls of heir.
	select {
	case <-s.l.queue.delete(key, math.MaxInt).done:
	case <-ctx.Done():
	}
}

func (s *failover) parse(m *jetstream.RawStreamMsg) (key recordKey, entry wire.SessionRecord, err error) {
	hash, err := hex.DecodeString(strings.TrimPrefix(m.Subject, s.l.records(s.dead.Name)))
	if err != nil {
		return key, entry, err
	}
	if len(hash) != len(key.hash) {
		return key, entry, errors.New("the subject does not end with a hash")
	}
	err = json.Unmarshal(m.Data, &entry)
	return recordKey{node: s.dead.Name, hash: [16]byte(hash)}, entry, err
}

func (s *failover) isTaken(key recordKey) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken[key.hash]
}

func (s *failover) setTaken(key recordKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken[key.hash] = true
}

// strikeOff takes a node off the roster, of which there are no records. It stays
// there as drained for a while, for records that were on their way. It reports
// false if the node has been put on the roster again in the meantime.
func (s *failover) finish(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, s.l.opts.WriteTimeout)
	defer cancel()
	done, err := s.l.nodes.MarkDrained(ctx, &s.dead, s.l.opts.DrainedFor)
	if done {
		s.l.log.InfoContext(ctx, "all streams of a dead node have been dealt with", "node", s.dead.Name)
	}
	return done, err
}
