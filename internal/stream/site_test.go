package stream_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"tidegate/internal/stream"
	"tidegate/internal/wire"
)

// The tests here use real sockets, where nothing says how long something
// takes: their limits are far away.

// transport is one way in which a stream gets to a client.
type transport struct {
	name      string
	parks     bool // the request's goroutine ends
	noParking bool
	deaf      bool // without ConnContext
	tls       bool
	version   int // of HTTP
}

var transports = []transport{
	{name: "parked", version: 1, parks: true},
	{name: "handler", version: 1, noParking: true},
	{name: "TLS", version: 1, parks: true, tls: true},
	{name: "HTTP2", version: 2, tls: true},
	{name: "h2c", version: 2},
}

// site is a server on a real socket, and a client.
type site struct {
	*testing.T
	transport
	engine   *stream.Engine
	server   *httptest.Server
	client   *http.Client
	sessions chan *session
	prepare  func(*session)
}

// fast are options that tests need not wait long for, but to beat.
var fast = stream.Options{MaxPending: 256 << 10, WriteTimeout: time.Minute, Heartbeat: time.Hour}

// huge is more than all buffers between the two ends hold.
var huge = sync.OnceValue(func() stream.Item { return frame(strings.Repeat("x", 32<<20), stream.Replay) })

var opening = stream.FrameOf([]byte("retry: 1000\n\n"), 0)

func newSite(t *testing.T, tr transport, opts stream.Options) *site {
	opts.NoParking = tr.noParking
	s := &site{T: t, transport: tr, engine: run(t, opts), sessions: make(chan *session, 1)}
	s.server = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	if !tr.deaf {
		s.server.Config.ConnContext = stream.ConnContext
	}
	s.server.Config.ErrorLog = log.New(io.Discard, "", 0) // resets by clients
	var protocols http.Protocols
	switch protocols.SetHTTP1(tr.version == 1); {
	case tr.tls:
		s.server.EnableHTTP2 = tr.version == 2
		s.server.StartTLS()
		s.client = s.server.Client()
	default:
		protocols.SetUnencryptedHTTP2(tr.version == 2)
		s.server.Config.Protocols = &protocols
		s.server.Start()
		s.client = &http.Client{Transport: &http.Transport{Protocols: &protocols}}
	}
	t.Cleanup(func() {
		s.client.CloseIdleConnections()
		s.server.Close()
	})
	return s
}

func (s *site) serve(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor != s.version {
		s.Errorf("request by %s, want HTTP/%d", r.Proto, s.version)
	}
	one := newSession(s, s.engine)
	if s.prepare != nil {
		s.prepare(one)
	}
	w.Header().Set("Content-Type", "text/event-stream")
	s.sessions <- one
	one.serve(w, r, opening)
}

// open opens a stream and reads its first block.
func (s *site) open() (*session, *http.Response) {
	s.Helper()
	response, err := s.client.Get(s.server.URL)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = response.Body.Close() })
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "text/event-stream" || response.ProtoMajor != s.version {
		s.Errorf("%s %s of %q", response.Proto, response.Status, response.Header.Get("Content-Type"))
	}
	got := make([]byte, opening.Len())
	if _, err := io.ReadFull(response.Body, got); err != nil || !bytes.Equal(got, opening.Block()) {
		s.Errorf("the stream begins with %q, %v; want %q", got, err, opening.Block())
	}
	one := <-s.sessions
	if s.parks {
		<-one.served
		if got := s.engine.Parked(); got != 1 {
			s.Errorf("%d parked, want 1", got)
		}
	}
	return one, response
}

// dial opens a stream by hand. The connection is read from behind the head.
func (s *site) dial(extra string) (*session, net.Conn, *bufio.Reader) {
	s.Helper()
	var conn net.Conn
	conn, err := net.Dial("tcp", s.server.Listener.Addr().String())
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = conn.Close() })
	if s.tls {
		config := s.client.Transport.(*http.Transport).TLSClientConfig.Clone()
		config.ServerName = "example.com" // as the certificate of httptest says
		conn = tls.Client(conn, config)
	}
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"+extra); err != nil {
		s.Fatal(err)
	}
	r := bufio.NewReader(conn)
	for text := ""; text != "\r\n"; {
		if text, err = r.ReadString('\n'); err != nil {
			s.Fatal(err)
		}
	}
	return <-s.sessions, conn, r
}

// gets checks what comes next.
func (s *site) gets(r io.Reader, want string) {
	s.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(r, got); err != nil || string(got) != want {
		s.Errorf("got %.60q of %d bytes, %v; want %.60q of %d", got, n, err, want, len(want))
	}
}

// wantEnded waits for the end of a stream.
func (s *site) wantEnded(one *session, why wire.Ending) {
	s.Helper()
	<-one.over
	<-one.served
	if one.why != why {
		s.Errorf("Ended = %+v, want %+v", one.why, why)
	}
	if n := one.Pending(); n != 0 {
		s.Errorf("%d pending after the end", n)
	}
	if n := s.engine.Parked(); n != 0 {
		s.Errorf("%d parked after the end", n)
	}
}

// wantCut checks that a client sees that something is missing.
func (s *site) wantCut(r io.Reader) {
	s.Helper()
	_, err := io.Copy(io.Discard, r)
	if err == nil || s.version == 1 && !errors.Is(err, io.ErrUnexpectedEOF) {
		s.Errorf("the client reads to %v, want a cut", err)
	}
}
