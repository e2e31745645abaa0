package stream

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"tidegate/internal/wire"
)

const (
	stressFor     = 4 * time.Second // at most
	stressStreams = 2000            // are enough
	stressClients = 200
	stressPushers = 6
)

// TestStress opens, uses and leaves streams over real sockets, all at once: every
// client gets its own events in order and no others, every stream ends once, and
// nothing is left.
func TestStress(t *testing.T) { // not parallel: it counts descriptors
	warm := httptest.NewServer(http.NotFoundHandler())
	warm.Close()
	descriptors, goroutines := openDescriptors(t), runtime.NumGoroutine()

	c := &churn{T: t, all: make(map[int]*churned), reasons: make(map[wire.Ending]int)}
	c.engine = NewEngine(Options{Heartbeat: 100 * time.Millisecond, WriteTimeout: 5 * time.Second, MaxPending: 16 << 10})
	life, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = c.engine.Run(life) })
	c.plain, c.tls = c.server(), c.server()
	c.plain.Start()
	c.tls.StartTLS()

	busy, rest := context.WithTimeout(t.Context(), stressFor)
	defer rest()
	var clients, users sync.WaitGroup
	for range stressClients {
		clients.Go(func() {
			for busy.Err() == nil && c.opened.Load() < stressStreams {
				c.visit()
			}
		})
	}
	for range stressPushers {
		users.Go(func() { c.use(busy) })
	}
	users.Wait()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	gone := make(chan struct{})
	go func() { // ends with the last client
		clients.Wait()
		close(gone)
	}()
	for left := true; left; {
		c.engine.CutAll() // and those that begin just now, the next time
		select {
		case <-gone:
			left = false
		case <-again.C:
		}
	}
	c.plain.Close()
	c.tls.Close()
	back(t, "streams", 0, func() int {
		c.engine.CutAll()
		return int(c.opened.Load() - c.over.Load())
	})
	(&rig{Engine: c.engine, t: t}).empty()
	stop()
	running.Wait()
	back(t, "descriptors", descriptors, func() int { return openDescriptors(t) })
	back(t, "goroutines", goroutines, runtime.NumGoroutine)
	t.Logf("%d streams, %d events, %v", c.opened.Load(), c.events.Load(), c.reasons)
	for why := range c.reasons {
		if !slices.Contains([]wire.Ending{endClosed, endDrain, endLeft, endSlow, endSends}, why) {
			t.Errorf("a stream ended with %+v", why)
		}
	}
	for _, s := range c.all {
		if n := s.Pending(); n != 0 {
			t.Errorf("stream %d has %d bytes pending", s.marker, n)
		}
	}
}

// openDescriptors counts the descriptors of the process, where the system lists them.
func openDescriptors(t *testing.T) int {
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return len(names)
}

// back waits until a count is back at what it was.
func back(t *testing.T, what string, want int, count func() int) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 6000 { // a minute, which a busy machine may need
		if count() <= want {
			return
		}
		<-tick.C
	}
	t.Errorf("%d %s are left, want %d", count(), what, want)
}
