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

// kept is a connection that was taken from net/http, but cannot be written to by its
// descriptor, because TLS is in between. Its stream has no goroutine while it is idle,
// one while it is written to, and one while it is read.
type kept struct {
	stream *Stream
	net    net.Conn
	raw    syscall.RawConn // of the connection below TLS; nil if that is closed
}

// maxReadTime bounds the wait for the rest of a TLS record.
const maxReadTime = time.Second

// keep takes over a connection of the net package.
func (s *Stream) keep(c net.Conn, first *Frame, age time.Duration) {
	k := &kept{stream: s, net: c}
	if below, ok := socketOf(c); ok {
		k.raw, _ = below.SyscallConn()
		_ = below.SetWriteBuffer(s.engine.opts.SendBuffer)
	}
	s.engine.startPoller()
	s.begin(&link{k}, first, age)
	s.engine.slots.parked.Add(1)
	if s.state&cut != 0 {
		s.finish(false) // the engine may have stopped, and does not wait for goroutines
		return
	}
	if err := k.control(s.engine.kernel.add); err != nil {
		s.engine.opts.Log.Warn("cannot watch a socket", "cause", err)
		s.writeFailed(err)
	}
	k.start()
	s.mu.Unlock()
}

// control calls ask, so that epoll reports the descriptor once more.
func (k *kept) control(ask func(fd int32, key uint64, once bool) error) error {
	if k.raw == nil {
		return net.ErrClosed
	}
	var err error
	closed := k.raw.Control(func(fd uintptr) { err = ask(int32(fd), k.stream.slot.key(), true) })
	return errors.Join(closed, err)
}

// onEvent acts on an event of epoll, which reports no other until rearm.
func (k *kept) onEvent(ev socketEvent) {
	if ev.gone {
		k.lost()
		return
	}
	k.stream.engine.tasks.Go(func() {
		var scrap [512]byte
		_ = k.net.SetReadDeadline(time.Now().Add(maxReadTime))
		n, err := k.net.Read(scrap[:])
		late := errors.Is(err, os.ErrDeadlineExceeded)
		k.stream.mu.Lock()
		tooMuch := k.stream.countReceived(n)
		k.stream.mu.Unlock()
		if err != nil && !late || tooMuch || k.control(k.stream.engine.kernel.rearm) != nil {
			k.lost()
		}
	})
}

// lost ends the stream of a client that has left.
func (k *kept) lost() {
	b := NewBatch()
	k.stream.Abort(b, wire.Ending{Reason: wire.ClientClosed})
	b.Flush()
}

// start runs the stream in a goroutine, which ends when nothing waits to be written, or
// when the stream has ended. Engine.Run waits for it.
func (k *kept) start() {
	k.stream.engine.tasks.Go(func() {
		sc := scratchPool.Get().(*scratch)
		defer scratchPool.Put(sc)
		k.stream.mu.Lock()
		k.stream.run(sc)
		k.stream.engine.report(sc)
	})
}

func (k *kept) chunked() bool { return true }

func (k *kept) write(p []byte) error {
	_, err := k.net.Write(p)
	return err
}

func (k *kept) interrupt() { _ = k.net.SetWriteDeadline(time.Unix(1, 0)) }

// close closes the connection. After a clean end, TLS sends its alert close_notify, for
// which crypto/tls has a deadline of its own.
func (k *kept) close(clean bool) {
	k.stream.engine.slots.parked.Add(-1)
	if t, ok := k.net.(*tls.Conn); ok && !clean {
		_ = t.NetConn().Close()
		return
	}
	_ = k.net.Close()
}
