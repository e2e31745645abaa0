package stream

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// The tests here are of parked streams, on sockets that do what the test says.

// TestPartialWritesAtEveryByte: wherever a socket stops taking bytes, the client
// gets the same in the end.
func TestPartialWritesAtEveryByte(t *testing.T) {
	t.Parallel()
	first := FrameOf([]byte("retry: 1\n\n"), 0)
	head, rest := FrameOf([]byte("id: 1\ndata: rest\n\n"), 0).WithHead([]byte("id: topic\n"), len("id: 1\n"))
	items := []Item{event("data: 1\n\n", Live), {head, Control}, {rest, Replay}, event("data: "+strings.Repeat("x", 40)+"\n\n", Direct)}
	bye := FrameOf([]byte(": bye\n\n"), 0)
	want := string(first.chunk) + chunked(items...) + string(bye.chunk) + string(terminator)
	// speak is the conversation; with apart each part has a write of its own.
	speak := func(p *parked, apart bool) {
		pause := func() {
			if apart {
				waitIdle()
			}
		}
		b := NewBatch().Hold()
		p.parkAt(p.socket.fd, first, 0)
		_ = p.Push(b, items[0].Frame)
		if apart {
			b.Flush()
			b = NewBatch().Hold()
		}
		_ = p.PushAll(b, items[1:3])
		pause()
		_ = p.PushDirect(b, items[3].Frame)
		b.Flush()
		pause()
		p.end(bye)
	}
	onFake(t, Options{}, func(t *testing.T, r *rig) {
		for _, apart := range []bool{false, true} {
			for room := range len(want) + 1 {
				p := r.make(room)
				speak(p, apart)
				waitIdle()
				if got, closed := p.text(); got != want[:room] || closed != (room == len(want)) {
					t.Fatalf("with room for %d, apart %v: the client has %q, closed %v", room, apart, got, closed)
				}
				p.takes(plenty)
				p.over(endClosed, want)
				if n := p.Undelivered(); n != 0 {
					t.Errorf("%d undelivered", n)
				}
			}
			p := r.make(0)
			speak(p, apart)
			for range want { // a byte at a time
				waitIdle()
				p.takes(1)
			}
			p.over(endClosed, want)
		}
	})
}

// TestALargeFrameIsNotCopied: what a socket did not take of it is read from the
// frame that all streams share.
func TestALargeFrameIsNotCopied(t *testing.T) {
	t.Parallel()
	onFake(t, Options{}, func(t *testing.T, r *rig) {
		i := event("data: "+strings.Repeat("x", 1<<20)+"\n\n", Live)
		p := r.park(100)
		p.takesAll(i)
		p.open(chunked(i)[:100])
		if rest := p.queue.list.rest; &rest[0] != &i.Frame.chunk[100] {
			t.Error("what is left was copied")
		}
		for range 20 {
			p.takes(64 << 10)
			waitIdle()
		}
		p.open(chunked(i))
		p.end(nil)
		p.over(endClosed, chunked(i)+string(terminator))
	})
}

// TestAnIdleStreamHoldsNothing: also after its socket refused for a while.
func TestAnIdleStreamHoldsNothing(t *testing.T) {
	t.Parallel()
	onFake(t, Options{}, func(t *testing.T, r *rig) {
		p := r.park(0)
		i := event("data: 1\n\n", Live)
		p.takesAll(i, i, i)
		waitIdle()
		p.takes(plenty)
		p.open(chunked(i, i, i))
		if p.queue.list != nil || p.queue.one.Frame != nil || p.state&(blocked|writing|ready) != 0 || p.Stream.stuck != 0 || p.awaited {
			t.Errorf("it holds %+v, with state %b", p.queue, p.state)
		}
	})
}

// TestAReusedDescriptorIsAnotherStream: the number and the slot of a stream that
// has ended are given out again at once; a late report does not count.
func TestAReusedDescriptorIsAnotherStream(t *testing.T) {
	t.Parallel()
	onFake(t, Options{}, func(t *testing.T, r *rig) {
		var others []*parked
		keep := r.park(plenty) // keeps the page
		for range 20 {
			old := r.park(plenty)
			one := event("data: old\n\n", Live)
			old.takesAll(one)
			old.end(nil)
			old.over(endClosed, chunked(one)+string(terminator))
			p := r.park(plenty)
			if p.socket.fd != old.socket.fd || p.slot.index != old.slot.index || p.slot == old.slot {
				t.Fatalf("descriptor %d, slot %v after descriptor %d, slot %v", p.socket.fd, p.slot, old.socket.fd, old.slot)
			}
			for _, late := range []socketEvent{{gone: true}, {readable: true}, {writable: true}, {readable: true, writable: true, gone: true}} {
				late.key = old.slot.key()
				r.k.invent(late)
				waitIdle()
			}
			_ = old.push(one)
			old.abort(endDrain)
			p.open("")
			others = append(others, p)
		}
		keep.end(nil)
		for i, p := range others {
			one := event(fmt.Sprintf("data: %d\n\n", i), Live)
			p.takesAll(one)
			p.end(nil)
			p.over(endClosed, chunked(one)+string(terminator))
		}
	})
}

// TestAReportThatIsNotSoDoesNoHarm: as when bytes were taken by somebody else.
func TestAReportThatIsNotSoDoesNoHarm(t *testing.T) {
	t.Parallel()
	onFake(t, Options{}, func(t *testing.T, r *rig) {
		p, blocked := r.park(plenty), r.park(1)
		one := event("data: 1\n\n", Live)
		blocked.takesAll(one)
		for _, s := range []*parked{p, blocked} {
			r.k.invent(socketEvent{key: s.slot.key(), readable: true, writable: true})
			r.k.invent(socketEvent{key: s.slot.key()})
		}
		r.k.invent(socketEvent{key: slot{1 << 30, 0}.key(), gone: true})
		p.open("")
		blocked.open(chunked(one)[:1])
	})
}

func TestEndingWhileBlockedDeliversAll(t *testing.T) {
	t.Parallel()
	onFake(t, Options{}, func(t *testing.T, r *rig) {
		p := r.park(4)
		var items []Item
		for i := range 3000 { // of several writes
			items = append(items, event(fmt.Sprintf("data: %d\n\n", i), Direct))
		}
		p.takesAll(items...)
		waitIdle()
		bye := event(": bye\n\n", Control)
		p.end(bye.Frame)
		if err := p.push(items[0]); !errors.Is(err, ErrEnded) {
			t.Errorf("push = %v, want ErrEnded", err)
		}
		want := chunked(items...) + chunked(bye) + string(terminator)
		waitIdle()
		if got, closed := p.text(); got != want[:4] || closed {
			t.Errorf("the client has %q, closed %v", got, closed)
		}
		for {
			p.takes(999)
			waitIdle()
			if _, closed := p.text(); closed {
				break
			}
			time.Sleep(r.opts.WriteTimeout / 2)
		}
		p.over(endClosed, want)
	})
}

func TestMaxPendingOfAParkedStream(t *testing.T) {
	t.Parallel()
	onFake(t, Options{MaxPending: 1000}, func(t *testing.T, r *rig) {
		frame := func(kind Kind) Item { return event(strings.Repeat("x", 400), kind) }
		p := r.park(1)
		p.takesAll(frame(Live), frame(Live))
		waitIdle()
		if err := p.push(frame(Direct)); !errors.Is(err, ErrFull) {
			t.Errorf("push = %v, want ErrFull: the socket has just begun to refuse", err)
		}
		p.takesAll(frame(Live))
		if got := p.Pending(); got != 3*432 {
			t.Errorf("%d pending, want %d", got, 3*432)
		}
		time.Sleep(stuckAfter + 2*time.Millisecond)
		if err := p.push(frame(Live)); !errors.Is(err, ErrSlow) {
			t.Errorf("push = %v, want ErrSlow", err)
		}
		p.over(endSlow, chunked(frame(Live))[:1])
	})
}
