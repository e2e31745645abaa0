package stream_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sluice/internal/pipenet"
	"sluice/internal/stream"
	"sluice/internal/wire"
)

const (
	writeTimeout = 30 * time.Second
	beat         = 15 * time.Second
	maxPending   = 1 << 20
	// large is more than all that lies between a writer and a client that does
	// not read: a pipe, the client's buffer, and on HTTP/2 a window of 4 MiB.
	large = 5 << 20
)

// network is a server of streams and a client, joined by pipes in a bubble.
type network struct {
	t        *testing.T
	listener *pipenet.Listener
	client   *http.Client
	opts     stream.Options
	first    []byte
	prepare  func(*stream.Stream) // called before the stream is served
	sessions chan *session
}

// session is one stream on its server.
type session struct {
	*stream.Stream
	leave context.CancelFunc // ends the request's context
	done  chan struct{}      // closed when Serve has returned
	why   wire.Ending
	clean bool
}

// onEachProtocol runs a test in a bubble for each version of HTTP.
func onEachProtocol(t *testing.T, test func(t *testing.T, n *network)) {
	t.Parallel()
	for _, version := range []string{"HTTP1", "HTTP2"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var protocols http.Protocols
				protocols.SetHTTP1(version == "HTTP1")
				protocols.SetUnencryptedHTTP2(version == "HTTP2")
				test(t, newNetwork(t, &protocols))
			})
		})
	}
}

// onHTTP1 runs a test in a bubble on HTTP/1.1 alone.
func onHTTP1(t *testing.T, test func(t *testing.T, n *network)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { test(t, newNetwork(t, nil)) })
}

func newNetwork(t *testing.T, protocols *http.Protocols) *network {
	n := &network{
		t: t, listener: pipenet.Listen(), sessions: make(chan *session, 1),
		opts: stream.Options{WriteTimeout: writeTimeout, Heartbeat: beat},
	}
	transport := &http.Transport{DialContext: n.listener.DialContext, Protocols: protocols}
	n.client = &http.Client{Transport: transport}
	server := &http.Server{Handler: http.HandlerFunc(n.serve), Protocols: protocols}
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Serve(n.listener) })
	t.Cleanup(func() {
		_ = server.Close()
		transport.CloseIdleConnections()
		wg.Wait()
	})
	return n
}

func (n *network) serve(w http.ResponseWriter, r *http.Request) {
	ctx, leave := context.WithCancel(r.Context())
	defer leave()
	s := &session{Stream: stream.New(ctx, maxPending), leave: leave, done: make(chan struct{})}
	if n.prepare != nil {
		n.prepare(s.Stream)
	}
	w.Header().Set("Content-Type", "text/event-stream")
	n.sessions <- s
	s.why, s.clean = s.Serve(w, n.first, n.opts)
	close(s.done)
	if !s.clean {
		panic(http.ErrAbortHandler)
	}
}

// open makes a request and gives both of its ends.
func (n *network) open() (*session, *http.Response) {
	n.t.Helper()
	request, err := http.NewRequestWithContext(n.t.Context(), http.MethodGet, "http://pipe/", nil)
	if err != nil {
		n.t.Fatal(err)
	}
	response, err := n.client.Do(request)
	if err != nil {
		n.t.Fatalf("open a stream: %v", err)
	}
	n.t.Cleanup(func() { _ = response.Body.Close() })
	return <-n.sessions, response
}

// ended waits for the end of a stream and checks why it came, when and how.
func (s *session) ended(t *testing.T, since time.Time, after time.Duration, why wire.Ending, clean bool) {
	t.Helper()
	<-s.done
	if got := time.Since(since); got != after {
		t.Errorf("ended after %v, want %v", got, after)
	}
	if s.why != why || s.clean != clean {
		t.Errorf("Serve = %+v, clean %v; want %+v, %v", s.why, s.clean, why, clean)
	}
	if got := s.Ending(); got == nil || *got != why {
		t.Errorf("Ending = %+v, want %+v", got, why)
	}
}

var (
	clientClosed = wire.Ending{Reason: wire.ClientClosed}
	slowConsumer = wire.Ending{Reason: wire.Failed, Detail: wire.DetailSlowConsumer}
	closed       = wire.Ending{Reason: wire.ServerClosed, Detail: wire.DetailClosed}
)

func live(data string) stream.Frame   { return frame(data, stream.Live) }
func direct(data string) stream.Frame { return frame(data, stream.Direct) }

func frame(data string, kind stream.Kind) stream.Frame {
	return stream.Frame{Bytes: []byte("data: " + data + "\n\n"), Kind: kind}
}

// push queues a frame that must be taken.
func push(t *testing.T, s interface{ Push(stream.Frame) error }, f stream.Frame) {
	t.Helper()
	if err := s.Push(f); err != nil {
		t.Errorf("Push of %d bytes: %v", len(f.Bytes), err)
	}
}

// line reads the next line that is not blank.
func line(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	for {
		text, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("read a line: %v", err)
		}
		if text = strings.TrimSuffix(text, "\n"); text != "" {
			return text
		}
	}
}

// all reads the rest of a body, which must end as it should.
func all(t *testing.T, body io.Reader) string {
	t.Helper()
	var b bytes.Buffer
	if _, err := b.ReadFrom(body); err != nil {
		t.Errorf("read to the end: %v", err)
	}
	return b.String()
}
