package stream

import (
	"context"
	"runtime"
	"sync"
	"testing"

	"tidegate/internal/wire"
)

// parkedStreams are streams on an engine whose sockets take all and keep nothing.
type parkedStreams struct {
	testing.TB
	*Engine
	sockets Simulation
	streams []Stream
}

// Ended implements Owner.
func (c *parkedStreams) Ended(wire.Ending) {}

func newParked(t testing.TB, streams int) *parkedStreams {
	c := &parkedStreams{TB: t, streams: make([]Stream, streams)}
	c.Engine = NewEngine(Options{Simulation: &c.sockets})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = c.Run(ctx) })
	t.Cleanup(func() {
		stop()
		running.Wait()
		if n := c.sockets.Open.Load(); n != 0 || c.Parked() != 0 {
			t.Errorf("%d sockets are open and %d streams parked at the end", n, c.Parked())
		}
	})
	for i := range c.streams {
		c.streams[i].Init(c.Engine, c)
		c.streams[i].ServeSimulated(&c.sockets, nil, 0)
	}
	return c
}

// fanOut pushes one frame to all and waits until all have it.
func (c *parkedStreams) fanOut(f *Frame, held bool) {
	done := c.sockets.Writes.Load() + int64(len(c.streams))
	b := NewBatch()
	if held {
		b.Hold()
	}
	for i := range c.streams {
		if err := c.streams[i].Push(b, f); err != nil {
			c.Error(err)
		}
	}
	b.Flush()
	for c.sockets.Writes.Load() < done {
		runtime.Gosched()
	}
}

// TestAFanOutAllocatesNothingForAStream: a frame is made once, and streams that
// are idle before and after need no memory for it.
func TestAFanOutAllocatesNothingForAStream(t *testing.T) { // not parallel: it counts what all allocate
	c := newParked(t, 1000)
	f := FrameOf([]byte("data: to all\n\n"), 1)
	for _, held := range []bool{false, true} {
		c.fanOut(f, held)
		if got := testing.AllocsPerRun(20, func() { c.fanOut(f, held) }); got > 20 {
			t.Errorf("held %v: %v allocations for %d streams, want 20 at most", held, got, len(c.streams))
		}
	}
}

func TestAPushToOneStreamAllocatesNothing(t *testing.T) { // not parallel: it counts what all allocate
	c := newParked(t, 1)
	f := FrameOf([]byte("data: to one\n\n"), 1)
	c.fanOut(f, false)
	// With the race detector pools forget things on purpose.
	if got := testing.AllocsPerRun(100, func() { c.fanOut(f, false) }); got > 2 {
		t.Errorf("%v allocations for one event", got)
	}
}

var benchmarked = FrameOf([]byte("id: 1\ndata: an event of about a hundred bytes, as they are mostly, or a few more than that\n\n"), 1)

func BenchmarkFanOut(b *testing.B) {
	for _, held := range []bool{false, true} {
		b.Run(map[bool]string{false: "free", true: "held"}[held], func(b *testing.B) {
			c := newParked(b, 10_000)
			b.ReportAllocs()
			for b.Loop() {
				c.fanOut(benchmarked, held)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(c.streams)), "ns/delivery")
		})
	}
}

func BenchmarkPushToOne(b *testing.B) {
	c := newParked(b, 1)
	b.ReportAllocs()
	for b.Loop() {
		c.fanOut(benchmarked, false)
	}
}

// BenchmarkParkAndEnd is the life of a stream that gets nothing.
func BenchmarkParkAndEnd(b *testing.B) {
	c := newParked(b, 1)
	b.ReportAllocs()
	for b.Loop() {
		var s Stream
		s.Init(c.Engine, c)
		s.ServeSimulated(&c.sockets, nil, 0)
		batch := NewBatch()
		s.End(batch, endClosed, nil)
		batch.Flush()
	}
}
