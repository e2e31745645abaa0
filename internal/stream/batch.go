package stream

import "sync"

const (
	// chunkStreams is how many ready streams a worker takes at once.
	chunkStreams = 64
	// inlineStreams bounds the streams that the caller of Flush writes to itself: that
	// costs less than waking a worker.
	inlineStreams = 4
)

// Batch collects streams that are ready to be written to. Pushes may add to it while
// the caller holds locks; Flush writes, and must be called without locks.
//
// If there are more than a few streams, the engine's workers write to them. They start
// while the batch is still being filled, unless it is held. A Batch belongs to one
// goroutine; get it from NewBatch, and do not use it after Flush.
type Batch struct {
	chunk *chunk
	full  []*chunk // of a held batch
	held  bool
}

// chunk is the unit of work of a worker: some ready streams.
type chunk struct {
	streams [chunkStreams]*Stream
	n       int
}

var (
	batches = sync.Pool{New: func() any { return new(Batch) }}
	chunks  = sync.Pool{New: func() any { return new(chunk) }}
)

// NewBatch returns an empty batch.
func NewBatch() *Batch { return batches.Get().(*Batch) }

// Hold makes workers wait for Flush, so that what is pushed to a stream until then
// leaves in one write.
func (b *Batch) Hold() *Batch {
	b.held = true
	return b
}

// Held reports whether Hold was called.
func (b *Batch) Held() bool { return b.held }

func (b *Batch) add(s *Stream) {
	if b.chunk == nil {
		b.chunk = chunks.Get().(*chunk)
	}
	c := b.chunk
	c.streams[c.n] = s
	c.n++
	if c.n < chunkStreams {
		return
	}
	b.chunk = nil
	if b.held {
		b.full = append(b.full, c)
		return
	}
	s.engine.work.put(c)
}

// Flush hands the streams of the batch to the workers, or writes to them itself if they
// are few. It waits neither for workers nor for clients.
func (b *Batch) Flush() {
	c, full := b.chunk, b.full
	*b = Batch{full: full[:0]}
	for i, c := range full {
		c.streams[0].engine.work.put(c)
		full[i] = nil
	}
	if cap(full) > 4*chunkStreams {
		b.full = nil
	}
	batches.Put(b)
	switch {
	case c == nil:
	case len(full) == 0 && c.n <= inlineStreams:
		e := c.streams[0].engine
		sc := scratchPool.Get().(*scratch)
		c.write(sc)
		e.report(sc)
		scratchPool.Put(sc)
	default:
		c.streams[0].engine.work.put(c)
	}
}

// flushHere is Flush for a held batch. The caller writes itself if there are fewer than
// most streams.
func (b *Batch) flushHere(most int) {
	if len(b.full)*chunkStreams >= most || b.chunk == nil && len(b.full) == 0 {
		b.Flush()
		return
	}
	c, full := b.chunk, b.full
	*b = Batch{}
	batches.Put(b)
	if c != nil {
		full = append(full, c)
	}
	e := full[0].streams[0].engine
	sc := scratchPool.Get().(*scratch)
	for _, c := range full {
		c.write(sc)
	}
	e.report(sc)
	scratchPool.Put(sc)
}

// write writes to all streams of the chunk and frees it.
func (c *chunk) write(sc *scratch) {
	for i, s := range c.streams[:c.n] {
		c.streams[i] = nil
		s.flush(sc)
	}
	c.n = 0
	chunks.Put(c)
}

// scratch is what one goroutine needs to write: a buffer to join frames in, and counts
// of what it wrote.
type scratch struct {
	buf    []byte
	events int
	bytes  int
	beats  int
}

var scratchPool = sync.Pool{New: func() any { return &scratch{buf: make([]byte, 0, joinBytes)} }}

func (sc *scratch) note(b batch) {
	sc.events += b.events
	sc.bytes += b.size
	sc.beats += b.beats
}
