package stream

import (
	"bytes"
	"errors"
	"net"
	"sync"
	"syscall"
	"testing"
)

// sockets makes a pair of connected sockets, and a kernel.
func sockets(t *testing.T) (k kernel, ours, theirs int) {
	t.Helper()
	k, err := newKernel()
	if err != nil {
		t.Fatal(err)
	}
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		k.free()
		_ = syscall.Close(pair[1])
	})
	return k, pair[0], pair[1]
}

// one waits for the next report, of which there must be one.
func one(t *testing.T, k kernel) socketEvent {
	t.Helper()
	got := k.wait(nil)
	if len(got) != 1 {
		t.Fatalf("reports %+v, want one", got)
	}
	return got[0]
}

func TestEpollReportsWhatIsWatched(t *testing.T) {
	t.Parallel()
	k, ours, theirs := sockets(t)
	const key = 7<<32 | 1<<31 | 5
	if err := k.add(int32(ours), key, false); err != nil {
		t.Fatal(err)
	}
	if n, gone := k.receive(int32(ours), make([]byte, 10)); n != 0 || gone {
		t.Errorf("receive of nothing = %d, %v", n, gone)
	}
	_, _ = syscall.Write(theirs, []byte("abc"))
	for range 2 { // until it is received
		if got, want := one(t, k), (socketEvent{key: key, readable: true}); got != want {
			t.Errorf("report %+v, want %+v", got, want)
		}
	}
	buf := make([]byte, 10)
	if n, gone := k.receive(int32(ours), buf); string(buf[:n]) != "abc" || gone {
		t.Errorf("received %q, %v", buf[:n], gone)
	}
	// It fills up.
	sent := 0
	for p := bytes.Repeat([]byte("x"), 64<<10); ; {
		n, err := k.send(int32(ours), p)
		if err != nil {
			t.Fatal(err)
		}
		if sent += n; n < len(p) {
			break
		}
	}
	if err := k.await(int32(ours), key+1, true); err != nil {
		t.Fatal(err)
	}
	for got := 0; got < sent; {
		n, err := syscall.Read(theirs, make([]byte, 64<<10))
		if err != nil || n == 0 {
			t.Fatalf("%d of %d bytes came: %v", got, sent, err)
		}
		got += n
	}
	if got, want := one(t, k), (socketEvent{key: key + 1, writable: true}); got != want {
		t.Errorf("report %+v, want %+v", got, want)
	}
	if err := k.await(int32(ours), key, false); err != nil {
		t.Fatal(err)
	}
	// The other end closes its half.
	_ = syscall.Shutdown(theirs, syscall.SHUT_WR)
	if got := one(t, k); !got.gone || got.key != key || got.writable {
		t.Errorf("report %+v, want a hang-up", got)
	}
	if _, gone := k.receive(int32(ours), buf); !gone {
		t.Error("receive does not see the end")
	}
	k.close(int32(ours))
	if _, err := k.send(int32(ours), []byte("x")); err == nil {
		t.Error("a closed socket takes bytes")
	}
}

func TestEpollReportsOnceIfAsked(t *testing.T) {
	t.Parallel()
	k, ours, theirs := sockets(t)
	_, _ = syscall.Write(theirs, []byte("abc")) // before it is watched
	if err := k.add(int32(ours), 1, true); err != nil {
		t.Fatal(err)
	}
	if got := one(t, k); !got.readable || got.key != 1 {
		t.Errorf("report %+v", got)
	}
	if err := k.rearm(int32(ours), 2, true); err != nil {
		t.Fatal(err)
	}
	if got := one(t, k); !got.readable || got.key != 2 {
		t.Errorf("report after rearm %+v", got)
	}
	k.stop() // nothing else is reported
	if got := k.wait(nil); len(got) != 0 {
		t.Errorf("reports after stop: %+v", got)
	}
	k.close(int32(ours))
	for name, err := range map[string]error{"add": k.add(-1, 1, false), "await": k.await(-1, 1, true), "rearm": k.rearm(-1, 1, true)} {
		if err != syscall.EBADF {
			t.Errorf("%s of no descriptor: %v, want EBADF", name, err)
		}
	}
}

func TestEpollStopsWhoWaits(t *testing.T) {
	t.Parallel()
	k, ours, _ := sockets(t)
	var waiting sync.WaitGroup
	waiting.Go(func() {
		if got := k.wait(nil); len(got) != 0 {
			t.Errorf("reports %+v, want none", got)
		}
	})
	k.stop()
	waiting.Wait()
	k.close(int32(ours))
}

// TestADuplicateOutlivesItsConnection, and has its options.
func TestADuplicateOutlivesItsConnection(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	fd, err := duplicate(raw, Options{SendBuffer: 30_000, WriteTimeout: 7_000_000_000})
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	if _, err := duplicate(raw, Options{}); err == nil {
		t.Error("a closed connection was duplicated")
	}
	if n, err := syscall.Write(int(fd), []byte("still here")); n != 10 || err != nil {
		t.Errorf("write: %d, %v", n, err)
	}
	if got, err := syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF); got < 30_000 || got > 100_000 {
		t.Errorf("SO_SNDBUF = %d, %v", got, err)
	}
	if got, err := syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout); got != 7000 {
		t.Errorf("TCP_USER_TIMEOUT = %d, %v; want 7000", got, err)
	}
	buf := make([]byte, 10)
	if n, err := client.Read(buf); string(buf[:n]) != "still here" {
		t.Errorf("the client reads %q, %v", buf[:n], err)
	}
	_ = syscall.Close(int(fd))
	if n, err := client.Read(buf); n != 0 || err == nil {
		t.Errorf("the client reads %d, %v; want the end", n, err)
	}
}

// TestX35WhatIsReadAtTheEndIsBounded: a client that goes on sending would hold who
// closes its socket.
func TestX35WhatIsReadAtTheEndIsBounded(t *testing.T) {
	t.Parallel()
	k, err := newKernel()
	if err != nil {
		t.Fatal(err)
	}
	defer k.free()
	for _, c := range []struct {
		sent int
		want error // what the client sees
	}{{mostDrained / 2, nil}, {mostDrained + 4096, syscall.ECONNRESET}} {
		pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := syscall.Write(pair[1], make([]byte, c.sent)); n != c.sent || err != nil {
			t.Fatalf("sent %d, %v", n, err)
		}
		k.close(int32(pair[0]))
		if n, err := syscall.Read(pair[1], make([]byte, 1)); n > 0 || !errors.Is(err, c.want) {
			t.Errorf("after %d bytes: read %d, %v, want %v", c.sent, n, err, c.want)
		}
		_ = syscall.Close(pair[1])
	}
}
