package stream

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"tidegate/internal/wire"
)

// kept is a connection that was taken from net/http but whose descriptor alone
// is not enough, because TLS is in between: a stream of it has no goroutine
// while it is idle, one while something is written, and one while something
// has come.
type kept struct {
	stream *Stream
	net    net.Conn
	raw    syscall.RawConn // of the connection below; nil if it has gone
}

// readPatience is how long a reader waits for the rest of a TLS record.
const readPatience = time.Second

// keep parks the stream at a connection of the net package.
func (s *Stream) keep(c net.Conn, first *Frame, age time.Duration) {
	k := &kept{stream: s, net: c}
	if below, ok := socketOf(c); ok {
		k.raw, _ = below.SyscallConn()
		_ = below.SetWriteBuffer(s.engine.opts.SendBuffer)
	}
	s.engine.hears()
	s.begin(&link{k}, first, age)
	s.engine.slots.parked.Add(1)
	if s.state&cut != 0 {
		s.finish(false) // the engine may have stopped, and nobody waits for goroutines
		return
	}
	if err := k.control(s.engine.kernel.add); err != nil {
		s.engine.opts.Log.Warn("cannot watch a socket", "cause", err)
		s.broken(err)
	}
	k.start()
	s.mu.Unlock()
}

// control has the descriptor reported once more.
func (k *kept) control(ask func(fd int32, key uint64, once bool) error) error {
	if k.raw == nil {
		return net.ErrClosed
	}
	var err error
	closed := k.raw.Control(func(fd uintptr) { err = ask(int32(fd), k.stream.slot.key(), true) })
	return errors.Join(closed, err)
}

// hear acts on a report of the kernel, which gives no other until rearm.
func (k *kept) hear(r report) {
	if r.gone {
		k.lost()
		return
	}
	k.stream.engine.tasks.Go(func() {
		var scrap [512]byte
		_ = k.net.SetReadDeadline(time.Now().Add(readPatience))
		n, err := k.net.Read(scrap[:])
		late := errors.Is(err, os.ErrDeadlineExceeded)
		k.stream.mu.Lock()
		tooMuch := k.stream.tooMuch(n)
		k.stream.mu.Unlock()
		if err != nil && !late || tooMuch || k.control(k.stream.engine.kernel.rearm) != nil {
			k.lost()
		}
	})
}

// lost ends the stream of a client that has gone.
func (k *kept) lost() {
	b := NewBatch()
	k.stream.Abort(b, wire.Ending{Reason: wire.ClientClosed})
	b.Flush()
}

// start runs the stream in a goroutine of its own, which Engine.Run waits for.
// It ends when nothing waits to be written, or the stream has ended.
func (k *kept) start() {
	k.stream.engine.tasks.Go(func() {
		p := pens.Get().(*pen)
		defer pens.Put(p)
		k.stream.mu.Lock()
		k.stream.run(p)
		k.stream.engine.report(p)
	})
}

func (k *kept) chunked() bool { return true }

func (k *kept) write(p []byte) error {
	_, err := k.net.Write(p)
	return err
}

func (k *kept) interrupt() { _ = k.net.SetWriteDeadline(time.Unix(1, 0)) }

// close closes the connection. After a clean end TLS says goodbye, for which it
// has a deadline of its own.
func (k *kept) close(clean bool) {
	k.stream.engine.slots.parked.Add(-1)
	if t, ok := k.net.(*tls.Conn); ok && !clean {
		_ = t.NetConn().Close()
		return
	}
	_ = k.net.Close()
}
