package stream_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"sluice/internal/stream"
	"sluice/internal/wire"
)

// discard is a response to nobody.
type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) WriteHeader(int)             {}
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) Flush()                      {}

func TestBeforeServeDirectFramesAreRefusedBeyondMaxPending(t *testing.T) {
	t.Parallel()
	s := stream.New(t.Context(), 1000)
	push(t, s, direct(strings.Repeat("x", 5000))) // one is always taken when none waits
	if err := s.Push(direct("")); !errors.Is(err, stream.ErrFull) {
		t.Errorf("Push beyond: %v, want ErrFull", err)
	}
	if s.Ending() != nil || s.Undelivered() != 1 {
		t.Errorf("ending %v, %d undelivered; want the stream to go on with one", s.Ending(), s.Undelivered())
	}

	s = stream.New(t.Context(), 1000)
	taken := 0
	for ; s.Push(direct("")) == nil; taken++ {
	}
	if cost := int64(len(direct("").Bytes) + 32); int64(taken) != 1000/cost || s.Pending() != int64(taken)*cost {
		t.Errorf("%d tiny frames taken, %d bytes pending; want them bounded as well", taken, s.Pending())
	}
}

func TestReplayDoesNotCountForMaxPending(t *testing.T) {
	t.Parallel()
	s := stream.New(t.Context(), 1000)
	frames := []stream.Frame{frame(strings.Repeat("x", 50_000), stream.Replay), frame("id", stream.Control)}
	if err := errors.Join(s.PushAll(frames), s.PushAll(frames), s.Push(frames[0])); err != nil {
		t.Fatal(err)
	}
	push(t, s, direct("fits"))
	if got := s.Undelivered(); got != 1 {
		t.Errorf("%d undelivered, want the direct one alone", got)
	}
}

func TestBeforeServeLiveFramesBeyondMaxPendingEndTheStream(t *testing.T) {
	t.Parallel()
	s := stream.New(t.Context(), 1000)
	push(t, s, live(strings.Repeat("x", 500)))
	if err := s.Push(live(strings.Repeat("x", 500))); !errors.Is(err, stream.ErrSlow) {
		t.Errorf("Push beyond: %v, want ErrSlow", err)
	}
	if got := s.Ending(); got == nil || *got != slowConsumer {
		t.Errorf("Ending = %+v, want %+v", got, slowConsumer)
	}
	if err := s.Push(live("x")); !errors.Is(err, stream.ErrEnded) {
		t.Errorf("Push after that: %v, want ErrEnded", err)
	}
	why, clean := s.Serve(discard{}, nil, stream.Options{WriteTimeout: time.Second, Heartbeat: time.Second})
	if why != slowConsumer || clean {
		t.Errorf("Serve = %+v, clean %v; want %+v and a cut", why, clean, slowConsumer)
	}
}

// TestABurstIsNoStall: while a write is under way and not stuck, live events may
// pile up to four times the bound; direct ones are refused.
func TestABurstIsNoStall(t *testing.T) {
	onEachProtocol(t, func(t *testing.T, n *network) {
		s, response := n.open()
		stick(t, s) // for no time at all yet
		for range 7 {
			push(t, s, live(strings.Repeat("x", maxPending/2)))
		}
		if err := s.Push(direct("x")); !errors.Is(err, stream.ErrFull) {
			t.Errorf("a direct frame in a burst: %v, want ErrFull", err)
		}
		go func() { _, _ = io.Copy(io.Discard, response.Body) }() // ends with the stream
		synctest.Wait()
		if s.Ending() != nil || s.Pending() != 0 {
			t.Errorf("ending %+v, %d pending; want all written", s.Ending(), s.Pending())
		}
		push(t, s, direct("x"))
	})
}

func TestABurstHasABound(t *testing.T) {
	onEachProtocol(t, func(t *testing.T, n *network) {
		s, _ := n.open()
		start := time.Now()
		stick(t, s)
		var err error
		taken := 0
		for ; err == nil; taken++ {
			err = s.Push(live(strings.Repeat("x", maxPending/4)))
		}
		if !errors.Is(err, stream.ErrSlow) || taken != 16 {
			t.Errorf("frame %d of a quarter of MaxPending: %v, want ErrSlow for the 16th", taken, err)
		}
		s.ended(t, start, 0, slowConsumer, false)
	})
}

// TestASlowClientIsEndedWhenTooMuchWaits: its socket refuses, so MaxPending is
// the bound, and it need not be waited for.
func TestASlowClientIsEndedWhenTooMuchWaits(t *testing.T) {
	for _, kind := range []stream.Kind{stream.Live, stream.Direct} {
		t.Run([]string{"live", "replay", "direct"}[kind], func(t *testing.T) {
			onEachProtocol(t, func(t *testing.T, n *network) {
				s, _ := n.open()
				stick(t, s)
				push(t, s, frame(strings.Repeat("x", maxPending/2), kind))
				time.Sleep(51 * time.Millisecond)
				push(t, s, frame("little", kind)) // fits
				start := time.Now()
				if err := s.Push(frame(strings.Repeat("x", maxPending/2), kind)); !errors.Is(err, stream.ErrSlow) {
					t.Errorf("Push beyond: %v, want ErrSlow", err)
				}
				s.ended(t, start, 0, slowConsumer, false)
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
		push(t, s, direct(strings.Repeat("x", maxPending)))
		if err := s.Push(direct("x")); !errors.Is(err, stream.ErrSlow) {
			t.Errorf("Push beyond: %v, want ErrSlow", err)
		}
		<-s.done
	})
}

// counter is an observer.
type counter struct{ writes, events, bytes, beats atomic.Int64 }

func (c *counter) Wrote(events, bytes int) {
	c.writes.Add(1)
	c.events.Add(int64(events))
	c.bytes.Add(int64(bytes))
}

func (c *counter) Heartbeat() { c.beats.Add(1) }

func TestWaitingFramesAreJoinedIntoOneWrite(t *testing.T) {
	onEachProtocol(t, func(t *testing.T, n *network) {
		var seen counter
		n.opts.Observer = &seen
		bytes := 0
		n.prepare = func(s *stream.Stream) {
			for range 1000 {
				f := live("a small event")
				bytes += len(f.Bytes)
				push(t, s, f)
			}
			_ = s.PushAll([]stream.Frame{frame("no event", stream.Control)})
			bytes += len(frame("no event", stream.Control).Bytes)
		}
		s, response := n.open()
		s.End(closed, nil)
		if got := all(t, response.Body); len(got) != bytes {
			t.Errorf("%d bytes, want %d", len(got), bytes)
		}
		<-s.done
		if w, e, b := seen.writes.Load(), seen.events.Load(), seen.bytes.Load(); w != 1 || e != 1000 || b != int64(bytes) {
			t.Errorf("%d writes of %d events and %d bytes; want 1, 1000, %d", w, e, b, bytes)
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
		if got := seen.beats.Load(); got < 10 || got > 13 || seen.writes.Load() != 0 {
			t.Errorf("%d heartbeats and %d writes in ten silences", got, seen.writes.Load())
		}
		s.End(closed, nil)
		<-s.done
	})
}

func TestEventsAreWhatIsNotControl(t *testing.T) {
	t.Parallel()
	for _, kind := range []stream.Kind{stream.Live, stream.Replay, stream.Direct, stream.Control} {
		s := stream.New(t.Context(), 1000)
		if err := s.PushAll([]stream.Frame{frame("x", kind)}); err != nil {
			t.Fatal(err)
		}
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
		syscall.EPIPE: clientClosed, syscall.ECONNRESET: clientClosed, errors.New("disk on fire"): failed,
	} {
		s := stream.New(t.Context(), maxPending)
		push(t, s, direct("1"))
		why, clean := s.Serve(broken{err: err}, nil, stream.Options{WriteTimeout: writeTimeout, Heartbeat: beat})
		if why != want || clean || s.Undelivered() != 1 {
			t.Errorf("%v: Serve = %+v, clean %v, %d undelivered; want %+v", err, why, clean, s.Undelivered(), want)
		}
	}
}
