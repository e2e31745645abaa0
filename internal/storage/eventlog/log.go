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

// LogOptions configure a Log.
type Options struct {
	// Node names this node. It may change; a name must not have been another
	// process's. Default: one drawn at random.
	Node func() string
	// Others names the other nodes that are alive, whose streams count in what
	// AppendAll answers. Default: there are none.
	Others func() []string

	// MaxInflight bounds the bytes of events that are on their way into the log.
	// Default 32 MiB.
	MaxInflight int64

	// ShortestLife is after what time an event may expire. Default: none does.
	ShortestLife time.Duration

	StartBack int          // events before the newest that Run begins with; default 50,000
	Log       *slog.Logger // default: the engine's

	countWait time.Duration // default countTimeout; another one in tests
}

// Log is the durable log of all topics: a [topic.Store] over one stream of NATS,
// which the nodes share. Make it with NewLog. Its methods may be called
// concurrently; AppendAll answers only while Run does its work.
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

// maxReads is how many reads of topics may be under way. Each one goes through
// blocks of the log, where the server is in the process at this process's cost, and
// live events need a processor as well.
func maxReads() int { return max(1, min(4, runtime.GOMAXPROCS(0)/2)) }

// NewLog makes a Log over the stream ev, which takes what is published at
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

// OpenLog makes the log of all topics, unless it is there.
func Open(ctx context.Context, e *nats.Engine, opts Options) (*Log, error) {
	ev, err := e.EventStream(ctx)
	if err != nil {
		return nil, err
	}
	return newLog(e, ev, opts), nil
}

// Run feeds the hub with the events of the log, and does the log's other work,
// until ctx ends; then it returns nil. Only when the engine's connection has been
// closed for good it returns an error. It must be called once.
func (l *Log) Run(ctx context.Context, hub topic.Follower) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	defer l.inbox.close()
	defer l.acks.close()
	if err := l.listen(l.opts.Node()); err != nil { // before somebody has something to tell
		return err
	}
	t := &tail{l: l, hub: hub, again: make(chan struct{}, 1)}
	wg.Go(func() { l.trim(ctx) })
	wg.Go(func() { l.watch(ctx, t) })
	wg.Go(func() { l.inspect(ctx, hub) })
	return t.run(ctx)
}

// Caught waits until the hub has been given all that was in the log when Run
// began, or ctx ends.
func (l *Log) Caught(ctx context.Context) error {
	select {
	case <-l.condition.caught:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// config is the stream's, as it was when it was last looked at.
func (l *Log) config() jetstream.StreamConfig { return l.ev.CachedInfo().Config }

const (
	// logTimeout bounds one request to the server.
	logTimeout = 5 * time.Second
	// logLookTimeout bounds those that are made again if nobody answers, as it is
	// while there is no leader.
	logLookTimeout = time.Second
	// watchPause is how often the stream is asked how it is.
	watchPause = 3 * time.Second
)

// watch looks at the stream from time to time: a server may lose its end, or
// begin it anew, without this node's connection or consumer noticing.
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

// info asks the stream's leader how it is.
func (l *Log) info(ctx context.Context) (*jetstream.StreamInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, logLookTimeout)
	defer cancel()
	info, err := l.ev.Info(ctx)
	if err == nil {
		l.condition.update(info)
	}
	return info, err
}
