// Package taskstore is a [task.Store] on NATS: records of tasks, their queue, leases and
// results. Processes that share it share the work.
package taskstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/storage/nats"
	"tidegate/task"
)

// Options configure a [Store]. The zero value of a field stands for its default.
type Options struct {
	AckWait    time.Duration // after what time a task is given to another process if its worker is silent; default 30s
	Timeout    time.Duration // of one call of the store, and a second more for each MiB of an object; default 5s
	MaxTasks   int           // tasks kept; default 100000, beyond it task.ErrBusy
	MaxPending int           // of them pending; default 10000, beyond it task.ErrBusy

	// SweepInterval is between two looks for tasks that are stuck; default 30s. One
	// process looks for twice that time, then another may.
	SweepInterval time.Duration

	// Alone says that no other process shares the store. Then tasks of a dead process
	// begin again at once, not after AckWait.
	Alone bool
}

var _ task.Store = (*Store)(nil)

// Store keeps tasks in NATS, for one [task.Service]; each service, here or in other processes,
// has its own and they see the same tasks. [Open] makes it. Its methods may be called
// concurrently. A task is a record, of which the stream TASKS keeps the newest version, and
// until it ends a message in the work queue TASKQ. Records decide; a message only leases a
// task to a process.
//
// The message is deleted after the last events of the task are published. So when a process
// dies, at any point, its message brings another process to the record. If it dies between
// the two writes of Submit there is no message; the sweeper finds such tasks.
type Store struct {
	// Set once.
	e       *nats.Engine
	log     *slog.Logger
	tasks   jetstream.Stream
	taskq   jetstream.Stream
	leases  jetstream.KeyValue
	results jetstream.ObjectStore
	opts    Options
	list    *taskList
	inline  int // bytes; larger parts of a record are objects

	wake   chan struct{} // of size 1: something may be in the queue
	listed chan struct{} // closed when the list has all records that were there at the start
	sawAll func()        // closes it

	orphanAge time.Duration
	objectAge time.Duration
	stuck     map[string]uint64 // by task id: messages that no consumer would deliver at the last sweep; owned by sweep

	mu           sync.Mutex
	consumers    map[lane]jetstream.Consumer
	next         int // the type to look at first, so that none starves
	hooks        task.Hooks
	objectStream jetstream.Stream // of results; nil until it is needed
}

// newStore makes a store on the given streams and buckets.
func newStore(e *nats.Engine, s nats.TaskStreams, opts Options) *Store {
	opts.AckWait = cmp.Or(opts.AckWait, 30*time.Second)
	opts.Timeout = cmp.Or(opts.Timeout, 5*time.Second)
	opts.MaxTasks = cmp.Or(opts.MaxTasks, 100_000)
	opts.MaxPending = cmp.Or(opts.MaxPending, 10_000)
	opts.SweepInterval = cmp.Or(opts.SweepInterval, 30*time.Second)
	listed := make(chan struct{})
	return &Store{
		e: e, log: e.Log().With("component", "tasks"),
		tasks: s.Records, taskq: s.Queue, leases: s.Leases, results: s.Results, opts: opts,
		list: newTaskList(), inline: int(min(256<<10, e.MaxBody()/4)),
		wake: make(chan struct{}, 1), listed: listed, sawAll: sync.OnceFunc(func() { close(listed) }),
		orphanAge: orphanAge, objectAge: objectAge,
		consumers: map[lane]jetstream.Consumer{},
	}
}

// Open makes the streams of tasks unless they are there, and a store on them. ctx bounds
// that. The error is one of the engine.
func Open(ctx context.Context, e *nats.Engine, opts Options) (*Store, error) {
	s, err := e.TaskStreams(ctx)
	if err != nil {
		return nil, err
	}
	return newStore(e, s, opts), nil
}

// Durable implements [task.Store].
func (*Store) Durable() bool { return true }

// Run implements [task.Store]: it follows the records, answers who wants to cancel
// what runs here, and sweeps.
func (t *Store) Run(ctx context.Context, h task.Hooks) error {
	t.mu.Lock()
	t.hooks = h
	t.mu.Unlock()
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // the others end with serve
	wg.Go(func() { t.follow(ctx, h) })
	wg.Go(func() { t.sweep(ctx, h) })
	return t.serve(ctx, &wg, h)
}

// asking bounds a request to another process.
const asking = 2 * time.Second

// Answers to such a request.
const (
	answerDone = "done" // the task is cancelled
	answerOver = "over" // it does not run here
)

// serve answers requests of other processes, and wakes Fetch when something is in the queue,
// until ctx ends.
func (t *Store) serve(ctx context.Context, wg *sync.WaitGroup, h task.Hooks) error {
	answer := func(m *natsgo.Msg) {
		ctx, cancel := context.WithTimeout(ctx, asking)
		defer cancel()
		text := answerOver
		if h.Cancel(ctx, string(m.Data)) {
			text = answerDone
		}
		if err := m.Respond([]byte(text)); err != nil {
			t.log.Debug("request of another process not answered", "task_id", string(m.Data), "error", err)
		}
	}
	asked := make(chan *natsgo.Msg, 64) // more are dropped: their senders write to the record instead
	subs := make([]*natsgo.Subscription, 2)
	var errs [2]error
	subs[0], errs[0] = t.e.Conn().ChanSubscribe(t.e.Subject("tk.ctl."+h.Worker), asked)
	subs[1], errs[1] = t.e.Conn().Subscribe(t.e.Subject("tk.wake"), func(*natsgo.Msg) { t.wakeFetch() })
	for _, sub := range subs {
		if sub != nil {
			defer func() { _ = sub.Unsubscribe() }() // it may have ended with the connection
		}
	}
	if err := errors.Join(errs[:]...); err != nil {
		return fmt.Errorf("subscribe for tasks: %w", err)
	}
	for {
		select {
		case m := <-asked:
			wg.Go(func() { answer(m) })
		case <-ctx.Done():
			return nil
		}
	}
}

// RequestCancel implements [task.Store].
func (t *Store) RequestCancel(ctx context.Context, rec task.Record) (answered, done bool) {
	if !t.e.Conn().IsConnected() {
		return false, false
	}
	ctx, cancel := context.WithTimeout(ctx, asking)
	defer cancel()
	m, err := t.e.Conn().RequestWithContext(ctx, t.e.Subject("tk.ctl."+rec.Worker), []byte(rec.ID))
	if err != nil {
		return false, false
	}
	return true, string(m.Data) == answerDone
}

// Peek implements [task.Store].
func (t *Store) Peek(id string) (task.Record, bool) { return t.list.peek(id) }

// List implements [task.Store].
func (t *Store) List(before uint64, f task.Filter, limit int) []task.Record {
	return t.list.scan(before, f, limit)
}

// Counts implements [task.Store].
func (t *Store) Counts() map[task.State]int { return t.list.counts() }

// bounded limits a call of the store. Without a connection it fails at once, so that nothing is
// sent later that nobody waits for any more.
func (t *Store) bounded(ctx context.Context) (context.Context, context.CancelFunc, error) {
	return t.boundedFor(ctx, 0)
}

// slowest is the least rate of a transfer of an object, in bytes a second. Slower ones fail.
const slowest = 1 << 20

// boundedFor is bounded for a call that transfers that many bytes.
func (t *Store) boundedFor(ctx context.Context, size int) (context.Context, context.CancelFunc, error) {
	if !t.e.Conn().IsConnected() {
		return nil, nil, fmt.Errorf("%w: not connected to NATS", task.ErrUnavailable)
	}
	ctx, cancel := context.WithTimeout(ctx, t.opts.Timeout+time.Duration(size)*time.Second/slowest)
	return ctx, cancel, nil
}

// unavailable wraps an error of NATS that a call does not expect.
func unavailable(what string, err error) error {
	return fmt.Errorf("%w: %s: %w", task.ErrUnavailable, what, err)
}
