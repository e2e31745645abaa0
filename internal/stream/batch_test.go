package stream

import (
	"sync"
	"testing"
	"unsafe"
)

func TestAFewStreamsAreWrittenByWhoFlushes(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{}) // does not run: nobody else writes
	one := event("data: 1\n\n", Live)
	for n := range inlineStreams + 1 {
		var all []*parked
		b := NewBatch()
		for range n {
			p := r.make(plenty)
			p.served()
			_ = p.Push(b, one.Frame)
			_ = p.Push(b, one.Frame) // is in the batch already
			all = append(all, p)
		}
		for _, p := range all {
			if p.length() != 0 {
				t.Error("a push writes")
			}
		}
		b.Flush()
		for _, p := range all {
			if got, _ := p.text(); got != chunked(one, one) || p.sends != 1 {
				t.Errorf("of %d: %q in %d writes", n, got, p.sends)
			}
		}
	}
}

// served is parkAt without a first write, for an engine that does not run.
func (p *parked) served() {
	p.begin(nil, nil, 0)
	p.Stream.fd = p.socket.fd
	p.engine.slots.parked.Add(1)
	_ = p.engine.kernel.add(p.Stream.fd, p.slot.key(), false)
	p.Stream.state &^= writing
	p.Stream.mu.Unlock()
}

// TestWorkersBeginWhileABatchIsFilled, unless it is held: then all that is pushed
// to a stream until Flush leaves in one write.
func TestWorkersBeginWhileABatchIsFilled(t *testing.T) {
	t.Parallel()
	const n = 2*chunkStreams + chunkStreams/2
	one, two := event("data: 1\n\n", Live), event("data: 2\n\n", Live)
	onFake(t, Options{}, func(t *testing.T, r *rig) {
		for _, held := range []bool{false, true} {
			var all []*parked
			for range n {
				all = append(all, r.park(plenty))
			}
			b := NewBatch()
			if held {
				b.Hold()
			}
			for _, p := range all {
				_ = p.Push(b, one.Frame)
			}
			waitIdle()
			written := 0
			for _, p := range all {
				if p.length() > 0 {
					written++
				}
			}
			if want := map[bool]int{false: 2 * chunkStreams}[held]; written != want {
				t.Errorf("held %v: %d streams written to before Flush, want %d", held, written, want)
			}
			for _, p := range all {
				_ = p.Push(b, two.Frame)
			}
			b.Flush()
			for _, p := range all {
				p.open(chunked(one, two))
				if held && p.sends != 1 {
					t.Errorf("two events of a held batch in %d writes", p.sends)
				}
				p.end(nil)
			}
			waitIdle()
		}
	})
}

func TestABatchIsGivenOnEmpty(t *testing.T) {
	t.Parallel()
	onFake(t, Options{}, func(t *testing.T, r *rig) {
		for range 4 {
			b := NewBatch().Hold()
			for range 6 * chunkStreams {
				_ = r.park(plenty).PushAll(b, []Item{event("x", Replay)})
			}
			b.Flush()
			if b = NewBatch(); b.held || b.chunk != nil || len(b.full) != 0 {
				t.Fatalf("a new batch is %+v", b)
			}
			for _, c := range b.full[:cap(b.full)] {
				if c != nil {
					t.Fatal("a new batch has a chunk of another")
				}
			}
			b.Flush() // of nothing
			waitIdle()
		}
		r.CutAll()
	})
}

func TestWorkIsGivenOutInOrderUntilItIsDone(t *testing.T) {
	t.Parallel()
	var w work
	w.init()
	var all []*chunk
	for i := range 3000 {
		all = append(all, new(chunk))
		w.put(all[i])
	}
	for i, c := range all[:2000] {
		if w.take() != c {
			t.Fatalf("chunk %d is another", i)
		}
	}
	w.stop()
	for i, c := range all[2000:] {
		if w.take() != c {
			t.Fatalf("chunk %d is another, after stop", i)
		}
	}
	for range 2 {
		if w.take() != nil {
			t.Error("there is more work than was put in")
		}
	}
	if cap(w.chunks) != 0 || w.head != 0 {
		t.Errorf("it keeps room for %d chunks", cap(w.chunks))
	}
}

func TestWorkIsWaitedFor(t *testing.T) {
	t.Parallel()
	var w work
	w.init()
	var takers sync.WaitGroup
	taken := make(chan *chunk)
	for range 4 {
		takers.Go(func() {
			for c := w.take(); c != nil; c = w.take() {
				taken <- c
			}
		})
	}
	seen := make(map[*chunk]bool)
	for range 100 {
		w.put(new(chunk))
		seen[<-taken] = true
	}
	if len(seen) != 100 {
		t.Errorf("%d chunks taken, want 100", len(seen))
	}
	w.stop()
	takers.Wait()
}

// TestAStreamIsSmall: there is one for each connection.
func TestAStreamIsSmall(t *testing.T) {
	t.Parallel()
	if got := unsafe.Sizeof(Stream{}); got > 104 {
		t.Errorf("a Stream has %d bytes, want 104 at most", got)
	}
}
