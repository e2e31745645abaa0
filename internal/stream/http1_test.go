package stream_test

import (
	"io"
	"net"
	"strings"
	"testing"

	"tidegate/internal/wire"
)

// onHTTP1Sockets runs a test on the transports of HTTP/1.1, whose bytes a test
// can write and read by itself.
func onHTTP1Sockets(t *testing.T, test func(s *site)) {
	t.Parallel()
	for _, tr := range transports[:3] {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			test(newSite(t, tr, fast))
		})
	}
}

// TestTheBytesOfHTTP1AreTheSame is about the framing: whoever makes it, it is that
// of RFC 9112, 7.1, with one end and nothing behind it.
func TestTheBytesOfHTTP1AreTheSame(t *testing.T) {
	onHTTP1Sockets(t, func(s *site) {
		one, _, r := s.dial("")
		s.gets(r, "d\r\nretry: 1000\n\n\r\n")
		one.takes(live("1"))
		s.gets(r, "9\r\ndata: 1\n\n\r\n")
		one.takes(live(strings.Repeat("x", 300)))
		s.gets(r, "134\r\ndata: "+strings.Repeat("x", 300)+"\n\n\r\n")
		one.end(closed, nil)
		if got := all(s, io.LimitReader(r, int64(len("0\r\n\r\n")))); got != "0\r\n\r\n" {
			s.Errorf("it ends with %q", got)
		}
		s.wantEnded(one, closed)
	})
}

// TestAClientThatClosesItsHalfHasLeft: an end of what it sends is all that a
// gateway sees of many clients that go.
func TestAClientThatClosesItsHalfHasLeft(t *testing.T) {
	onHTTP1Sockets(t, func(s *site) {
		for _, full := range []bool{false, true} {
			one, conn, r := s.dial("")
			if full {
				one.takes(huge())
				s.gets(r, "d\r\n")
			}
			if err := conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
				s.Fatal(err)
			}
			s.wantEnded(one, clientClosed)
			_ = conn.Close()
		}
	})
}

// TestWhatIsSentBehindTheRequestIsNotAnswered: neither what was read with the
// request nor what comes later becomes another request.
func TestWhatIsSentBehindTheRequestIsNotAnswered(t *testing.T) {
	const another = "GET /another HTTP/1.1\r\nHost: example.com\r\n\r\n"
	onHTTP1Sockets(t, func(s *site) {
		if s.noParking {
			return // net/http answers it after the stream, on the same connection
		}
		one, conn, r := s.dial(another + another)
		if _, err := io.WriteString(conn, another); err != nil {
			s.Fatal(err)
		}
		one.takes(live("1"))
		one.end(closed, nil)
		if got, want := all(s, r), "d\r\nretry: 1000\n\n\r\n9\r\ndata: 1\n\n\r\n0\r\n\r\n"; got != want {
			s.Errorf("got %q, want %q", got, want)
		}
		s.wantEnded(one, closed)
	})
}

func TestAClientThatSendsTooMuchIsEnded(t *testing.T) {
	onHTTP1Sockets(t, func(s *site) {
		if s.noParking {
			return // net/http reads one byte of it, and the rest waits in the kernel
		}
		one, conn, _ := s.dial("")
		var sent int64
		for err := error(nil); err == nil; sent++ {
			_, err = conn.Write(make([]byte, 1<<10))
		}
		s.wantEnded(one, wire.Ending{Reason: wire.Failed, Detail: wire.DetailClientSends})
	})
}

// TestAServerWithoutConnContextStillServes: its streams keep their goroutines.
func TestAServerWithoutConnContextStillServes(t *testing.T) {
	t.Parallel()
	s := newSite(t, transport{name: "without ConnContext", version: 1, deaf: true}, fast)
	one, response := s.open()
	if got := s.engine.Parked(); got != 0 {
		t.Errorf("%d parked, want none", got)
	}
	one.takes(live("1"))
	s.gets(response.Body, "data: 1\n\n")
	_ = response.Body.Close()
	s.wantEnded(one, clientClosed)
}

// TestHTTP10IsNotParked: it has no chunks, so its end is that of the connection.
func TestHTTP10IsNotParked(t *testing.T) {
	t.Parallel()
	s := newSite(t, transports[0], fast)
	conn, err := net.Dial("tcp", s.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n")
	one := <-s.sessions
	one.takes(live("1"))
	one.end(closed, nil)
	head, body, _ := strings.Cut(all(t, conn), "\r\n\r\n")
	if body != string(opening.Block())+"data: 1\n\n" || strings.Contains(head, "chunked") {
		t.Errorf("got %q behind %q", body, head)
	}
	s.wantEnded(one, closed)
}
