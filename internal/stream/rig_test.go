package stream_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/internal/pipenet"
	"tidegate/internal/stream"
	"tidegate/internal/wire"
)

const (
	writeTimeout = 30 * time.Second
	beat         = 15 * time.Second
	maxPending   = 1 << 20
	// late is how much after its time the clock may come by at a stream.
	late = 2 * time.Second
	// large is more than all that lies between a writer and a client that does
	// not read: a pipe, the client's buffer, and on HTTP/2 a window of 4 MiB.
	large = 5 << 20
)

var (
	clientClosed = wire.Ending{Reason: wire.ClientClosed}
	slowConsumer = wire.Ending{Reason: wire.Failed, Detail: wire.DetailSlowConsumer}
	closed       = wire.Ending{Reason: wire.ServerClosed, Detail: wire.DetailClosed}
	drained      = wire.Ending{Reason: wire.ServerClosed, Detail: wire.DetailDrain}
)

// session is one stream on its server, and its owner.
type session struct {
	stream.Stream
	t      testing.TB
	age    time.Duration      // for Serve
	leave  context.CancelFunc // ends the request's context
	over   chan struct{}      // closed by Ended
	served chan struct{}      // closed when Serve has returned
	cut    bool               // what Serve returned
	why    wire.Ending        // of Ended
	times  atomic.Int32       // that Ended was called
	writes atomic.Int32       // calls of the response's Write
}

func newSession(t testing.TB, e *stream.Engine) *session {
	s := &session{t: t, over: make(chan struct{}), served: make(chan struct{}), leave: func() {}}
	s.Init(e, s)
	return s
}

// Ended implements stream.Owner.
func (s *session) Ended(why wire.Ending) {
	if s.times.Add(1) > 1 {
		s.t.Errorf("Ended once more, with %+v", why)
		return
	}
	s.why = why
	close(s.over)
}

// serve is Serve, with what a handler does after it.
func (s *session) serve(w http.ResponseWriter, r *http.Request, first *stream.Frame) {
	ctx, leave := context.WithCancel(r.Context())
	defer leave()
	s.leave = leave
	s.cut = s.Serve(&counting{w, &s.writes}, r.WithContext(ctx), first, s.age)
	close(s.served)
	if s.cut {
		panic(http.ErrAbortHandler)
	}
}

// counting counts the writes to a response.
type counting struct {
	http.ResponseWriter
	writes *atomic.Int32
}

func (c *counting) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c *counting) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.ResponseWriter.Write(p)
}

// push queues an item in the way of its kind, and flushes.
func (s *session) push(i stream.Item) error {
	b := stream.NewBatch()
	defer b.Flush()
	switch i.Kind {
	case stream.Live:
		return s.Push(b, i.Frame)
	case stream.Direct:
		return s.PushDirect(b, i.Frame)
	default:
		return s.PushAll(b, []stream.Item{i})
	}
}

// takes queues items that must be taken.
func (s *session) takes(items ...stream.Item) {
	s.t.Helper()
	for _, i := range items {
		if err := s.push(i); err != nil {
			s.t.Errorf("push of %d bytes: %v", i.Frame.Len(), err)
		}
	}
}

func (s *session) end(why wire.Ending, farewell *stream.Frame) bool {
	b := stream.NewBatch()
	defer b.Flush()
	return s.End(b, why, farewell)
}

func (s *session) abort(why wire.Ending) {
	b := stream.NewBatch()
	s.Abort(b, why)
	b.Flush()
}

// stick makes a stream write to a client that does not read. What is written
// counts for nothing.
func (s *session) stick() {
	s.t.Helper()
	s.takes(frame(strings.Repeat("x", large), stream.Replay))
	synctest.Wait()
}

// ended waits for the end of a stream and checks why it came, how, and that it
// came after that time, or as much later as a client that does nothing may be
// noticed.
func (s *session) ended(since time.Time, after time.Duration, why wire.Ending, cut bool) {
	s.t.Helper()
	<-s.over
	got := time.Since(since)
	if most := after + late; got < after || got > most || after == 0 && got != 0 {
		s.t.Errorf("ended after %v, want %v", got, after)
	}
	<-s.served
	if s.why != why || s.cut != cut {
		s.t.Errorf("Ended = %+v, cut %v; want %+v, %v", s.why, s.cut, why, cut)
	}
	if got, ok := s.Ending(); !ok || got != why {
		s.t.Errorf("Ending = %+v, %v; want %+v", got, ok, why)
	}
	if n := s.Pending(); n != 0 {
		s.t.Errorf("%d bytes pending after the end", n)
	}
}

// goesOn checks that nothing has ended the stream.
func (s *session) goesOn() {
	s.t.Helper()
	if why, ends := s.Ending(); ends {
		s.t.Errorf("it ends with %+v, want it to go on", why)
	}
}

func live(data string) stream.Item   { return frame(data, stream.Live) }
func direct(data string) stream.Item { return frame(data, stream.Direct) }

func frame(data string, kind stream.Kind) stream.Item {
	return stream.Item{Frame: stream.FrameOf([]byte("data: "+data+"\n\n"), 0), Kind: kind}
}

// network is a server of streams and a client, joined by pipes in a bubble.
// Streams over pipes have the goroutine of their request.
type network struct {
	t        *testing.T
	listener *pipenet.Listener
	client   *http.Client
	opts     stream.Options
	first    *stream.Frame
	prepare  func(*session) // called before the stream is served
	sessions chan *session
	engine   func() *stream.Engine // with opts as they are when it is first called
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
		opts: stream.Options{MaxPending: maxPending, WriteTimeout: writeTimeout, Heartbeat: beat, NoParking: true},
	}
	n.engine = sync.OnceValue(func() *stream.Engine { return run(t, n.opts) })
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

// run makes an engine that runs until the test ends.
func run(t testing.TB, opts stream.Options) *stream.Engine {
	e := stream.NewEngine(opts)
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := e.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(func() {
		stop()
		wg.Wait()
	})
	return e
}

func (n *network) serve(w http.ResponseWriter, r *http.Request) {
	s := newSession(n.t, n.engine())
	if n.prepare != nil {
		n.prepare(s)
	}
	w.Header().Set("Content-Type", "text/event-stream")
	n.sessions <- s
	s.serve(w, r, n.first)
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

// line reads the next line that is not blank.
func line(t testing.TB, r *bufio.Reader) string {
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
func all(t testing.TB, body io.Reader) string {
	t.Helper()
	var b bytes.Buffer
	if _, err := b.ReadFrom(body); err != nil {
		t.Errorf("read to the end: %v", err)
	}
	return b.String()
}
