package stream

import "sync"

const (
	// chunkStreams is how many ready streams a worker takes at once.
	chunkStreams = 64
	// inlineStreams is up to how many streams the caller of Flush writes to by
	// itself: less than waking a worker would cost.
	inlineStreams = 4
)

// Batch collects streams that are ready to be written to. Pushes add to it, under
// whatever lock the caller has; Flush writes, and must be called under none.
// Streams beyond a first few are written to by the engine's workers, and those
// begin while the batch is still filled, unless it is held. A Batch is used by
// one goroutine; get one with NewBatch, and do not use it after Flush.
type Batch struct {
	chunk *chunk
	full  []*chunk // of a held batch
	held  bool
}

// chunk is some ready streams on their way to a worker.
type chunk struct {
	streams [chunkStreams]*Stream
	n       int
}

var (
	batches = sync.Pool{New: func() any { return new(Batch) }}
	chunks  = sync.Pool{New: func() any { return new(chunk) }}
)

// NewBatch gives an empty batch.
func NewBatch() *Batch { return batches.Get().(*Batch) }

// Hold keeps workers from beginning before Flush, so that what is still to be
// pushed to the same streams leaves in the same write.
func (b *Batch) Hold() *Batch {
	b.held = true
	return b
}

// Held says that the batch is held.
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

// Flush sees to it that all streams of the batch are written to, and writes to
// them itself where they are few. It does not wait for workers, nor for any
// client.
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
		p := pens.Get().(*pen)
		c.write(p)
		e.report(p)
		pens.Put(p)
	default:
		c.streams[0].engine.work.put(c)
	}
}

// flushHere is Flush for a held batch; the caller writes to at most most streams
// by itself.
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
	p := pens.Get().(*pen)
	for _, c := range full {
		c.write(p)
	}
	e.report(p)
	pens.Put(p)
}

// write writes to all streams of the chunk and gives it back.
func (c *chunk) write(p *pen) {
	for i, s := range c.streams[:c.n] {
		c.streams[i] = nil
		s.flush(p)
	}
	c.n = 0
	chunks.Put(c)
}

// pen is what one goroutine needs to write with: room to join frames in, and
// the count of what it wrote.
type pen struct {
	buf    []byte
	events int
	bytes  int
	beats  int
}

var pens = sync.Pool{New: func() any { return &pen{buf: make([]byte, 0, joinBytes)} }}

func (p *pen) note(b batch) {
	p.events += b.events
	p.bytes += b.size
	p.beats += b.beats
}
