package stream_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"sluice/internal/stream"
)

// The tests here use real sockets, where nothing tells the time that something
// takes: their limits are far away.

// onEachSocket runs a test over TCP and over TLS with HTTP/2.
func onEachSocket(t *testing.T, test func(t *testing.T, s *httptest.Server, sessions chan *session)) {
	t.Parallel()
	for _, version := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			sessions := make(chan *session, 1)
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Proto != version {
					t.Errorf("request by %s, want %s", r.Proto, version)
				}
				s := &session{Stream: stream.New(r.Context(), maxPending), done: make(chan struct{})}
				sessions <- s
				s.why, s.clean = s.Serve(w, nil, stream.Options{WriteTimeout: time.Minute, Heartbeat: 20 * time.Millisecond})
				close(s.done)
				if !s.clean {
					panic(http.ErrAbortHandler)
				}
			}))
			if server.EnableHTTP2 = version == "HTTP/2.0"; server.EnableHTTP2 {
				server.StartTLS()
			} else {
				server.Start()
			}
			t.Cleanup(server.Close)
			test(t, server, sessions)
		})
	}
}

func get(t *testing.T, server *httptest.Server) *http.Response {
	t.Helper()
	response, err := server.Client().Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

func TestSocketsCarryHeartbeatsEventsAndTheEnd(t *testing.T) {
	onEachSocket(t, func(t *testing.T, server *httptest.Server, sessions chan *session) {
		response := get(t, server)
		s := <-sessions
		body := bufio.NewReader(response.Body)
		for range 5 {
			if got := line(t, body); got != ": heartbeat" {
				t.Errorf("got %q, want a heartbeat", got)
			}
		}
		var want strings.Builder
		for i := range 100 {
			f := live(fmt.Sprint(i, strings.Repeat("x", i*i)))
			want.Write(f.Bytes)
			push(t, s, f)
		}
		s.End(closed, nil)
		got := strings.ReplaceAll(all(t, iotest.OneByteReader(body)), ": heartbeat\n\n", "")
		if strings.TrimSpace(got) != strings.TrimSpace(want.String()) {
			t.Errorf("got %d bytes, want %d", len(got), want.Len())
		}
		<-s.done
		if s.why != closed || !s.clean {
			t.Errorf("Serve = %+v, clean %v", s.why, s.clean)
		}
	})
}

func TestSocketsCarryACut(t *testing.T) {
	onEachSocket(t, func(t *testing.T, server *httptest.Server, sessions chan *session) {
		response := get(t, server)
		s := <-sessions
		s.Abort(closed)
		if _, err := io.Copy(io.Discard, response.Body); err == nil {
			t.Error("the client saw an end, want a cut")
		}
		<-s.done
	})
}

// TestAClientThatLeavesItsSocketFullIsNoticed: more is written than all buffers
// hold, then the client goes.
func TestAClientThatLeavesItsSocketFullIsNoticed(t *testing.T) {
	onEachSocket(t, func(t *testing.T, server *httptest.Server, sessions chan *session) {
		response := get(t, server)
		s := <-sessions
		_ = s.PushAll([]stream.Frame{frame(strings.Repeat("x", 64<<20), stream.Replay)})
		if _, err := io.ReadFull(response.Body, make([]byte, 1<<20)); err != nil {
			t.Errorf("read the first of it: %v", err)
		}
		_ = response.Body.Close()
		<-s.done
		if s.why != clientClosed || s.clean {
			t.Errorf("Serve = %+v, clean %v; want %+v", s.why, s.clean, clientClosed)
		}
	})
}

// TestAClientThatClosesItsHalfHasLeft: an end of what it sends is all that a
// gateway sees of many clients that go.
func TestAClientThatClosesItsHalfHasLeft(t *testing.T) {
	t.Parallel()
	ended := make(chan *session, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := &session{Stream: stream.New(r.Context(), maxPending)}
		_ = s.PushAll([]stream.Frame{frame(strings.Repeat("x", 64<<20), stream.Replay)}) // is stuck for ever
		s.why, s.clean = s.Serve(w, nil, stream.Options{WriteTimeout: time.Hour, Heartbeat: time.Hour})
		ended <- s
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(server.Close)
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if s := <-ended; s.why != clientClosed || s.clean {
		t.Errorf("Serve = %+v, clean %v; want %+v", s.why, s.clean, clientClosed)
	}
}

// TestAStuckStreamDoesNotHoldUpOthersOfItsConnection is about two streams that
// share one connection by HTTP/2.
func TestAStuckStreamDoesNotHoldUpOthersOfItsConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var protocols http.Protocols
		protocols.SetUnencryptedHTTP2(true)
		n := newNetwork(t, &protocols)
		stuck, _ := n.open()
		other, response := n.open()
		start := time.Now()
		stick(t, stuck)
		push(t, other, live("at once"))
		body := bufio.NewReader(response.Body)
		if got := line(t, body); got != "data: at once" || time.Since(start) != 0 {
			t.Errorf("got %q after %v", got, time.Since(start))
		}
		beats(t, body, 1)
		stuck.ended(t, start, writeTimeout, slowConsumer, false)
		beats(t, body, 5)
		push(t, other, live("still"))
		if got := line(t, body); got != "data: still" {
			t.Errorf("got %q", got)
		}
	})
}
