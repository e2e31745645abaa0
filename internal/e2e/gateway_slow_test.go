package e2e

import (
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tidegate/internal/checkout"
)

// TestGW10SlowClientsAreEnded: clients that read nothing are flooded through
// their tokens and through a topic, while others read. The slow ones are ended
// as such, the program grows by no more than they may have waiting, and the
// others are served all the while.
func TestGW10SlowClientsAreEnded(t *testing.T) {
	const (
		slow, readers = 6, 10
		maxPending    = 512 << 10
		eventSize     = 64 << 10
		mostEach      = 48 << 20 // sent to a slow client at most, if it is never ended
	)
	h := newHooks(t, nil)
	p := h.gateway("--max-pending", fmt.Sprint(maxPending))
	a := p.api()
	readersDone := watchLatency(t, h, p, a, readers)
	quiet := readersDone.during(t, a, 2*time.Second)

	stalled := map[string]bool{}
	for i := range slow {
		token := h.stall(p)
		stalled[token] = true
		if i%2 == 0 {
			a.subscribe(token, "flood")
		}
	}
	before := p.memory()
	peak, stopSampling := p.sampleMemory()
	flooding := make(chan struct{})
	var floods sync.WaitGroup
	floods.Go(func() {
		defer close(flooding)
		floodUntilEnded(t, a, stalled, strings.Repeat("x", eventSize), mostEach/eventSize)
	})
	busy := readersDone.until(t, a, flooding)
	floods.Wait()
	stopSampling()

	for range slow {
		if cb := h.next("disconnect"); cb.Reason != "error" || cb.Detail != "slow_consumer" || !stalled[cb.Token] {
			t.Errorf("disconnect of a slow client: %s %s/%s (slow: %v)", cb.Token, cb.Reason, cb.Detail, stalled[cb.Token])
		}
	}
	// What waits is bounded by --max-pending for each, four times that in a
	// burst; the collector keeps as much again before it acts, and the rest is
	// the program itself at work (with the race detector, several times over).
	bound := int64(2*slow*maxPending) + 64<<20
	if len(checkout.RaceFlags()) > 0 {
		bound *= 2
	}
	grown := *peak - before
	t.Logf("memory grew by %d MiB at most, bound %d MiB", grown>>20, bound>>20)
	if grown > bound {
		t.Errorf("memory grew by %d MiB, want at most %d MiB", grown>>20, bound>>20)
	}
	t.Logf("latency p99 %s quiet, %s during the flood, ratio %.1f", quiet, busy, float64(busy)/float64(quiet))
	p.stop()
}

// stall opens a stream and reads nothing, with as small a buffer as there is.
func (h *hooks) stall(p *program) (token string) {
	h.t.Helper()
	u, err := url.Parse(p.public)
	if err != nil {
		h.t.Fatal(err)
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = conn.Close() })
	if err := conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		h.t.Fatal(err)
	}
	if _, err := fmt.Fprintf(conn, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		h.t.Fatal(err)
	}
	return h.next("connect").Token
}

// floodUntilEnded sends to all tokens and to the topic until nobody is left, and
// no more than most events to each.
func floodUntilEnded(t *testing.T, a *api, tokens map[string]bool, data string, most int) {
	left := slices.Collect(maps.Keys(tokens))
	for n := 0; len(left) > 0; n++ {
		if n == most {
			t.Errorf("%d slow clients are still there after %d events of %d bytes", len(left), n, len(data))
			return
		}
		var batch strings.Builder
		batch.WriteString(toTopic("flood", data) + "\n")
		for _, token := range left {
			batch.WriteString(toToken(token, data) + "\n")
		}
		_, answers := a.call(http.MethodPost, "/internal/send", "application/x-ndjson", batch.String())
		codes := strings.Split(strings.TrimSpace(answers), "\n")[1:]
		if len(codes) != len(left) {
			t.Errorf("%d answers for %d messages: %s", len(codes), len(left), answers)
			return
		}
		var still []string
		for i, token := range left {
			switch {
			case strings.Contains(codes[i], `"code":200`), strings.Contains(codes[i], `"code":503`):
				still = append(still, token)
			case !strings.Contains(codes[i], `"code":404`):
				t.Errorf("send to a slow client: %s", codes[i])
			}
		}
		left = still
	}
}

// latency is measured on streams that read: the time from a publish until each
// has the event.
type latency struct {
	streams int
	times   chan time.Duration // one for each reader and publish
}

func watchLatency(t *testing.T, h *hooks, p *program, a *api, readers int) *latency {
	t.Helper()
	l := &latency{streams: readers, times: make(chan time.Duration, readers)}
	var reading sync.WaitGroup
	var clients []*client
	for range readers {
		c, token := h.accepted(p, "/reader")
		a.subscribe(token, "clock")
		clients = append(clients, c)
		reading.Go(func() {
			_ = c.conn.SetReadDeadline(time.Time{})
			for ev, err := range c.read.Events() {
				sent, bad := strconv.ParseInt(ev.Data, 10, 64)
				if err != nil || bad != nil {
					return // the stream's end
				}
				l.times <- time.Since(time.Unix(0, sent))
			}
		})
	}
	t.Cleanup(func() {
		for _, c := range clients {
			c.leave()
		}
		reading.Wait()
	})
	return l
}

// until publishes again and again until done, and gives the 99th percentile.
func (l *latency) until(t *testing.T, a *api, done <-chan struct{}) time.Duration {
	t.Helper()
	var times []time.Duration
	for linger(5*time.Millisecond, done) || len(times) == 0 {
		a.mustSend(toTopic("clock", strconv.FormatInt(time.Now().UnixNano(), 10)))
		for range l.streams {
			select {
			case d := <-l.times:
				times = append(times, d)
			case <-time.After(patience):
				t.Fatal("a reader waits for its event")
			}
		}
	}
	slices.Sort(times)
	return times[len(times)*99/100]
}

func (l *latency) during(t *testing.T, a *api, d time.Duration) time.Duration {
	t.Helper()
	done := make(chan struct{})
	timer := time.AfterFunc(d, func() { close(done) })
	defer timer.Stop()
	return l.until(t, a, done)
}

// memory is what the program has resident, in bytes.
func (p *program) memory() int64 {
	p.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if text, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseInt(strings.Fields(text)[0], 10, 64)
			if err != nil {
				p.t.Fatal(err)
			}
			return kb << 10
		}
	}
	p.t.Fatal("no VmRSS")
	return 0
}

// sampleMemory notes the highest memory until it is stopped.
func (p *program) sampleMemory() (peak *int64, stop func()) {
	peak = new(int64)
	done := make(chan struct{})
	var sampling sync.WaitGroup
	sampling.Go(func() {
		for linger(20*time.Millisecond, done) {
			*peak = max(*peak, p.memory())
		}
	})
	return peak, func() {
		close(done)
		sampling.Wait()
	}
}
