package stream

import (
	"errors"
	"io"
	"syscall"
	"testing"
)

// The tests here are of how parked streams end, before their time or not.

func TestLeavingWhileAWriteIsPending(t *testing.T) {
	t.Parallel()
	onFake(t, Options{}, func(t *testing.T, r *rig) {
		for name, leave := range map[string]func(*parked){
			"hang-up": func(p *parked) { p.socket.leaves() },
			"reset":   func(p *parked) { p.breaks(syscall.ECONNRESET) },
			"broken":  func(p *parked) { p.breaks(syscall.EPIPE) },
			"hang-up as the socket takes more": func(p *parked) {
				p.set(func(c *socket) { c.gone, c.room = true, plenty })
			},
		} {
			p := r.park(5)
			one := event("data: 1\n\n", Direct)
			p.takesAll(one)
			waitIdle()
			p.takesAll(one)
			leave(p)
			waitIdle()
			p.over(endLeft, chunked(one)[:5])
			if n := p.Undelivered(); n != 2 {
				t.Errorf("%s: %d undelivered, want both", name, n)
			}
			if err := p.push(one); !errors.Is(err, ErrEnded) {
				t.Errorf("%s: push = %v, want ErrEnded", name, err)
			}
		}
	})
}

func TestClosingWhileParked(t *testing.T) {
	t.Parallel()
	onFake(t, Options{}, func(t *testing.T, r *rig) {
		p := r.park(plenty)
		p.open("")
		if !p.end(nil) || p.end(nil) {
			t.Error("it was not the first End that decided")
		}
		p.over(endClosed, string(terminator))

		p = r.park(plenty)
		p.open("")
		p.abort(endDrain)
		p.over(endDrain, "")
		p.abort(endClosed) // does nothing
		p.over(endDrain, "")
	})
}

func TestHangUpDuringTheHandOver(t *testing.T) {
	t.Parallel()
	first := FrameOf([]byte("retry: 1\n\n"), 0)
	onFake(t, Options{}, func(t *testing.T, r *rig) {
		p := r.make(plenty)
		p.socket.leaves() // before it is parked
		p.parkAt(p.socket.fd, first, 0)
		p.over(endLeft, string(first.chunk))

		p = r.make(plenty)
		p.breaks(syscall.EPIPE)
		p.parkAt(p.socket.fd, first, 0)
		p.over(endLeft, "")

		p = r.make(plenty)
		p.during = p.socket.leaves // while the first bytes are written
		p.parkAt(p.socket.fd, first, 0)
		p.over(endLeft, string(first.chunk))

		p = r.make(plenty)
		r.k.refuses = syscall.ENOMEM
		p.parkAt(p.socket.fd, first, 0)
		p.over(endFailed, "")
		r.k.refuses = nil
	})
}

// TestAnEndDuringAWrite: whatever comes while a write is in the kernel is seen
// by who writes, also when the socket refuses.
func TestAnEndDuringAWrite(t *testing.T) {
	t.Parallel()
	one, two := event("data: 1\n\n", Direct), event("data: 2\n\n", Direct)
	onFake(t, Options{}, func(t *testing.T, r *rig) {
		for room := range len(chunked(one)) + 1 {
			p := r.park(room)
			p.set(func(c *socket) { c.during = func() { p.abort(endDrain) } })
			p.takesAll(one)
			p.over(endDrain, chunked(one)[:room])

			p = r.park(room)
			p.set(func(c *socket) { c.during = func() { p.takesAll(two); p.end(nil) } })
			p.takesAll(one)
			p.takes(plenty)
			p.over(endClosed, chunked(one, two)+string(terminator))
		}
		// While something is received.
		p := r.park(plenty)
		p.set(func(c *socket) { c.during = func() { p.abort(endDrain) }; c.came = 1 })
		r.k.change.Broadcast()
		p.over(endDrain, "")
		p = r.park(plenty)
		p.set(func(c *socket) { c.during = func() { p.takesAll(one); p.end(nil) }; c.came = 1 })
		p.over(endClosed, chunked(one)+string(terminator))
	})
}

// TestWhoWritesIsNotDisturbed: a report that comes during a write is left, and
// comes again. Only who writes may close the socket.
func TestWhoWritesIsNotDisturbed(t *testing.T) {
	t.Parallel()
	onFake(t, Options{}, func(t *testing.T, r *rig) {
		one, two := event("data: 1\n\n", Direct), event("data: 2\n\n", Direct)
		p := r.park(plenty)
		p.set(func(c *socket) {
			c.during = func() {
				r.k.invent(socketEvent{key: p.slot.key(), readable: true, writable: true, gone: true})
				waitIdle() // it is reported before the write goes on
				p.takesAll(two)
			}
		})
		p.takesAll(one)
		p.open(chunked(one, two))
		p.set(func(c *socket) {
			c.during = func() {
				r.k.invent(socketEvent{key: p.slot.key(), gone: true})
				waitIdle()
				c.leaves() // now it is so
			}
		})
		p.takesAll(one)
		p.over(endLeft, chunked(one, two, one))
	})
}

// TestAnAbortNeedNotWaitForTheSocket: one that refuses is closed at once.
func TestAnAbortNeedNotWaitForTheSocket(t *testing.T) {
	t.Parallel()
	onFake(t, Options{}, func(t *testing.T, r *rig) {
		p := r.park(3)
		one := event("data: 1\n\n", Direct)
		p.takesAll(one)
		p.open(chunked(one)[:3])
		p.abort(endDrain)
		p.over(endDrain, chunked(one)[:3])
		if n := p.Undelivered(); n != 1 {
			t.Errorf("%d undelivered, want 1", n)
		}
	})
}

func TestAClientMaySendLittle(t *testing.T) {
	t.Parallel()
	onFake(t, Options{}, func(t *testing.T, r *rig) {
		p := r.park(plenty)
		p.says(maxReceived)
		p.open("")
		if n := p.unread(); n != 0 {
			t.Errorf("%d bytes were not received", n)
		}
		p.says(1)
		p.over(endSends, "")

		p = r.park(plenty)
		p.says(100 << 20) // is not read to the end
		p.over(endSends, "")

		p = r.park(0) // refuses meanwhile
		p.takesAll(event("data: 1\n\n", Live))
		p.says(maxReceived)
		p.open("")
		p.says(1)
		p.over(endSends, "")

		p = r.park(plenty) // a request behind the first, and then it leaves
		p.set(func(c *socket) { c.came, c.gone = 500, true })
		p.over(endLeft, "")
	})
}

func TestTheErrorOfAParkedWriteSaysWhoEndedTheStream(t *testing.T) {
	t.Parallel()
	onFake(t, Options{}, func(t *testing.T, r *rig) {
		p := r.park(plenty)
		p.failsNext(io.ErrUnexpectedEOF) // any that nobody knows
		p.takesAll(event("data: 1\n\n", Direct))
		p.over(endFailed, "")
		if n := p.Undelivered(); n != 1 {
			t.Errorf("%d undelivered, want 1", n)
		}
		// The kernel does not watch a socket that refuses: nobody would wake it.
		p = r.park(0)
		r.k.refuses = syscall.ENOMEM
		p.takesAll(event("data: 1\n\n", Direct))
		p.over(endFailed, "")
		r.k.refuses = nil
		// A reason that was decided before stays.
		p = r.park(0)
		p.takesAll(event("data: 1\n\n", Direct))
		waitIdle()
		p.end(nil)
		p.breaks(syscall.EPIPE)
		p.over(endClosed, "")
	})
}

func TestCutAllCutsAll(t *testing.T) {
	t.Parallel()
	onFake(t, Options{}, func(t *testing.T, r *rig) {
		var all []*parked
		for i := range 3000 {
			p := r.park(i % 3 * (plenty / 2))
			p.takesAll(event("data: 1\n\n", Live))
			all = append(all, p)
		}
		waitIdle()
		if r.Parked() != len(all) {
			t.Errorf("%d parked, want %d", r.Parked(), len(all))
		}
		r.CutAll()
		waitIdle()
		for _, p := range all {
			p.over(endDrain, map[bool]string{true: chunked(event("data: 1\n\n", Live))}[p.length() > 0])
		}
		r.empty()
	})
}

// TestAStreamThatComesTooLateIsCut: one that is parked as the engine stops, when
// no report of it would come any more.
func TestAStreamThatComesTooLateIsCut(t *testing.T) {
	t.Parallel()
	onFake(t, Options{}, func(t *testing.T, r *rig) {
		r.stopped.Store(true)
		p := r.park(plenty)
		p.over(endDrain, "")
	})
}
