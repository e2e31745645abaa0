package stream

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"tidegate/internal/wire"
)

// TestRunStartsAndStops does so fifty times, with streams of each kind that are
// written to as the engine stops. Nothing is left.
func TestRunStartsAndStops(t *testing.T) { // not parallel: it counts descriptors
	warm := httptest.NewServer(http.NotFoundHandler())
	warm.Close()
	descriptors := openDescriptors(t)
	for round := range 50 {
		c := &churn{T: t, all: make(map[int]*churned), reasons: make(map[wire.Ending]int)}
		c.engine = NewEngine(Options{Heartbeat: 50 * time.Millisecond, NoParking: round%5 == 0})
		life, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() {
			if err := c.engine.Run(life); err != nil {
				t.Errorf("Run: %v", err)
			}
		})
		c.plain = c.server()
		secure := round%3 == 0
		if secure {
			c.plain.StartTLS()
		} else {
			c.plain.Start()
		}
		conns := make([]net.Conn, round%4)
		for i := range conns {
			var err error
			if conns[i], err = net.Dial("tcp", c.plain.Listener.Addr().String()); err != nil {
				t.Fatal(err)
			}
			if secure {
				conns[i] = tls.Client(conns[i], &tls.Config{InsecureSkipVerify: true})
			}
			_, _ = io.WriteString(conns[i], "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			_, _ = io.ReadFull(conns[i], make([]byte, 100))
		}
		for _, s := range c.some(len(conns)) {
			running.Go(func() {
				for range 100 {
					b := NewBatch()
					s.direct(b)
					b.Flush()
				}
			})
		}
		stop()
		running.Wait()
		for _, conn := range conns {
			_, _ = io.Copy(io.Discard, conn) // until it is cut
			_ = conn.Close()
		}
		c.plain.Close()
		back(t, "streams", 0, func() int { return int(c.opened.Load() - c.over.Load()) })
		if got := c.reasons[endDrain]; got != len(conns) {
			t.Errorf("%d streams: %v", len(conns), c.reasons)
		}
		(&rig{Engine: c.engine, t: t}).empty()
	}
	back(t, "descriptors", descriptors, func() int { return openDescriptors(t) })
}

func TestAnEngineHasDefaults(t *testing.T) {
	t.Parallel()
	o := NewEngine(Options{NoParking: true}).opts
	if o.MaxPending != 1<<20 || o.WriteTimeout != 30*time.Second || o.Heartbeat != 15*time.Second || o.SendBuffer != 64<<10 || o.Log == nil {
		t.Errorf("defaults are %+v", o)
	}
}

// TestASocketThatCannotBeWatchedIsReported: the stream ends, and the log says why.
func TestASocketThatCannotBeWatchedIsReported(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	onFake(t, Options{Log: slog.New(slog.NewTextHandler(&log, nil))}, func(t *testing.T, r *rig) {
		r.k.refuses = errors.New("no space")
		p := r.park(plenty)
		p.over(endFailed, "")
		r.k.refuses = nil
	})
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "no space") {
		t.Errorf("log is %q", got)
	}
}

// seen is an observer.
type seen struct {
	mu                   sync.Mutex
	events, bytes, beats int
}

func (s *seen) Wrote(events, bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events += events
	s.bytes += bytes
}

func (s *seen) Heartbeats(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.beats += n
}

func (s *seen) want(t *testing.T, events, bytes, beats int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.events != events || s.bytes != bytes || s.beats != beats {
		t.Errorf("%d events of %d bytes and %d heartbeats are seen; want %d, %d, %d", s.events, s.bytes, s.beats, events, bytes, beats)
	}
}

// TestTheObserverCountsWhatIsWritten, once, and however many writes it took.
func TestTheObserverCountsWhatIsWritten(t *testing.T) {
	t.Parallel()
	var all seen
	onFake(t, Options{Observer: &all, Heartbeat: 10 * time.Second}, func(t *testing.T, r *rig) {
		p := r.park(5)
		first := event("data: 1\n\n", Live)
		p.takesAll(first)
		waitIdle()
		p.takesAll(event("data: 2\n\n", Direct))
		b := NewBatch()
		_ = p.PushAll(b, []Item{event("id: 3\n\n", Control), event("data: 4\n\n", Replay)})
		b.Flush()
		waitIdle()
		all.want(t, 0, 0, 0)
		for range 100 {
			p.takes(1)
			waitIdle()
		}
		p.takes(plenty)
		waitIdle()
		all.want(t, 3, 3*first.Frame.Len(), 0)
		time.Sleep(10 * time.Second)
		waitIdle()
		all.want(t, 3, 3*first.Frame.Len(), 1)
		p.end(nil)
		waitIdle()
		all.want(t, 3, 3*first.Frame.Len(), 1)
	})
}

// TestManyPushAtOnce: what each of them pushes comes in its order, while others
// end streams and sockets refuse now and then.
func TestManyPushAtOnce(t *testing.T) {
	t.Parallel()
	const pushers, events = 8, 300
	onFake(t, Options{MaxPending: 1 << 30}, func(t *testing.T, r *rig) {
		all := []*parked{r.park(plenty), r.park(0), r.park(1000)}
		var wg sync.WaitGroup
		for n := range pushers {
			wg.Go(func() {
				for i := range events {
					b := NewBatch()
					if n%2 == 0 {
						b.Hold()
					}
					for _, p := range all {
						if err := p.PushDirect(b, FrameOf(fmt.Appendf(nil, "%d %d\n", n, i), 0)); err != nil {
							t.Error(err)
						}
					}
					b.Flush()
					all[i%3].takes(i % 5 * 1000)
				}
			})
		}
		wg.Wait()
		for _, p := range all {
			p.takes(plenty)
			waitIdle()
			p.end(nil)
			waitIdle()
			got, _ := p.text()
			text, whole := unchunk(t, got)
			next := make([]int, pushers)
			for line := range strings.Lines(text) {
				var n, i int
				if _, err := fmt.Sscanf(line, "%d %d\n", &n, &i); err != nil || next[n] != i {
					t.Fatalf("%q, want %d of it", line, next[n])
				}
				next[n]++
			}
			for n, got := range next {
				if got != events || !whole {
					t.Errorf("%d events of %d, whole %v", got, n, whole)
				}
			}
		}
	})
}
