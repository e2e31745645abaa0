package stream

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// The tests here look at the queue from inside.

func TestTheQueueDoesNotGrowWhenItNeverEmpties(t *testing.T) {
	t.Parallel()
	var q queue
	i := Item{FrameOf(make([]byte, joinBytes), 0), Live} // one is one write
	most := 0
	for range 100 {
		q.add(i)
	}
	for range 100_000 {
		q.add(i)
		if b := q.next(nil, false); len(b.bytes) != i.Frame.Len() {
			t.Fatalf("next gives %d bytes, want one frame", len(b.bytes))
		}
		most = max(most, cap(q.list.items))
	}
	if most > 1000 {
		t.Errorf("100 frames wait, and the array grew to %d", most)
	}
	q.clear()
}

func TestAnEmptyQueueHoldsNoFrames(t *testing.T) {
	t.Parallel()
	var q queue
	if !q.empty() || q.front().Frame != nil {
		t.Error("a new queue is not empty")
	}
	for range 1000 {
		q.add(event("x", Direct))
	}
	b := q.next(make([]byte, 0, joinBytes), false)
	if len(b.bytes) != 1000 || b.events != 1000 || b.direct != 1000 || b.size != 1000 || b.cost != 1000*(1+frameCost) {
		t.Errorf("next = %d bytes of %d, %d events, %d direct, cost %d", len(b.bytes), b.size, b.events, b.direct, b.cost)
	}
	if !q.empty() || q.list != nil || q.one.Frame != nil {
		t.Error("an empty queue holds a list")
	}
	if b := q.next(nil, false); len(b.bytes) != 0 {
		t.Errorf("next of an empty queue gives %d bytes", len(b.bytes))
	}
}

func TestSmallFramesAreJoinedAndLargeOnesAreNotCopied(t *testing.T) {
	t.Parallel()
	small := FrameOf(bytes.Repeat([]byte("s"), joinBytes/4), 0)
	large := FrameOf(bytes.Repeat([]byte("l"), joinBytes/2+1), 0)
	buf := make([]byte, 0, joinBytes)
	var q queue
	for _, f := range []*Frame{small, small, large, small, small, small, small, small} {
		q.add(Item{f, Live})
	}
	for i, want := range []int{2 * small.Len(), large.Len(), joinBytes, small.Len(), 0} {
		b := q.next(buf, false)
		if len(b.bytes) != want {
			t.Errorf("write %d has %d bytes, want %d", i, len(b.bytes), want)
		}
		if i == 1 && &b.bytes[0] != &large.Block()[0] {
			t.Error("the large frame was copied")
		}
		for _, item := range q.list.items[:q.list.head] {
			if item.Frame != nil {
				t.Errorf("after write %d a frame that is out is still held", i)
			}
		}
		if len(b.bytes) > 0 && cap(b.bytes) > joinBytes {
			t.Errorf("write %d grew the buffer to %d", i, cap(b.bytes))
		}
	}
	q.clear()
}

func TestAnItemGoesInFrontOfAllThatWait(t *testing.T) {
	t.Parallel()
	for waiting := range 4 {
		var q queue
		var want strings.Builder
		want.WriteString("first")
		for i := range waiting {
			q.add(event(fmt.Sprint(i), Live))
			want.WriteString(fmt.Sprint(i))
		}
		q.prepend(event("first", Control))
		if b := q.next(make([]byte, 0, joinBytes), false); string(b.bytes) != want.String() {
			t.Errorf("got %q, want %q", b.bytes, want.String())
		}
		q.clear()
	}
}

// TestX51AListIsGivenOnClean: nothing of one stream shows in another. A list that
// was given back may be another test's already (X51), so it is looked at before
// that, and what comes out of the pool is looked at by whoever got it.
func TestX51AListIsGivenOnClean(t *testing.T) {
	t.Parallel()
	for range 100 {
		var q queue
		for range 100 {
			q.add(event("secret", Direct))
		}
		q.drop()
		q.list.rest, q.list.sent = []byte("secret"), batch{cost: 5, direct: 7}
		q.list.reset()
		clean(t, q.list, 0)
		for range 100 {
			q.add(event("secret", Direct))
		}
		q.drop()
		q.list.rest, q.list.sent = []byte("secret"), batch{cost: 5, direct: 7}
		q.clear()
		if q.list != nil || q.one.Frame != nil {
			t.Fatal("a cleared queue holds something")
		}
		other := queue{one: event("mine", Live)}
		clean(t, other.spill(), 1)
		other.add(event("too", Live))
		if b := other.next(make([]byte, 0, 100), false); string(b.bytes) != "minetoo" || b.direct != 0 {
			t.Fatalf("another stream writes %q", b.bytes)
		}
		other.clear()
	}
}

// clean checks that a list has n items and no trace of what it was used for before.
func clean(t *testing.T, l *list, n int) {
	t.Helper()
	if l.head != 0 || len(l.items) != n || l.rest != nil || l.sent.cost != 0 || l.sent.direct != 0 {
		t.Fatalf("the list has %d items, %q and %+v", len(l.items), l.rest, l.sent)
	}
	for i, item := range l.items[n:cap(l.items)] {
		if item.Frame != nil {
			t.Fatalf("item %d of another is still in it", n+i)
		}
	}
}

// TestAFrameIsAChunk is RFC 9112, 7.1.
func TestAFrameIsAChunk(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 9, 15, 16, 255, 256, 4095, 4096, 65_536, 1 << 20} {
		block := bytes.Repeat([]byte("x"), n)
		f := FrameOf(block, 7)
		if want := fmt.Sprintf("%x\r\n%s\r\n", n, block); string(f.bytes(true)) != want || !bytes.Equal(f.bytes(false), block) {
			t.Errorf("%d bytes begin with %q", n, f.chunk[:min(12, len(f.chunk))])
		}
		if f.Len() != n || f.Order() != 7 || !bytes.Equal(f.Block(), block) {
			t.Errorf("Len = %d, Order = %d", f.Len(), f.Order())
		}
		head, rest := f.WithHead([]byte("id: 1\n"), n-1)
		if got := string(head.bytes(true)) + string(rest.bytes(true)); got != "7\r\nid: 1\nx\r\n" {
			t.Errorf("with a head instead of %d bytes: %q", n-1, got)
		}
		if got := string(head.bytes(false)) + string(rest.bytes(false)); got != "id: 1\nx" || head.Len()+rest.Len() != 7 {
			t.Errorf("with a head, without framing: %q", got)
		}
		if want := fmt.Sprintf("%x\r\n", n); string(f.chunk[:len(want)]) != want {
			t.Error("a head changed the frame that it was made of")
		}
	}
}
