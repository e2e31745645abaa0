// Package eventlog is the log of all topics on NATS, which nodes share: a [topic.Store]
// over one stream. [Open] makes a [Log]; its Run follows the stream and feeds the hub.
// The package also reads and writes whole logs, for moving them between deployments.
package eventlog

import (
	"cmp"
	"context"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/storage/nats"
	"tidegate/internal/topic"
)

var _ topic.Store = (*Log)(nil)

// Options configure a [Log].
type Options struct {
	// Node names this node. It may change; no other process may have had the name.
	// Default: drawn at random.
	Node func() string
	// Others names the other nodes that are alive. AppendAll counts their receivers.
	// Default: there are none.
	Others func() []string

	// MaxInflight bounds the bytes of events that are on their way into the log.
	// Default 32 MiB.
	MaxInflight int64

	// ShortestLife is the shortest age limit of any topic. Default: no event expires.
	ShortestLife time.Duration

	StartBack int          // events before the newest that Run begins with; default 50,000
	Log       *slog.Logger // default: the engine's

	countWait time.Duration // default countTimeout; another one in tests
}

// Log is the durable log of all topics: a [topic.Store] over one stream of NATS, which the
// nodes share. [Open] makes it. Its methods may be called concurrently; AppendAll returns
// results only while Run runs.
type Log struct {
	e     *nats.Engine // set once, like all of this group
	js    jetstream.JetStream
	ev    jetstream.Stream
	opts  Options
	log   *slog.Logger
	name  string // of the stream
	reads chan struct{}

	inflight  inflight
	quota     quota
	acks      ackInbox
	inquiries chan struct{} // size maxInquiries
	inbox     receiverInbox
	trims     trimQueue
	condition condition
	damage    damage
	tally     tally

	failedAppends, failedReads, failedLooks failures
}

// maxReads is how many reads of topics may be under way. Each goes through blocks of the log,
// with a server in this process at the cost of its live events.
func maxReads() int { return max(1, min(4, runtime.GOMAXPROCS(0)/2)) }

// newLog makes a Log over the stream ev, which takes what is published at
// "<prefix>.ev.*", drops old messages, and allows a message its own TTL.
func newLog(e *nats.Engine, ev jetstream.Stream, opts Options) *Log {
	if opts.Node == nil {
		node := nats.RandomName()
		opts.Node = func() string { return node }
	}
	if opts.Others == nil {
		opts.Others = func() []string { return nil }
	}
	opts.StartBack = cmp.Or(opts.StartBack, 50_000)
	opts.MaxInflight = cmp.Or(opts.MaxInflight, 32<<20)
	opts.countWait = cmp.Or(opts.countWait, countTimeout)
	l := &Log{
		e: e, js: e.JetStream(), ev: ev, opts: opts,
		log:   cmp.Or(opts.Log, e.Log()).With("component", "log"),
		name:  ev.CachedInfo().Config.Name,
		reads: make(chan struct{}, maxReads()),
	}
	l.inflight.init()
	l.quota.init(opts.MaxInflight)
	l.acks.init(l.name)
	l.inquiries = make(chan struct{}, maxInquiries)
	l.trims.init()
	l.damage.init()
	l.condition.init()
	return l
}

// Open makes the stream of the log unless it is there, and a log on it. ctx bounds that. The
// error is one of the engine.
func Open(ctx context.Context, e *nats.Engine, opts Options) (*Log, error) {
	ev, err := e.EventStream(ctx)
	if err != nil {
		return nil, err
	}
	return newLog(e, ev, opts), nil
}

// Run feeds the hub with the events of the log, trims topics and inspects damage, until ctx
// ends; then it returns nil. It returns an error only if the engine's connection has been
// closed. Call it once.
func (l *Log) Run(ctx context.Context, hub topic.Follower) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	defer l.inbox.close()
	defer l.acks.close()
	if err := l.listen(l.opts.Node()); err != nil { // before other nodes have counts for this one
		return err
	}
	t := &tail{l: l, hub: hub, again: make(chan struct{}, 1)}
	wg.Go(func() { l.trim(ctx) })
	wg.Go(func() { l.watch(ctx, t) })
	wg.Go(func() { l.inspect(ctx, hub) })
	return t.run(ctx)
}

// Caught waits until the hub has got all events that were in the log when Run began. If ctx
// ends first it returns the cause.
func (l *Log) Caught(ctx context.Context) error {
	select {
	case <-l.condition.caught:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// config is the stream's configuration, as of the last answer of the server.
func (l *Log) config() jetstream.StreamConfig { return l.ev.CachedInfo().Config }

const (
	// logTimeout bounds one request to the server.
	logTimeout = 5 * time.Second
	// logLookTimeout bounds requests that are repeated if no server answers, as while the
	// stream has no leader.
	logLookTimeout = time.Second
	// watchPause is how often the state of the stream is checked.
	watchPause = 3 * time.Second
)

// watch checks the stream every watchPause. A server may lose its end, or make it anew,
// without this node's connection or consumer noticing.
func (l *Log) watch(ctx context.Context, t *tail) {
	tick := time.NewTicker(watchPause)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		l.inflight.dropDead(l.opts.Others())
		applied := l.inflight.at()
		info, err := l.info(ctx)
		if err != nil {
			continue // the tail will notice
		}
		l.noteDiscarded(ctx, info)
		if info.State.LastSeq < applied || l.condition.isOther(info) {
			t.restart()
		}
	}
}

// info asks the stream's leader for its state.
func (l *Log) info(ctx context.Context) (*jetstream.StreamInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, logLookTimeout)
	defer cancel()
	info, err := l.ev.Info(ctx)
	if err == nil {
		l.condition.update(info)
	}
	return info, err
}
