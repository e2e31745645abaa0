// Package topic keeps the ordered logs that streams read from.
//
// A topic is a named log of events. All topics of a [Hub] share one order. The position
// of an event in it is the event's id, so one id resumes every topic of a stream. Live
// delivery and replay are the same: a stream receives everything in its topics after its
// cursor, in order, once.
//
// Everything happens under one lock, which is held shortly. A publish gets its position,
// and enters its log and the queues of its streams, in one step; so does an attach with
// all that it replays. There is no I/O under the lock: a queue takes a pointer to an
// encoded frame, and the stream writes it later.
//
// With a [Store], logs are shared with other nodes and outlive the process. What is
// published goes to the store, and comes from there to the hubs of all nodes, in one
// order. A hub then holds the newer part of the logs, from which nearly everything is
// served. The rest is read back on demand.
package topic

import (
	"cmp"
	"crypto/rand"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tidegate/internal/stream"
	"tidegate/internal/wire"
)

// Replay is what a stream without a last event id receives of a topic's past.
type Replay string

// The kinds of replay.
const (
	ReplayAll  Replay = "all"  // all events; a reset first if some are no longer held
	ReplayHeld Replay = "held" // all events that are held, without a reset if some are not
	ReplayLast Replay = "last" // the newest event of all topics of the namespace that are attached together: as a value, it supersedes older ones
	ReplayNone Replay = "none"
)

// Retention is how much of a topic is kept. The first bound that is reached drops the
// oldest events.
type Retention struct {
	Events int           // 0: nothing is kept, live delivery only
	Bytes  int64         // of encoded events; 0: no bound of its own
	Age    time.Duration // 0: no bound
	Replay Replay
}

// Options configure a Hub.
type Options struct {
	Namespaces map[string]Retention // by the part of the name before the first colon
	Default    Retention            // of all other namespaces
	MaxTopics  int                  // default 1,000,000 with events, and as many with streams only; more are refused
	MaxBytes   int64                // of memory for all logs, default 256 MiB; the least recently used log drops events
	NoIDBlocks bool                 // streams get no blocks that have an id and no event
	MaxKeys    int                  // idempotency keys, default 1,000,000; beyond it the oldest are dropped early

	// Idle is the time without an append or a read back after which a topic without
	// streams leaves the memory of the hub; 0: never. It needs a Store.
	Idle time.Duration

	Store      Store  // keeps the logs; nil: they end with the process
	Generation string // of the Store's logs, the first part of every id; required with a Store
	// Unsealed is the position up to which ids may have no seal, in a log that was
	// taken over from an older version: these are looked up like sealed ones.
	Unsealed uint64
}

// Sink is a stream as the hub sees it. Its methods are called under the hub's lock, and
// must neither block nor call the hub. They add streams that are ready to be written to
// the batch, which the hub flushes after releasing its lock.
type Sink interface {
	Push(b *stream.Batch, f *stream.Frame) error
	PushAll(b *stream.Batch, items []stream.Item) error
	Merge(items []stream.Item) error // only before Open
	End(b *stream.Batch, why wire.Ending, farewell *stream.Frame) bool
	HasEvents() bool
}

// Bounds that need no configuration.
const (
	// MaxTopicsPerStream bounds what one stream may follow.
	MaxTopicsPerStream = wire.MaxTopics
	// maxTombstones bounds the tombstones of removed topics.
	maxTombstones = 65_536
	// maxEmpty bounds the topics that the store is known to have nothing of. Made-up
	// names must not take the places of the above.
	maxEmpty = 16_384
)

// Errors that the methods of Hub return. All are *wire.Error, to be answered with.
var (
	ErrClosed = wire.Errorf(http.StatusConflict, wire.CodeTopicClosed,
		"Topic is closed: its last event has been sent; use another topic, or delete this one first")
	ErrNotFound      = wire.Errorf(http.StatusNotFound, wire.CodeTopicNotFound, "Topic not found")
	ErrTooManyTopics = &wire.Error{Status: http.StatusServiceUnavailable, Code: wire.CodeTooManyTopics,
		Message: "Too many topics: raise --max-topics, or wait for unused ones to expire", RetryAfter: 5 * time.Second}
	ErrTooManyForStream = wire.ErrManyTopics
	ErrMismatch         = wire.Errorf(http.StatusUnprocessableEntity, wire.CodeIdempotency,
		"Idempotency key was used with other content within two minutes: nothing was stored; use another key")
	ErrGone = wire.Errorf(http.StatusNotFound, wire.CodeTokenNotFound, "Token not found")
	ErrFrom = wire.Errorf(http.StatusBadRequest, wire.CodeFrom,
		"Invalid request: from must be \"earliest\", \"latest\" or an event id")
	ErrUnavailable = &wire.Error{Status: http.StatusServiceUnavailable, Code: wire.CodeEngineUnavailable,
		Message: "Storage is not available: try again", RetryAfter: time.Second}
)

// Hub holds all topics of a process. All methods may be called concurrently.
type Hub struct {
	opts           Options       // set once
	lookups        chan struct{} // set once; size maxLookupsAhead: ids that are looked up in CatchUp at once
	ahead          chan struct{} // set once; size maxAhead: clients that wait for an event that another node has sent them
	attaching      chan struct{} // set once; size 2: limits how many attaches contend with publishers for mu
	pendingFanOuts atomic.Int64  // events that are being fanned out

	mu         sync.Mutex
	generation string  // guarded by mu, like all below
	secret     string  // of seals
	seal       *sealer // nil: ids have no seals
	fanOuts    fanOuts
	seq        uint64          // position of the newest event
	emptyFrom  emptyFrom       // where the store is known to end
	stored     storedState     // what is known of the store
	topics     map[string]*log // all that have events or streams
	recent     recency         // topics that hold events, least recently appended first
	expiry     expiries        // topics by when their oldest event expires
	bytes      int64           // of all logs
	events     int             // held in all logs
	keys       dedupKeys
	tombstones tombstones
	knownEmpty tombstones // topics that the store has nothing of
	nonEmpty   int        // topics that hold events
	dropped    map[DropReason]uint64
	published  uint64
	delivered  atomic.Uint64 // see Delivered
	resets     uint64
}

// New returns an empty hub.
func New(opts Options) *Hub {
	opts.MaxTopics = cmp.Or(opts.MaxTopics, 1_000_000)
	opts.MaxBytes = cmp.Or(opts.MaxBytes, 256<<20)
	opts.MaxKeys = cmp.Or(opts.MaxKeys, 1_000_000)
	h := &Hub{
		opts:       opts,
		lookups:    make(chan struct{}, maxLookupsAhead),
		ahead:      make(chan struct{}, maxAhead),
		attaching:  make(chan struct{}, 2),
		generation: cmp.Or(opts.Generation, NewGeneration()),
		topics:     make(map[string]*log),
		dropped:    make(map[DropReason]uint64),
	}
	if opts.Store == nil { // else the store's nodes have one in common
		h.secret = rand.Text()
		h.seal = newSealer(h.secret, h.generation)
	}
	h.fanOuts.init(&h.mu)
	h.stored.loads = make(map[string]*load)
	h.recent.init()
	h.keys.init(opts.MaxKeys)
	h.tombstones.init(maxTombstones)
	h.knownEmpty.init(maxEmpty)
	return h
}

// Durable reports whether the hub has a store: publishing waits for it then.
func (h *Hub) Durable() bool { return h.opts.Store != nil }

func (h *Hub) retention(topic string) Retention {
	if r, ok := h.opts.Namespaces[wire.Namespace(topic)]; ok {
		return r
	}
	return h.opts.Default
}

// open returns the log of a topic for a stream, and creates it if there is none. Topics
// with streams only have a bound of their own: made-up names must not prevent publishing
// to other topics.
func (h *Hub) open(topic string) (*log, error) {
	if l, ok := h.topics[topic]; ok {
		return l, nil
	}
	if len(h.topics)-h.nonEmpty >= h.opts.MaxTopics {
		return nil, ErrTooManyTopics
	}
	return h.create(topic), nil
}

// openToPublish returns the log of a topic for an event.
func (h *Hub) openToPublish(topic string) (*log, error) {
	if l, ok := h.topics[topic]; ok {
		return l, nil // it has streams
	}
	if h.nonEmpty >= h.opts.MaxTopics && !h.mayEvict() {
		return nil, ErrTooManyTopics
	}
	return h.create(topic), nil
}

// create creates the log of a topic that has none.
func (h *Hub) create(topic string) *log {
	topic = strings.Clone(topic) // it may be a part of a request's body
	l := &log{name: topic, keep: h.retention(topic)}
	tomb, found, floor := h.tombstones.find(topic)
	if !found {
		tomb, found = h.knownEmpty.take(topic)
	}
	switch {
	case found:
		l.traces = tomb.traces
	case h.opts.Store == nil:
		l.floor = floor
	default:
		if l.cold = h.coldFrom(floor); l.cold == 0 {
			l.floor = h.stored.lacks
		}
		l.mayMiss(h.opts.Store.Lost(topic))
	}
	l.since = h.seq
	h.topics[topic] = l
	return l
}

// coldFrom is the position below which the store may have events of a topic of which
// nothing is known. 0 is none.
func (h *Hub) coldFrom(forgotten uint64) uint64 {
	if from := max(h.stored.floor, forgotten+1); from > 1 {
		return from
	}
	return 0
}

// release removes a log without events and streams. A tombstone keeps its last position,
// so that a client that resumes from before it receives a reset.
func (h *Hub) release(l *log) {
	if l.held() > 0 || l.streams() > 0 || l.pins > 0 || h.topics[l.name] != l {
		return
	}
	delete(h.topics, l.name)
	h.expiry.Remove(l)
	tomb := tombstone{topic: l.name, traces: l.traces}
	if l.cold == 0 {
		tomb.appended, tomb.closed = 0, false // nothing is left of it: it may start again
		if h.opts.Store == nil {
			tomb.lastAt = 0
		}
	}
	switch {
	case l.last > 0:
		h.tombstones.add(tomb)
	case l.cold == 0 && h.opts.Store != nil && h.coldFrom(h.tombstones.merged) > 0: // the store need not be asked again
		h.knownEmpty.add(tomb)
	}
}
