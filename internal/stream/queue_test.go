package stream_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/internal/stream"
	"tidegate/internal/wire"
)

// idle makes a session of an engine that does not run, with room for little.
func idle(t *testing.T) *session {
	return newSession(t, stream.NewEngine(stream.Options{MaxPending: 1000, NoParking: true}))
}

// discard is a response to nobody.
type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) WriteHeader(int)             {}
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) Flush()                      {}

// serveTo serves a stream to a response and gives whether it is cut.
func (s *session) serveTo(w http.ResponseWriter) (cut bool) {
	return s.Serve(w, httptest.NewRequest("GET", "/", nil), nil, 0)
}

func TestBeforeServeDirectFramesAreRefusedBeyondMaxPending(t *testing.T) {
	t.Parallel()
	s := idle(t)
	s.takes(direct(strings.Repeat("x", 5000))) // one is always taken when none waits
	if err := s.push(direct("")); !errors.Is(err, stream.ErrFull) {
		t.Errorf("Push beyond: %v, want ErrFull", err)
	}
	s.goesOn()
	if s.Undelivered() != 1 {
		t.Errorf("%d undelivered; want one", s.Undelivered())
	}

	s = idle(t)
	taken := 0
	for ; s.push(direct("")) == nil; taken++ {
	}
	if cost := int64(len("data: \n\n") + 32); int64(taken) != 1000/cost || s.Pending() != int64(taken)*cost {
		t.Errorf("%d tiny frames taken, %d bytes pending; want them bounded as well", taken, s.Pending())
	}
}

func TestReplayDoesNotCountForMaxPending(t *testing.T) {
	t.Parallel()
	s := idle(t)
	for range 3 {
		s.takes(frame(strings.Repeat("x", 50_000), stream.Replay), frame("id", stream.Control))
	}
	s.takes(direct("fits"))
	if got := s.Undelivered(); got != 1 {
		t.Errorf("%d undelivered, want the direct one alone", got)
	}
}

func TestBeforeServeLiveFramesBeyondMaxPendingEndTheStream(t *testing.T) {
	t.Parallel()
	s := idle(t)
	s.takes(live(strings.Repeat("x", 500)))
	if err := s.push(live(strings.Repeat("x", 500))); !errors.Is(err, stream.ErrSlow) {
		t.Errorf("Push beyond: %v, want ErrSlow", err)
	}
	if got, ok := s.Ending(); !ok || got != slowConsumer {
		t.Errorf("Ending = %+v, want %+v", got, slowConsumer)
	}
	if err := s.push(live("x")); !errors.Is(err, stream.ErrEnded) {
		t.Errorf("Push after that: %v, want ErrEnded", err)
	}
	if cut := s.serveTo(discard{}); s.why != slowConsumer || !cut {
		t.Errorf("Ended = %+v, cut %v; want %+v and a cut", s.why, cut, slowConsumer)
	}
}

// TestABurstIsNoStall: while a write is under way and not stuck, live events may
// pile up to four times the bound; direct ones are refused.
func TestABurstIsNoStall(t *testing.T) {
	onEachProtocol(t, func(t *testing.T, n *network) {
		s, response := n.open()
		s.stick() // for no time at all yet
		for range 7 {
			s.takes(live(strings.Repeat("x", maxPending/2)))
		}
		if err := s.push(direct("x")); !errors.Is(err, stream.ErrFull) {
			t.Errorf("a direct frame in a burst: %v, want ErrFull", err)
		}
		go func() { _, _ = io.Copy(io.Discard, response.Body) }() // ends with the stream
		synctest.Wait()
		s.goesOn()
		if s.Pending() != 0 {
			t.Errorf("%d pending; want all written", s.Pending())
		}
		s.takes(direct("x"))
	})
}

func TestABurstHasABound(t *testing.T) {
	onEachProtocol(t, func(t *testing.T, n *network) {
		s, _ := n.open()
		start := time.Now()
		s.stick()
		var err error
		taken := 0
		for ; err == nil; taken++ {
			err = s.push(live(strings.Repeat("x", maxPending/4)))
		}
		if !errors.Is(err, stream.ErrSlow) || taken != 16 {
			t.Errorf("frame %d of a quarter of MaxPending: %v, want ErrSlow for the 16th", taken, err)
		}
		s.ended(start, 0, slowConsumer, true)
	})
}

// TestASlowClientIsEndedWhenTooMuchWaits: its socket refuses, so MaxPending is
// the bound, and it need not be waited for.
func TestASlowClientIsEndedWhenTooMuchWaits(t *testing.T) {
	for name, kind := range map[string]stream.Kind{"live": stream.Live, "direct": stream.Direct} {
		t.Run(name, func(t *testing.T) {
			onEachProtocol(t, func(t *testing.T, n *network) {
				s, _ := n.open()
				s.stick()
				s.takes(frame(strings.Repeat("x", maxPending/2), kind))
				time.Sleep(60 * time.Millisecond)
				s.takes(frame("little", kind)) // fits
				start := time.Now()
				if err := s.push(frame(strings.Repeat("x", maxPending/2), kind)); !errors.Is(err, stream.ErrSlow) {
					t.Errorf("Push beyond: %v, want ErrSlow", err)
				}
				s.ended(start, 0, slowConsumer, true)
			})
		})
	}
}

// TestAStuckHeartbeatIsAStuckWrite: also when only a heartbeat waits for it, the
// client is one that does not read.
func TestAStuckHeartbeatIsAStuckWrite(t *testing.T) {
	onHTTP1(t, func(t *testing.T, n *network) {
		s, _ := n.open()
		time.Sleep(beat + time.Second)
		s.takes(direct(strings.Repeat("x", maxPending)))
		if err := s.push(direct("x")); !errors.Is(err, stream.ErrSlow) {
			t.Errorf("Push beyond: %v, want ErrSlow", err)
		}
		<-s.served
	})
}

// counter is an observer.
type counter struct{ events, bytes, beats atomic.Int64 }

func (c *counter) Wrote(events, bytes int) {
	c.events.Add(int64(events))
	c.bytes.Add(int64(bytes))
}

func (c *counter) Heartbeats(n int) { c.beats.Add(int64(n)) }

func TestWaitingFramesAreJoinedIntoOneWrite(t *testing.T) {
	onEachProtocol(t, func(t *testing.T, n *network) {
		var seen counter
		n.opts.Observer = &seen
		event, other := live("a small event"), frame("no event", stream.Control)
		n.prepare = func(s *session) {
			for range 1000 {
				s.takes(event)
			}
			s.takes(other)
		}
		s, response := n.open()
		s.end(closed, nil)
		if got, want := len(all(t, response.Body)), 1000*event.Frame.Len()+other.Frame.Len(); got != want {
			t.Errorf("%d bytes, want %d", got, want)
		}
		<-s.served
		if got := s.writes.Load(); got != 1 {
			t.Errorf("%d writes, want 1", got)
		}
		if e, b := seen.events.Load(), seen.bytes.Load(); e != 1000 || b != int64(1000*event.Frame.Len()) {
			t.Errorf("%d events of %d bytes seen; want 1000 of %d each", e, b, event.Frame.Len())
		}
	})
}

func TestHeartbeatsAreCountedApart(t *testing.T) {
	onHTTP1(t, func(t *testing.T, n *network) {
		var seen counter
		n.opts.Observer = &seen
		s, response := n.open()
		go func() { _, _ = io.Copy(io.Discard, response.Body) }() // ends with the stream
		time.Sleep(10*beat + time.Second)
		if got := seen.beats.Load(); got < 10 || got > 13 || seen.events.Load() != 0 || seen.bytes.Load() != 0 {
			t.Errorf("%d heartbeats, %d events and %d bytes in ten silences", got, seen.events.Load(), seen.bytes.Load())
		}
		s.end(closed, nil)
		<-s.served
	})
}

func TestEventsAreWhatIsNotControl(t *testing.T) {
	t.Parallel()
	for _, kind := range []stream.Kind{stream.Live, stream.Replay, stream.Direct, stream.Control} {
		s := idle(t)
		s.takes(frame("x", kind))
		if got, want := s.HasEvents(), kind != stream.Control; got != want {
			t.Errorf("HasEvents of kind %d = %v, want %v", kind, got, want)
		}
	}
}

// broken is a response whose socket is gone.
type broken struct {
	discard
	err error
}

func (b broken) Write([]byte) (int, error) { return 0, b.err }

func TestTheErrorOfAWriteSaysWhoEndedTheStream(t *testing.T) {
	t.Parallel()
	failed := wire.Ending{Reason: wire.Failed, Detail: wire.DetailWriteFailed}
	for err, want := range map[error]wire.Ending{
		syscall.EPIPE: clientClosed, syscall.ECONNRESET: clientClosed, io.ErrClosedPipe: clientClosed, errors.New("disk on fire"): failed,
	} {
		s := idle(t)
		s.takes(direct("1"))
		if cut := s.serveTo(broken{err: err}); s.why != want || !cut || s.Undelivered() != 1 {
			t.Errorf("%v: Ended = %+v, cut %v, %d undelivered; want %+v", err, s.why, cut, s.Undelivered(), want)
		}
	}
}

// TestAReasonThatIsNotListedPanics: it could not be reported.
func TestAReasonThatIsNotListedPanics(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	idle(t).end(wire.Ending{Reason: wire.Failed, Detail: wire.DetailDrain}, nil)
}
