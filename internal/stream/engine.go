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

// Options are what all streams of an engine share. The zero value of a field
// stands for its default.
type Options struct {
	MaxPending   int64         // default 1 MiB: bytes that wait for one stream; one frame is always taken
	WriteTimeout time.Duration // default 30s, two weeks at most: a socket that takes nothing for so long ends its stream
	Heartbeat    time.Duration // default 15s, two weeks at most: the most silence on a stream
	BareBeats    bool          // heartbeats are a line, without a blank one behind
	MaxAge       time.Duration // the shortest age that Serve will be given; 0: none
	SendBuffer   int           // default 64 KiB: of a parked socket, in the kernel
	NoParking    bool          // leave every stream to the goroutine of its request
	Simulation   *Simulation   // sockets to write to instead of the system's; for measurements
	Observer     Observer      // may be nil
	Log          *slog.Logger  // default: none
}

// Observer is told of what was written. It is called from many goroutines.
type Observer interface {
	Wrote(events, bytes int) // of the events' blocks
	Heartbeats(n int)
}

// Engine writes the streams of a process. Make it with NewEngine and call Run;
// all methods may be called concurrently.
type Engine struct {
	opts    Options // set once
	kernel  kernel  // set once; nil where nothing can be parked
	begun   time.Time
	coarse  atomic.Int64 // elapsed, when the clock last looked
	stopped atomic.Bool
	slots   slots
	work    work
	loops   sync.WaitGroup
	tasks   sync.WaitGroup // goroutines that read from or write to kept connections
	ears    sync.Once      // starts listen with the first stream that is parked
}

// NewEngine makes an engine. Where the system has no epoll, or does not grant
// one, it parks nothing and says so in the log.
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
	e := &Engine{opts: opts, begun: time.Now()}
	e.work.init()
	return e
}

// Run writes, listens for hang-ups and watches the time until ctx ends. Streams
// that are left then are cut.
func (e *Engine) Run(ctx context.Context) error {
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(e.write)
	}
	e.loops.Go(func() { e.watch(ctx) })
	<-ctx.Done()
	e.stopped.Store(true) // nothing is parked any more
	e.ears.Do(func() {})  // nor does anybody begin to listen
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

// Parked is how many streams have no goroutine.
func (e *Engine) Parked() int { return int(e.slots.parked.Load()) }

// write is one worker.
func (e *Engine) write() {
	p := pens.Get().(*pen)
	defer pens.Put(p)
	for c := e.work.take(); c != nil; c = e.work.take() {
		c.write(p)
		e.report(p)
	}
}

func (e *Engine) report(p *pen) {
	if o := e.opts.Observer; o != nil {
		if p.events > 0 {
			o.Wrote(p.events, p.bytes)
		}
		if p.beats > 0 {
			o.Heartbeats(p.beats)
		}
	}
	p.events, p.bytes, p.beats = 0, 0, 0
}

// work is the chunks that wait for a worker. Each stream is in one chunk at
// most, so they are bounded by the number of streams.
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

// take waits for a chunk. It gives nil when all are written and the work has
// been stopped.
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
