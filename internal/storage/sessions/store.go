// Package sessions keeps a record of each open stream outside of the process. When a
// node dies another one finds its records and tells the backend that the streams have
// ended: failover.
package sessions

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/storage/membership"
	"tidegate/internal/storage/nats"
	"tidegate/internal/wire"
)

const (
	firstPause = 100 * time.Millisecond
	maxPause   = 500 * time.Millisecond
	// ledgerProbes is how many changes of a kind are tried at once while the engine
	// is away.
	probes = 2
	// enrolment is how long a node that has been put on the roster counts as being
	// on it. It is far below DrainedFor, so that a record is never written of a
	// node that is not on the roster.
	registrationLife = time.Minute
	// complainEvery is how often the log says that records are not written, or not
	// taken out, while that goes on.
	warnEvery = time.Minute
)

// LedgerOptions configure a Ledger. The zero value of a field stands for its
// default.
type Options struct {
	MaxPuts    int           // default 16384 records waiting to be written; Enter waits for room
	MaxDeletes   int           // default 1<<20 records waiting to be taken out; more stay
	Writers      int           // default 32 changes being made at once
	WriteTimeout time.Duration // default 5s: of one change
	StopPatience time.Duration // default 5s: for what waits when Run ends

	Calls      int           // default 16 calls of heir at once
	Failovers    int           // default 64 dead nodes dealt with at once
	CheckEvery time.Duration // default 10s: how often the roster is looked through, besides at once
	// SurveyEvery is how often one of all nodes looks through the records for nodes
	// that the roster does not have. Default 5m.
	ScanEvery time.Duration
	FirstPause  time.Duration // default 100ms: after heir has failed; doubles
	MaxPause    time.Duration // default 10s
	// DrainedFor is how long a dead node's records are looked for after the last
	// has been dealt with. Default 15m: longer than a server keeps the connection
	// of a process that has stopped answering.
	DrainedFor time.Duration
}

func (o Options) withDefaults() Options {
	o.MaxPuts = cmp.Or(o.MaxPuts, 16384)
	o.MaxDeletes = cmp.Or(o.MaxDeletes, 1<<20)
	o.Writers = cmp.Or(o.Writers, 32)
	o.WriteTimeout = cmp.Or(o.WriteTimeout, 5*time.Second)
	o.StopPatience = cmp.Or(o.StopPatience, 5*time.Second)
	o.Calls = cmp.Or(o.Calls, 16)
	o.Failovers = cmp.Or(o.Failovers, 64)
	o.CheckEvery = cmp.Or(o.CheckEvery, 10*time.Second)
	o.ScanEvery = cmp.Or(o.ScanEvery, 5*time.Minute)
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
type Store struct {
	e     *nats.Engine
	st    jetstream.Stream
	nodes *membership.Nodes
	opts  Options
	log   *slog.Logger
	queue *queue
	calls chan struct{} // one for each call of heir

	putLog, deleteLog warning

	mu       sync.Mutex
	registered map[string]time.Time // guarded by mu: nodes on the roster, since when for sure
	failovers  map[string]bool      // guarded by mu: dead nodes being dealt with here

	written, deleted, takenOver, takeOverFailures, droppedPuts, droppedDeletes, unreadable atomic.Uint64
}

// LedgerStats count what a Ledger has done since it was made.
type Stats struct {
	Written        uint64 // records written
	Deleted         uint64 // records taken out
	TakenOver      uint64 // records of dead nodes that heir has dealt with
	TakeOverFailures   uint64 // and calls of heir that failed; they are made again
	DroppedPuts  uint64 // records never written: no room here or in the engine, or refused by it
	DroppedDeletes uint64 // records never taken out: no room here, or refused by the engine
	Unreadable     uint64 // records of dead nodes that could not be read and were taken out
	WaitingPuts  int
	WaitingDeletes int
	Failovers        int // dead nodes being dealt with here now
}

// NewLedger makes a ledger. The stream has the subjects <prefix>.st.> with one
// message per subject and no limit of age.
func newStore(e *nats.Engine, st jetstream.Stream, nodes *membership.Nodes, opts Options) *Store {
	opts = opts.withDefaults()
	return &Store{
		e: e, st: st, nodes: nodes, opts: opts, log: e.Log().With("component", "ledger"),
		queue: newQueue(opts.MaxPuts), calls: make(chan struct{}, opts.Calls),
		registered: map[string]time.Time{}, failovers: map[string]bool{},
	}
}

// OpenLedger makes the ledger of streams, unless it is there.
func Open(ctx context.Context, e *nats.Engine, nodes *membership.Nodes, opts Options) (*Store, error) {
	st, err := e.SessionStream(ctx)
	if err != nil {
		return nil, err
	}
	return newStore(e, st, nodes, opts), nil
}

// Ready is false while this node is out of touch with the others, which may soon
// be telling of its streams' ends.
func (l *Store) Ready() bool { return l.nodes.Steady() }

// Put records a stream. It returns when the record is durable, or when the
// engine refuses it, which it does for want of room; or when ctx ends: it is
// written later then, unless there was no room for it to wait.
func (l *Store) Put(ctx context.Context, entry wire.SessionRecord) {
	record, err := json.Marshal(entry)
	if err != nil { // the request is not JSON
		l.dropPut("not JSON", err)
		return
	}
	for {
		done, queued := l.queue.put(keyOf(entry.Node, entry.Token), record)
		select {
		case <-done:
			if queued {
				return
			}
		case <-ctx.Done():
			if !queued {
				l.dropPut("too many wait", ctx.Err())
			}
			return
		}
	}
}

// Delete takes a record out in the background. It does not wait. A record that
// has not been written yet will not be.
func (l *Store) Delete(node, token string) {
	if l.queue.delete(keyOf(node, token), l.opts.MaxDeletes) == nil {
		l.dropDelete("too many wait", nil)
	}
}

func (l *Store) dropPut(why string, err error) {
	dropped := l.droppedPuts.Add(1)
	l.warn(&l.putLog, "streams are not recorded ("+why+"): if this node dies, the backend will not be told of their ends", dropped, err)
}

func (l *Store) dropDelete(why string, err error) {
	dropped := l.droppedDeletes.Add(1)
	l.warn(&l.deleteLog, "records of ended streams stay ("+why+"): the backend will be told of their ends again", dropped, err)
}

// complaint is something that is logged when it happens first, and then once in
// complainEvery: every stream may have a reason for it.
type warning struct {
	mu    sync.Mutex
	until time.Time // guarded by mu: not again before this
}

func (c *warning) due() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if now.Before(c.until) {
		return false
	}
	c.until = now.Add(warnEvery)
	return true
}

func (l *Store) warn(c *warning, message string, dropped uint64, err error) {
	if c.due() {
		enters, strikes := l.queue.waiting()
		l.log.Error(message, "dropped", dropped, "waiting_enters", enters, "waiting_strikes", strikes, "error", err)
	}
}

// Stats tells what has been done so far.
func (l *Store) Stats() Stats {
	l.mu.Lock()
	estates := len(l.failovers)
	l.mu.Unlock()
	enters, strikes := l.queue.waiting()
	return Stats{
		Written: l.written.Load(), Deleted: l.deleted.Load(), TakenOver: l.takenOver.Load(), TakeOverFailures: l.takeOverFailures.Load(),
		DroppedPuts: l.droppedPuts.Load(), DroppedDeletes: l.droppedDeletes.Load(), Unreadable: l.unreadable.Load(),
		WaitingPuts: enters, WaitingDeletes: strikes, Failovers: estates,
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
func (l *Store) Run(ctx context.Context, heir func(context.Context, wire.SessionRecord) error) error {
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var writing sync.WaitGroup
	due := make(chan *change)
	writing.Go(func() { l.queue.dispatch(work, due) })
	for range l.opts.Writers {
		writing.Go(func() {
			for c := range due {
				l.write(work, c)
			}
		})
	}
	l.failOver(ctx, heir)
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

func keyOf(node, token string) recordKey {
	sum := sha256.Sum256([]byte(token))
	return recordKey{node: node, hash: [16]byte(sum[:16])}
}

// subject is where a record is. A token is never part of one: subjects show in
// the server's monitoring.
func (l *Store) subject(key recordKey) string {
	return l.records(key.node) + hex.EncodeToString(key.hash[:])
}

// records is the beginning of the subjects of a node's records.
func (l *Store) records(node string) string { return l.e.Subject("st." + node + ".") }
