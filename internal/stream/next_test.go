package stream

import (
	"bytes"
	"testing"
)

// The tests here look at the queue from inside.

func TestTheQueueDoesNotGrowWhenItNeverEmpties(t *testing.T) {
	t.Parallel()
	s := New(t.Context(), 1<<40)
	f := Frame{Bytes: make([]byte, joinBytes), Kind: Live} // one is one write
	var last batch
	most := 0
	for range 100 {
		_ = s.Push(f)
	}
	for range 100_000 {
		_ = s.Push(f)
		if last, _ = s.next(nil, last); len(last.bytes) != len(f.Bytes) {
			t.Fatalf("next gives %d bytes, want one frame", len(last.bytes))
		}
		most = max(most, cap(s.queue))
	}
	if most > 1000 {
		t.Errorf("100 frames wait, and the array grew to %d", most)
	}
	if want := 101 * f.cost(); s.pending != want {
		t.Errorf("%d bytes pending, want %d: those that wait and the one being written", s.pending, want)
	}
}

func TestAnEmptyQueueHoldsNoFrames(t *testing.T) {
	t.Parallel()
	s := New(t.Context(), 1<<40)
	for range 1000 {
		_ = s.Push(Frame{Bytes: []byte("x"), Kind: Direct})
	}
	b, over := s.next(make([]byte, 0, joinBytes), batch{})
	if len(b.bytes) != 1000 || b.events != 1000 || b.direct != 1000 || over {
		t.Errorf("next = %d bytes, %d events, %d direct, over %v", len(b.bytes), b.events, b.direct, over)
	}
	if s.direct != 1000 || s.writing.IsZero() {
		t.Errorf("%d direct, writing since %v; want them to count until they are written", s.direct, s.writing)
	}
	b, over = s.next(nil, b)
	if len(b.bytes) != 0 || over || s.direct != 0 || s.pending != 0 || !s.writing.IsZero() {
		t.Errorf("after the write: %d direct, %d pending, writing since %v", s.direct, s.pending, s.writing)
	}
	if cap(s.queue) != len(s.inline) || s.inline[0].Bytes != nil {
		t.Errorf("an empty queue holds an array of %d frames", cap(s.queue))
	}
}

func TestSmallFramesAreJoinedAndLargeOnesAreNotCopied(t *testing.T) {
	t.Parallel()
	small := Frame{Bytes: bytes.Repeat([]byte("s"), joinBytes/4), Kind: Live}
	large := Frame{Bytes: bytes.Repeat([]byte("l"), joinBytes/2+1), Kind: Live}
	s := New(t.Context(), 1<<40)
	for _, f := range []Frame{small, small, large, small, small, small, small, small} {
		_ = s.Push(f)
	}
	buf := make([]byte, 0, joinBytes)
	var last batch
	for i, want := range []int{2 * len(small.Bytes), len(large.Bytes), joinBytes, len(small.Bytes), 0} {
		last, _ = s.next(buf, last)
		if len(last.bytes) != want {
			t.Errorf("write %d has %d bytes, want %d", i, len(last.bytes), want)
		}
		if i == 1 && &last.bytes[0] != &large.Bytes[0] {
			t.Error("the large frame was copied")
		}
		for _, f := range s.queue[:s.head] {
			if f.Bytes != nil {
				t.Errorf("after write %d a frame that is out is still held", i)
			}
		}
		if cap(last.bytes) > joinBytes && i != 1 {
			t.Errorf("write %d grew the buffer to %d", i, cap(last.bytes))
		}
	}
}

func TestAPushToAnIdleStreamAllocatesNothing(t *testing.T) {
	s := New(t.Context(), 1<<20)
	f := Frame{Bytes: []byte("data: x\n\n"), Kind: Live}
	buf := make([]byte, 0, joinBytes)
	var last batch
	if n := testing.AllocsPerRun(100, func() {
		_ = s.Push(f)
		_ = s.Push(f)
		last, _ = s.next(buf, last)
		last, _ = s.next(buf, last)
	}); n != 0 {
		t.Errorf("%v allocations for two events", n)
	}
}
