package limit_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/internal/limit"
)

// logBook keeps lines that come from several goroutines.
type logBook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *logBook) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf.Reset()
}

func TestX17RefusalsAreSummedUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out logBook
		tally := limit.NewTally(slog.New(slog.NewTextHandler(&out, nil)), "stream refused")
		a, b := netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("2001:db8::5")
		for range 1000 {
			tally.Add("BACKEND_FORBIDDEN", a, "status", 403)
		}
		tally.Add("BACKEND_FORBIDDEN", b)
		tally.Add("BACKEND_ERROR", a)
		time.Sleep(time.Minute + time.Second)
		synctest.Wait()
		lines := strings.Count(out.String(), "\n")
		if lines != 4 || !strings.Contains(out.String(), "code=BACKEND_FORBIDDEN address=203.0.113.1 status=403") ||
			!strings.Contains(out.String(), "more=999 within=1m0s") || !strings.Contains(out.String(), "address=2001:db8::") {
			t.Errorf("%d lines, want 3 and a summary:\n%s", lines, out.String())
		}
		out.Reset()
		time.Sleep(3 * time.Minute) // quiet: the next is a first again
		synctest.Wait()
		tally.Add("BACKEND_FORBIDDEN", a, "status", 403)
		if text := out.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "status=403") {
			t.Errorf("after a quiet time: %s", text)
		}
		out.Reset()
		for i := range 100_000 { // whoever has many addresses has no more lines
			tally.Add("BACKEND_FORBIDDEN", netip.MustParseAddr(fmt.Sprintf("10.%d.%d.1", i/256%256, i%256)))
		}
		if n := strings.Count(out.String(), "\n"); n > 300 {
			t.Errorf("%d lines of many addresses, want 300 at most", n)
		}
		time.Sleep(3 * time.Minute)
		synctest.Wait()
	})
}
