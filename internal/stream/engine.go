package stream

import (
	"cmp"
	"context"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Options configure an Engine. The zero value of a field stands for its default.
type Options struct {
	MaxPending   int64         // default 1 MiB: bytes that may wait for one stream; one frame always may
	WriteTimeout time.Duration // default 30s, two weeks at most: a socket that stays full for so long ends its stream
	Heartbeat    time.Duration // default 15s, two weeks at most: the most silence on a stream
	BareBeats    bool          // heartbeats end without a blank line
	MaxAge       time.Duration // the shortest age that Serve is called with; 0: none
	SendBuffer   int           // default 64 KiB: of a parked socket, in the kernel
	NoParking    bool          // every stream uses the goroutine of its request
	Simulation   *Simulation   // sockets to write to instead of the system's; for measurements
	Observer     Observer      // may be nil
	Log          *slog.Logger  // default: none
}

// Observer counts what was written. It is called concurrently and must not block.
type Observer interface {
	Wrote(events, bytes int) // of the events' blocks
	Heartbeats(n int)
}

// Engine writes the streams of a process. Call Run once; all methods may be called
// concurrently.
type Engine struct {
	opts      Options // set once
	kernel    kernel  // set once; nil where nothing can be parked
	startedAt time.Time
	coarse    atomic.Int64 // elapsed, as the clock read it last
	stopped   atomic.Bool
	slots     slots
	work      work
	loops     sync.WaitGroup
	tasks     sync.WaitGroup // goroutines that read from or write to kept connections
	pollOnce  sync.Once      // starts the poller with the first parked stream
}

// NewEngine returns an engine. If the system has no epoll, it parks nothing and logs a
// warning.
func NewEngine(opts Options) *Engine {
	opts.MaxPending = cmp.Or(opts.MaxPending, 1<<20)
	opts.WriteTimeout = min(cmp.Or(opts.WriteTimeout, 30*time.Second), maxSpan)
	opts.Heartbeat = min(cmp.Or(opts.Heartbeat, 15*time.Second), maxSpan)
	opts.SendBuffer = cmp.Or(opts.SendBuffer, 64<<10)
	opts.Log = cmp.Or(opts.Log, slog.New(slog.DiscardHandler))
	e := newEngine(opts)
	switch {
	case opts.Simulation != nil:
		e.kernel = opts.Simulation
		return e
	case opts.NoParking:
		return e
	}
	k, err := newKernel()
	if err != nil {
		opts.Log.Warn("streams are not parked, each keeps a goroutine", "cause", err)
		return e
	}
	e.kernel = k
	return e
}

func newEngine(opts Options) *Engine {
	e := &Engine{opts: opts, startedAt: time.Now()}
	e.work.init()
	return e
}

// Run writes, polls and watches the time until ctx ends. Then it cuts the streams that
// are left.
func (e *Engine) Run(ctx context.Context) error {
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(e.write)
	}
	e.loops.Go(func() { e.runClock(ctx) })
	<-ctx.Done()
	e.stopped.Store(true)    // no stream is parked from now on
	e.pollOnce.Do(func() {}) // and no poller is started
	e.CutAll()
	if e.kernel != nil {
		e.kernel.stop()
	}
	e.loops.Wait()
	e.work.stop()
	workers.Wait()
	e.tasks.Wait()
	if e.kernel != nil {
		e.kernel.free()
	}
	return nil
}

// Parked is how many streams have no goroutine while they are idle.
func (e *Engine) Parked() int { return int(e.slots.parked.Load()) }

// write is one worker.
func (e *Engine) write() {
	sc := scratchPool.Get().(*scratch)
	defer scratchPool.Put(sc)
	for c := e.work.take(); c != nil; c = e.work.take() {
		c.write(sc)
		e.report(sc)
	}
}

func (e *Engine) report(sc *scratch) {
	if o := e.opts.Observer; o != nil {
		if sc.events > 0 {
			o.Wrote(sc.events, sc.bytes)
		}
		if sc.beats > 0 {
			o.Heartbeats(sc.beats)
		}
	}
	sc.events, sc.bytes, sc.beats = 0, 0, 0
}

// work holds the chunks that wait for a worker. Each stream is in at most one chunk, so
// the number of streams bounds them.
type work struct {
	mu      sync.Mutex
	some    sync.Cond
	chunks  []*chunk // guarded by mu, from head on
	head    int
	stopped bool
}

func (w *work) init() { w.some.L = &w.mu }

func (w *work) put(c *chunk) {
	w.mu.Lock()
	w.chunks = append(w.chunks, c)
	w.mu.Unlock()
	w.some.Signal()
}

// take waits for a chunk. It returns nil after stop, when all chunks are taken.
func (w *work) take() *chunk {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.head == len(w.chunks) {
		if w.stopped {
			return nil
		}
		w.some.Wait()
	}
	c := w.chunks[w.head]
	w.chunks[w.head] = nil
	if w.head++; w.head == len(w.chunks) {
		w.head = 0
		if w.chunks = w.chunks[:0]; cap(w.chunks) > 1024 {
			w.chunks = nil
		}
	}
	return c
}

func (w *work) stop() {
	w.mu.Lock()
	w.stopped = true
	w.mu.Unlock()
	w.some.Broadcast()
}
