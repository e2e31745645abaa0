package cluster

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"sluice/internal/wire"
)

const (
	ledgerFirstPause = 100 * time.Millisecond
	ledgerMaxPause   = 500 * time.Millisecond
	// ledgerProbes is how many changes are tried at once while the engine is away.
	ledgerProbes = 2
	// enrolment is how long a node that has been put on the roster counts as being
	// on it. It is far below DrainedFor, so that a record is never written of a
	// node that is not on the roster.
	enrolment = time.Minute
)

// LedgerOptions configure a Ledger. The zero value of a field stands for its
// default.
type LedgerOptions struct {
	MaxEnters    int           // default 16384 records waiting to be written; Enter waits for room
	MaxStrikes   int           // default 1<<20 records waiting to be taken out; more stay
	Writers      int           // default 32 changes being made at once
	WriteTimeout time.Duration // default 5s: of one change
	StopPatience time.Duration // default 5s: for what waits when Run ends

	Heirs      int           // default 16 calls of heir at once
	Estates    int           // default 64 dead nodes dealt with at once
	SweepEvery time.Duration // default 10s: how often the roster is looked through, besides at once
	FirstPause time.Duration // default 100ms: after heir has failed; doubles
	MaxPause   time.Duration // default 10s
	// DrainedFor is how long a dead node's records are looked for after the last
	// has been dealt with. Default 15m: longer than a server keeps the connection
	// of a process that has stopped answering.
	DrainedFor time.Duration
}

func (o LedgerOptions) withDefaults() LedgerOptions {
	o.MaxEnters = cmp.Or(o.MaxEnters, 16384)
	o.MaxStrikes = cmp.Or(o.MaxStrikes, 1<<20)
	o.Writers = cmp.Or(o.Writers, 32)
	o.WriteTimeout = cmp.Or(o.WriteTimeout, 5*time.Second)
	o.StopPatience = cmp.Or(o.StopPatience, 5*time.Second)
	o.Heirs = cmp.Or(o.Heirs, 16)
	o.Estates = cmp.Or(o.Estates, 64)
	o.SweepEvery = cmp.Or(o.SweepEvery, 10*time.Second)
	o.FirstPause = cmp.Or(o.FirstPause, 100*time.Millisecond)
	o.MaxPause = cmp.Or(o.MaxPause, 10*time.Second)
	o.DrainedFor = max(cmp.Or(o.DrainedFor, 15*time.Minute).Round(time.Second), time.Second)
	return o
}

// Ledger keeps a record of each stream outside of the process, and deals with
// the records of nodes that have died. NewLedger makes it; all methods may be
// called concurrently, Run once. It satisfies the gateway's Ledger.
//
// A record is a message of the stream ST, on a subject of its own. A node whose
// records there may be is on the roster, which is in the nodes' bucket.
type Ledger struct {
	e     *Engine
	st    jetstream.Stream
	nodes *Nodes
	opts  LedgerOptions
	log   *slog.Logger
	queue *ledgerQueue
	heirs chan struct{} // one for each call of heir
	full  atomic.Bool   // it has been logged that there is no room

	mu       sync.Mutex
	enrolled map[string]time.Time // guarded by mu: nodes on the roster, since when for sure
	estates  map[string]bool      // guarded by mu: dead nodes being dealt with here

	entered, struck, inherited, heirFailures, droppedEnters, droppedStrikes, unreadable atomic.Uint64
}

// LedgerStats count what a Ledger has done since it was made.
type LedgerStats struct {
	Entered        uint64 // records written
	Struck         uint64 // records taken out
	Inherited      uint64 // records of dead nodes that heir has dealt with
	HeirFailures   uint64 // and calls of heir that failed; they are made again
	DroppedEnters  uint64 // records never written: no room, or refused by the engine
	DroppedStrikes uint64 // records never taken out: no room, or refused by the engine
	Unreadable     uint64 // records of dead nodes that could not be read and were taken out
	WaitingEnters  int
	WaitingStrikes int
	Estates        int // dead nodes being dealt with here now
}

// NewLedger makes a ledger. The stream has the subjects <prefix>.st.> with one
// message per subject and no limit of age.
func NewLedger(e *Engine, st jetstream.Stream, nodes *Nodes, opts LedgerOptions) *Ledger {
	opts = opts.withDefaults()
	return &Ledger{
		e: e, st: st, nodes: nodes, opts: opts, log: e.log.With("component", "ledger"),
		queue: newLedgerQueue(opts.MaxEnters), heirs: make(chan struct{}, opts.Heirs),
		enrolled: map[string]time.Time{}, estates: map[string]bool{},
	}
}

// Steady is false while this node is out of touch with the others, which may soon
// be telling of its streams' ends.
func (l *Ledger) Steady() bool { return l.nodes.steady() }

// Enter records a stream. It returns when the record is durable, or when ctx
// ends; it is written later then, unless there was no room for it to wait.
func (l *Ledger) Enter(ctx context.Context, entry wire.LedgerEntry) {
	record, err := json.Marshal(entry)
	if err != nil { // the request is not JSON
		l.dropEnter("not JSON", err)
		return
	}
	for {
		done, queued := l.queue.enter(ledgerKeyOf(entry.Node, entry.Token), record)
		select {
		case <-done:
			if queued {
				return
			}
		case <-ctx.Done():
			if !queued {
				l.dropEnter("no room", ctx.Err())
			}
			return
		}
	}
}

// Strike takes a record out in the background. It does not wait. A record that
// has not been written yet will not be.
func (l *Ledger) Strike(node, token string) {
	if l.queue.strike(ledgerKeyOf(node, token), l.opts.MaxStrikes) == nil {
		l.droppedStrikes.Add(1)
		l.logFull("records of ended streams stay: too many wait to be taken out, and the backend will be told of their ends again", nil)
	}
}

func (l *Ledger) dropEnter(why string, err error) {
	l.droppedEnters.Add(1)
	l.logFull("streams are not recorded ("+why+"): if this node dies, the backend will not be told of their ends", err)
}

// logFull logs once until all that waits has been done.
func (l *Ledger) logFull(message string, err error) {
	if !l.full.Swap(true) {
		enters, strikes := l.queue.waiting()
		l.log.Error(message, "waiting_enters", enters, "waiting_strikes", strikes, "error", err)
	}
}

// Stats tells what has been done so far.
func (l *Ledger) Stats() LedgerStats {
	l.mu.Lock()
	estates := len(l.estates)
	l.mu.Unlock()
	enters, strikes := l.queue.waiting()
	return LedgerStats{
		Entered: l.entered.Load(), Struck: l.struck.Load(), Inherited: l.inherited.Load(), HeirFailures: l.heirFailures.Load(),
		DroppedEnters: l.droppedEnters.Load(), DroppedStrikes: l.droppedStrikes.Load(), Unreadable: l.unreadable.Load(),
		WaitingEnters: enters, WaitingStrikes: strikes, Estates: estates,
	}
}

// Run writes what is entered and struck, and has heir deal with each record of
// nodes that have died, until ctx ends; then it goes on writing what waits, for
// StopPatience at most. It is to end after the streams and before the node's own
// [Nodes.Run]: what is on record then is for the heirs.
//
// heir is called concurrently, and bounds its time itself. It returns nil when the record has been dealt
// with, for good: it is taken out then. After an error it is called again later.
// Its context ends when this node has to stop because another one may begin; a
// record can be given to heir twice if a node dies, or loses the engine, between
// the call and the taking out.
func (l *Ledger) Run(ctx context.Context, heir func(context.Context, wire.LedgerEntry) error) error {
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var writing sync.WaitGroup
	due := make(chan *ledgerChange)
	writing.Go(func() { l.queue.dispatch(work, due) })
	for range l.opts.Writers {
		writing.Go(func() {
			for c := range due {
				l.write(work, c)
			}
		})
	}
	l.sweep(ctx, heir)
	select {
	case <-l.queue.hurry():
	case <-time.After(l.opts.StopPatience):
	}
	stop()
	writing.Wait()
	if enters, strikes := l.queue.waiting(); enters+strikes > 0 {
		l.log.Error("stopped with an unfinished ledger: the engine does not answer", "enters", enters, "strikes", strikes)
	}
	return nil
}

// write makes one change.
func (l *Ledger) write(ctx context.Context, c *ledgerChange) {
	ctx, cancel := context.WithTimeout(ctx, l.opts.WriteTimeout)
	defer cancel()
	var err error
	if c.record == nil {
		err = l.st.Purge(ctx, jetstream.WithPurgeSubject(l.subject(c.key)))
	} else if err = l.enrol(ctx, c.key.node); err == nil {
		_, err = l.e.js.Publish(ctx, l.subject(c.key), c.record)
	}
	again := err != nil && !finalRefusal(err)
	switch {
	case err == nil && c.record == nil:
		l.struck.Add(1)
	case err == nil:
		l.entered.Add(1)
	case again:
		l.log.Debug("change of the ledger is made again", "error", err)
	case c.record == nil:
		l.droppedStrikes.Add(1)
		l.log.Error("a record cannot be taken out", "node", c.key.node, "error", err)
	default:
		l.droppedEnters.Add(1)
		l.log.Error("a stream cannot be recorded", "node", c.key.node, "error", err)
	}
	l.queue.settle(c, again, err != nil && !again)
	if enters, strikes := l.queue.waiting(); enters+strikes == 0 {
		l.full.Store(false)
	}
}

// finalRefusal tells a change that will never be possible from an engine that is away.
func finalRefusal(err error) bool {
	if errors.Is(err, nats.ErrMaxPayload) {
		return true
	}
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && api.Code == http.StatusBadRequest && !wrongRevision(err)
}

var errNotJoined = errors.New("the node has no lease yet")

// enrol puts a node on the roster, unless it was put there a short while ago. It
// is on it before a record is written, also if it is a name that this process
// has given up since and others have dealt with: they look again then.
func (l *Ledger) enrol(ctx context.Context, node string) error {
	now := time.Now()
	l.mu.Lock()
	since, ok := l.enrolled[node]
	l.mu.Unlock()
	// Both clocks: the monotonic one stands still while the machine is suspended.
	if ok && now.Sub(since) < enrolment && now.Round(0).Sub(since.Round(0)).Abs() < enrolment {
		return nil
	}
	if !l.nodes.mayRecord(node) {
		return errNotJoined
	}
	if _, err := l.nodes.bucket.kv.PutString(ctx, rosterKeys+node, rosterLive); err != nil {
		return fmt.Errorf("enter node %s in the roster: %w", node, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, since := range l.enrolled {
		if now.Sub(since) > enrolment {
			delete(l.enrolled, name)
		}
	}
	l.enrolled[node] = now
	return nil
}

func ledgerKeyOf(node, token string) ledgerKey {
	sum := sha256.Sum256([]byte(token))
	return ledgerKey{node: node, hash: [16]byte(sum[:16])}
}

// subject is where a record is. A token is never part of one: subjects show in
// the server's monitoring.
func (l *Ledger) subject(key ledgerKey) string {
	return l.records(key.node) + hex.EncodeToString(key.hash[:])
}

// records is the beginning of the subjects of a node's records.
func (l *Ledger) records(node string) string { return l.e.subject("st." + node + ".") }

// ledgerPause is a pause that doubles with each failure up to longest, with jitter.
func ledgerPause(failures int, first, longest time.Duration) time.Duration {
	d := min(longest, first<<min(failures-1, 20))
	return d/2 + rand.N(d/2+1)
}
