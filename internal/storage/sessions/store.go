// Package sessions keeps a record of each open stream outside of the process. When a
// node dies another one takes them over: it notifies the backend that the streams have
// ended.
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
	// probes is how many changes of a kind are tried at once while the engine is away.
	probes = 2
	// registrationLife is how long a node that has been registered counts as registered.
	// It is far below DrainedFor, so that no record is written of a node whose
	// registration may have expired.
	registrationLife = time.Minute
	// warnEvery is how often the log says that records are not written, or not deleted,
	// while that goes on.
	warnEvery = time.Minute
)

// Options configure a [Store]. The zero value of a field stands for its default.
type Options struct {
	MaxPuts      int           // default 16384 records waiting to be written; Put waits for room
	MaxDeletes   int           // default 1<<20 records waiting to be deleted; more stay on record
	Writers      int           // default 32 changes being made at once
	WriteTimeout time.Duration // default 5s: of one change
	StopPatience time.Duration // default 5s: for what waits when Run ends

	Calls      int           // default 16 calls of takeOver at once
	Failovers  int           // default 64 dead nodes whose sessions are taken over at once
	CheckEvery time.Duration // default 10s: how often Run looks for dead nodes, besides at once
	// ScanEvery is how often one of all nodes looks through the records for nodes that
	// are not registered. Default 5m.
	ScanEvery  time.Duration
	FirstPause time.Duration // default 100ms: after takeOver has failed; doubles
	MaxPause   time.Duration // default 10s
	// DrainedFor is how long this process goes on looking for records of a dead node
	// after it has taken over the last one. Default 15m: longer than a server keeps the
	// connection of a process that has stopped answering.
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

// Store keeps a record of each open stream outside of the process, and takes over the
// records of nodes that have died. [Open] makes it. All methods may be called
// concurrently, Run once. It satisfies the gateway's SessionStore.
//
// A record is a message of the stream ST, on a subject of its own. A node is registered
// in the nodes' bucket before its first record is written, so that others find it.
type Store struct {
	e     *nats.Engine
	st    jetstream.Stream
	nodes *membership.Nodes
	opts  Options
	log   *slog.Logger
	queue *queue
	calls chan struct{} // one for each call of takeOver

	putLog, deleteLog warning

	mu         sync.Mutex
	registered map[string]time.Time // guarded by mu: when a node is known to have been registered
	failovers  map[string]bool      // guarded by mu: dead nodes whose sessions this process takes over

	written, deleted, takenOver, takeOverFailures, droppedPuts, droppedDeletes, unreadable atomic.Uint64
}

// Stats count what a Store has done since it was made.
type Stats struct {
	Written          uint64 // records
	Deleted          uint64 // records
	TakenOver        uint64 // records of dead nodes
	TakeOverFailures uint64 // calls of takeOver that failed; they are made again
	DroppedPuts      uint64 // records never written: no room here or in the engine, or refused by it
	DroppedDeletes   uint64 // records never deleted: no room here, or refused by the engine
	Unreadable       uint64 // records of dead nodes that could not be read and were deleted
	WaitingPuts      int
	WaitingDeletes   int
	Failovers        int // dead nodes whose sessions this process takes over now
}

// newStore makes a store. The stream has the subjects <prefix>.st.> with one message per
// subject and no limit of age.
func newStore(e *nats.Engine, st jetstream.Stream, nodes *membership.Nodes, opts Options) *Store {
	opts = opts.withDefaults()
	return &Store{
		e: e, st: st, nodes: nodes, opts: opts, log: e.Log().With("component", "sessions"),
		queue: newQueue(opts.MaxPuts), calls: make(chan struct{}, opts.Calls),
		registered: map[string]time.Time{}, failovers: map[string]bool{},
	}
}

// Open makes the stream of records unless it is there, and a store on it. ctx bounds
// that. The error is one of the engine.
func Open(ctx context.Context, e *nats.Engine, nodes *membership.Nodes, opts Options) (*Store, error) {
	st, err := e.SessionStream(ctx)
	if err != nil {
		return nil, err
	}
	return newStore(e, st, nodes, opts), nil
}

// Ready is false while this node is out of touch with the others, which may soon report
// its streams' ends. It does not wait.
func (s *Store) Ready() bool { return s.nodes.Steady() }

// Put records a stream. It returns when the record is durable, or when the engine has
// refused it for want of room. If ctx ends first the record is written later, unless
// there was no room for it to wait.
func (s *Store) Put(ctx context.Context, r wire.SessionRecord) {
	text, err := json.Marshal(r)
	if err != nil { // the request is not JSON
		s.dropPut("not JSON", err)
		return
	}
	for {
		done, queued := s.queue.put(keyOf(r.Node, r.Token), text)
		select {
		case <-done:
			if queued {
				return
			}
		case <-ctx.Done():
			if !queued {
				s.dropPut("too many wait", ctx.Err())
			}
			return
		}
	}
}

// Delete deletes a record in the background. It does not wait. A record that has not
// been written yet will not be.
func (s *Store) Delete(node, token string) {
	if s.queue.delete(keyOf(node, token), s.opts.MaxDeletes) == nil {
		s.dropDelete("too many wait", nil)
	}
}

func (s *Store) dropPut(why string, err error) {
	dropped := s.droppedPuts.Add(1)
	s.warn(&s.putLog, "sessions are not recorded ("+why+"): if this node dies, the backend is not notified of their ends", dropped, err)
}

func (s *Store) dropDelete(why string, err error) {
	dropped := s.droppedDeletes.Add(1)
	s.warn(&s.deleteLog, "records of ended sessions stay ("+why+"): the backend will be notified of their ends again", dropped, err)
}

// warning is logged when it is due first, and then once in warnEvery: every stream may
// have a reason for it.
type warning struct {
	mu    sync.Mutex
	until time.Time // guarded by mu: not again before this
}

func (w *warning) due() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if now.Before(w.until) {
		return false
	}
	w.until = now.Add(warnEvery)
	return true
}

func (s *Store) warn(w *warning, message string, dropped uint64, err error) {
	if w.due() {
		puts, deletes := s.queue.waiting()
		s.log.Error(message, "dropped", dropped, "waiting_puts", puts, "waiting_deletes", deletes, "error", err)
	}
}

// Stats gives the counts so far.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	failovers := len(s.failovers)
	s.mu.Unlock()
	puts, deletes := s.queue.waiting()
	return Stats{
		Written: s.written.Load(), Deleted: s.deleted.Load(), TakenOver: s.takenOver.Load(), TakeOverFailures: s.takeOverFailures.Load(),
		DroppedPuts: s.droppedPuts.Load(), DroppedDeletes: s.droppedDeletes.Load(), Unreadable: s.unreadable.Load(),
		WaitingPuts: puts, WaitingDeletes: deletes, Failovers: failovers,
	}
}

// Run writes and deletes records, and has takeOver deal with each record of dead nodes, until
// ctx ends. Then it finishes what waits, for StopPatience at most. It has to end after the
// streams and before [membership.Nodes.Run]: what is on record then is for other nodes.
//
// takeOver is called concurrently, and bounds its time itself. It returns nil when it has
// dealt with the record for good: the record is deleted then. After an error it is
// called again later. Its context ends when this node has to stop because another one
// may begin. It can get a record twice if a node dies, or loses the engine, between the
// call and the deletion.
func (s *Store) Run(ctx context.Context, takeOver func(context.Context, wire.SessionRecord) error) error {
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var writing sync.WaitGroup
	due := make(chan *change)
	writing.Go(func() { s.queue.dispatch(work, due) })
	for range s.opts.Writers {
		writing.Go(func() {
			for c := range due {
				s.write(work, c)
			}
		})
	}
	s.failOver(ctx, takeOver)
	select {
	case <-s.queue.hurry():
	case <-time.After(s.opts.StopPatience):
	}
	stop()
	writing.Wait()
	if puts, deletes := s.queue.waiting(); puts+deletes > 0 {
		s.log.Error("stopped before all session records were written and deleted: the engine does not answer", "puts", puts, "deletes", deletes)
	}
	return nil
}

func keyOf(node, token string) recordKey {
	sum := sha256.Sum256([]byte(token))
	return recordKey{node: node, hash: [16]byte(sum[:16])}
}

// subject is where a record is. It has no token in it: subjects show in the server's
// monitoring.
func (s *Store) subject(key recordKey) string {
	return s.records(key.node) + hex.EncodeToString(key.hash[:])
}

// records is the beginning of the subjects of a node's records.
func (s *Store) records(node string) string { return s.e.Subject("st." + node + ".") }
