// Package topic keeps the ordered logs that streams read from.
//
// A topic is a named log of events. All topics of a [Hub] share one order: each
// event has a position in it, and that position is its id, so that one id
// resumes every topic of a stream. Live delivery and replay are one thing: a
// stream is sent everything in its topics after its cursor, in order, once.
//
// Everything happens under one short lock: a publish takes its position, enters
// its log and the queues of its streams in one step, and so does an attach with
// all that it replays. No I/O happens there: a queue takes a pointer to a frame
// that was encoded before, and each stream writes by itself.
//
// A hub with a [Store] shares its logs with other nodes and outlives its process:
// what is published goes to the store, and comes from it to the hubs of all
// nodes, in one order. What a hub holds then is the newer part of the logs, from
// which nearly all is served; the rest is read back when somebody asks for it.
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

// Replay says what a stream without a last event id is given of a topic's past.
type Replay string

// The kinds of replay.
const (
	ReplayAll  Replay = "all"  // all of it; a reset first if some is no longer held
	ReplayHeld Replay = "held" // all that is held, without a reset if that is not all of it
	ReplayLast Replay = "last" // the newest event, of all topics of the namespace that are attached together: they are a value, older events are superseded
	ReplayNone Replay = "none"
)

// Retention is how much of a topic is kept. Whatever bound is reached first
// drops the oldest events.
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
	MaxTopics  int                  // default 1,000,000 that hold events, and as many that only have streams: more are refused
	MaxBytes   int64                // of memory that all logs take, default 256 MiB: the least recently used log gives
	NoIDBlocks bool                 // streams get no blocks that have an id and no event
	MaxKeys    int                  // idempotency keys remembered, default 1,000,000: the oldest are forgotten early

	// Idle is after what time without an append or a read back a topic without streams
	// leaves the hub's memory for the Store's; 0: never. It takes a Store.
	Idle time.Duration

	Store      Store  // keeps the logs; nil: they end with the process
	Generation string // of the Store's logs, the first part of every id; required with a Store
	// Unsealed is the position up to which events may have ids of before there were
	// seals, in a log that was taken over: these are looked up, as sealed ones are.
	Unsealed uint64
}

// Sink is a stream as the hub sees it. The methods are called under the hub's
// lock and must not block or call back. What has become ready to be written is
// noted in the batch, which the hub flushes when it has let go of its lock.
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
	// maxTombstones is how many removed topics are remembered one by one.
	maxTombstones = 65_536
	// maxEmpty is of how many topics it is remembered that the store has nothing of
	// them. Names that somebody makes up must not take the place of the above.
	maxEmpty = 16_384
)

// What the methods of Hub return. All are *wire.Error, ready for a caller.
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

// Hub holds all topics of a process. Make it with New; all methods may be
// called concurrently.
type Hub struct {
	opts           Options       // set once
	lookups        chan struct{} // set once; size maxLookupsAhead: clients whose ids are looked up before others wait for them
	ahead          chan struct{} // set once; size maxAhead: clients that wait for what another node has sent them
	attaching      chan struct{} // set once; size 2: in a crowd of streams that come back, few wait for the lock beside who publishes
	pendingFanOuts atomic.Int64  // events on their way

	mu         sync.Mutex
	generation string  // guarded by mu, like all below
	secret     string  // of seals
	seal       *sealer // nil: ids have no seals
	fanOuts    fanOuts
	seq        uint64          // position of the newest event
	emptyFrom  emptyFrom       // see there
	stored     storedState     // what of the logs is in the store only
	topics     map[string]*log // all that have events or streams
	recent     recency         // topics that hold events, least recently appended first
	expiry     expiries        // topics by when their oldest event expires
	bytes      int64           // of all logs
	events     int             // held in all logs
	keys       dedupKeys
	tombstones tombstones
	knownEmpty tombstones // of topics that the store has nothing of
	nonEmpty   int        // topics that hold events
	dropped    map[DropReason]uint64
	published  uint64
	delivered  atomic.Uint64 // see Delivered
	resets     uint64
}

// New makes an empty hub.
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

// Durable says that the hub has a store: publishing waits for it.
func (h *Hub) Durable() bool { return h.opts.Store != nil }

func (h *Hub) retention(topic string) Retention {
	if r, ok := h.opts.Namespaces[wire.Namespace(topic)]; ok {
		return r
	}
	return h.opts.Default
}

// open gives the log of a topic for a stream, and makes it if there is none. Topics
// that have streams alone have a bound of their own: names that somebody has made
// up must not keep others from being published to.
func (h *Hub) open(topic string) (*log, error) {
	if l, ok := h.topics[topic]; ok {
		return l, nil
	}
	if len(h.topics)-h.nonEmpty >= h.opts.MaxTopics {
		return nil, ErrTooManyTopics
	}
	return h.create(topic), nil
}

// openToPublish gives the log of a topic for an event.
func (h *Hub) openToPublish(topic string) (*log, error) {
	if l, ok := h.topics[topic]; ok {
		return l, nil // its streams go on
	}
	if h.nonEmpty >= h.opts.MaxTopics && !h.mayEvict() {
		return nil, ErrTooManyTopics
	}
	return h.create(topic), nil
}

// enter makes the log of a topic that has none.
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

// coldFrom is below which position there may be events, of a topic of which
// nothing is known, that only the store has. 0 is none.
func (h *Hub) coldFrom(forgotten uint64) uint64 {
	if from := max(h.stored.floor, forgotten+1); from > 1 {
		return from
	}
	return 0
}

// release forgets a log that nobody needs any more: no events, no streams. What
// was in it is remembered as gone, so that a client that comes back from before
// is told so.
func (h *Hub) release(l *log) {
	if l.held() > 0 || l.streams() > 0 || l.pins > 0 || h.topics[l.name] != l {
		return
	}
	delete(h.topics, l.name)
	h.expiry.Remove(l)
	tomb := tombstone{topic: l.name, traces: l.traces}
	if l.cold == 0 {
		tomb.appended, tomb.closed = 0, false // nothing is left of it: it may begin anew
		if h.opts.Store == nil {
			tomb.lastAt = 0
		}
	}
	switch {
	case l.last > 0:
		h.tombstones.add(tomb)
	case l.cold == 0 && h.opts.Store != nil && h.coldFrom(h.tombstones.merged) > 0: // it need not be asked again
		h.knownEmpty.add(tomb)
	}
}
