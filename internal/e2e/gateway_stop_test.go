package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestGW15StopIsGraceful: not ready at once; streams go on being served and end
// in waves, each with a retry field of its own; the backend receives each; and
// the end is a clean one.
func TestGW15StopIsGraceful(t *testing.T) {
	t.Parallel()
	const streams, over = 60, 10 * time.Second
	h := newHooks(t, nil)
	p := h.gateway("--drain-time", over.String())
	a := p.api()
	type end struct {
		text string
		err  error
		at   time.Time
	}
	ends := make(chan end, streams)
	var last *client
	var lastToken string
	for range streams {
		last, lastToken = h.accepted(p, "/x")
		go func(c *client) { // ends with the stream, which is waited for below
			text, err := c.rest()
			ends <- end{text, err, time.Now()}
		}(last)
	}
	begin := time.Now()
	p.signal(syscall.SIGTERM)
	eventually(t, "not ready", func() bool {
		status, _ := a.call(http.MethodGet, "/readyz", "", "")
		return status == http.StatusServiceUnavailable
	})
	if n := len(a.streams()); n == 0 {
		t.Error("no streams are left when it is not ready")
	}
	a.mustSend(toToken(lastToken, "still served")) // the newest stream is in the last wave
	retries, seconds := map[string]bool{}, map[int]int{}
	served := false
	for range streams {
		e := <-ends
		text, still := strings.CutPrefix(e.text, "data: still served\n\n")
		served = served || still
		var ms int
		if _, err := fmt.Sscanf(text, "retry: %d\n", &ms); err != nil || e.err != nil || ms < 1500 || ms > 4500 {
			t.Errorf("stream ended with %q, %v, want a retry field around 3s and a clean end", text, e.err)
		}
		retries[text] = true
		seconds[int(e.at.Sub(begin)/(over/4))]++
	}
	if !served {
		t.Error("the stream that was open got nothing more")
	}
	if len(retries) < streams/2 {
		t.Errorf("%d streams got %d different retry fields, want them spread", streams, len(retries))
	}
	if len(seconds) < 3 {
		t.Errorf("ends by quarters of the drain time: %v, want them spread over it", seconds)
	}
	for range streams {
		if cb := h.next("disconnect"); cb.Reason != "server_closed" || cb.Detail != "drain" {
			t.Errorf("disconnect says %s/%s, want server_closed/drain", cb.Reason, cb.Detail)
		}
	}
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if _, err := net.Dial("tcp", strings.TrimPrefix(p.public, "http://")); err == nil {
		t.Error("somebody still listens")
	}
}

// TestStopWithoutStreamsIsQuick, for tests and for developers.
func TestStopWithoutStreamsIsQuick(t *testing.T) {
	t.Parallel()
	took := time.Hour
	for range 3 { // a machine that is busy may make one of them slow
		p := newHooks(t, nil).gateway()
		begin := time.Now()
		p.stop()
		if took = min(took, time.Since(begin)); took < 8*time.Second { // the bounds of a drain are ten and more
			return
		}
	}
	t.Errorf("the stop took %s at best, want no wait at all", took)
}

// TestSecondSignalStopsTheGatewayAtOnce: whatever is still going on.
func TestSecondSignalStopsTheGatewayAtOnce(t *testing.T) {
	t.Parallel()
	h := newHooks(t, nil)
	p := h.gateway("--drain-time", "5m")
	for range 10 {
		h.accepted(p, "/x")
	}
	p.signal(syscall.SIGTERM)
	eventually(t, "it is stopping", func() bool { return strings.Contains(p.log(), "ending streams") })
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code == 0 { // which waits for less than the drain takes
		t.Error("exit code 0 after a second signal, want another")
	}
}

// TestSecondSignalMayComeRightBehindTheFirst, before anything shows of that.
func TestSecondSignalMayComeRightBehindTheFirst(t *testing.T) {
	t.Parallel()
	for range 3 {
		h := newHooks(t, nil)
		p := h.gateway("--drain-time", "5m")
		for range 10 {
			h.accepted(p, "/x")
		}
		p.signal(syscall.SIGTERM)
		p.signal(syscall.SIGINT) // the kernel makes one of two that are alike
		if code := p.exit(); code == 0 {
			t.Error("exit code 0 after a second signal, want another")
		}
	}
}

// TestStopDeliversLateDisconnects: a backend that is away when the stop begins and
// comes back during it receives everything.
func TestStopDeliversLateDisconnects(t *testing.T) {
	t.Parallel()
	h := newHooks(t, nil)
	p := h.gateway("--drain-time", "0s")
	for range 20 {
		h.accepted(p, "/x")
	}
	h.cut()
	p.signal(syscall.SIGTERM)
	eventually(t, "it has tried", func() bool { return strings.Contains(p.log(), "ending streams") })
	linger(500*time.Millisecond, nil)
	h.up()
	for range 20 {
		if cb := h.next("disconnect"); cb.Detail != "drain" {
			t.Errorf("disconnect says %s, want drain", cb.Detail)
		}
	}
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

// TestF13NoBusyLoopAtShutdown: a drain that waits costs no processor.
func TestF13NoBusyLoopAtShutdown(t *testing.T) {
	t.Parallel()
	h := newHooks(t, func(cb callback) verdict {
		if cb.Action == "disconnect" {
			return verdict{http.StatusServiceUnavailable, 0} // so that the stop has to wait at its end, too
		}
		return verdict{http.StatusOK, 0}
	})
	p := h.gateway("--drain-time", "3s")
	for range 200 {
		h.accepted(p, "/x")
	}
	p.signal(syscall.SIGTERM)
	eventually(t, "it is stopping", func() bool { return strings.Contains(p.log(), "ending streams") })
	begin, before := time.Now(), p.cpu()
	linger(5*time.Second, nil) // three of the drain, two of waiting for the backend
	took, used := time.Since(begin), p.cpu()-before
	if used > took/2 {
		t.Errorf("the drain used %s of processor in %s, want hardly any", used, took)
	}
	t.Logf("processor time in %s of draining: %s", took.Round(time.Millisecond), used)
	p.signal(syscall.SIGKILL)
	p.exit()
}

// cpu is the processor time that the program has used.
func (p *program) cpu() time.Duration {
	p.t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ") // behind the name, which may hold blanks
	fields := strings.Fields(rest)
	var ticks int64
	for _, field := range fields[11:13] { // utime and stime, in hundredths of a second
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			p.t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// TestPortInUse is exit code 1, and the message names the port and the setting.
func TestPortInUse(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	address := taken.Addr().String()
	for flag, other := range map[string]string{"--listen": "--internal-listen", "--internal-listen": "--listen"} {
		p := launch(t, nil, "gateway", flag, address, other, "127.0.0.1:0")
		if code := p.exit(); code != 1 {
			t.Errorf("%s in use: exit code %d, want 1", flag, code)
		}
		if text := p.log(); !strings.Contains(text, address) || !strings.Contains(text, "in use") || !strings.Contains(text, flag) {
			t.Errorf("%s in use: %q, want the address and the setting in it", flag, text)
		}
	}
}

// TestUsageErrors are exit code 2, all of them at once, each by its name.
func TestUsageErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		env  []string
		args []string
		says []string
	}{
		{"no command", nil, nil, []string{"no command"}},
		{"unknown command", nil, []string{"gatway"}, []string{"gatway"}},
		{"unknown flag", nil, []string{"gateway", "--heartbeet", "1s"}, []string{"heartbeet"}},
		{"bad values", nil, []string{"gateway", "--heartbeat", "never", "--max-pending", "-1", "--callback-url", "ftp://x"},
			[]string{"--heartbeat", "--max-pending", "--callback-url"}},
		{"unknown variable", []string{"TIDEGATE_HEARTBEET=1s"}, []string{"gateway"}, []string{"TIDEGATE_HEARTBEET"}},
		{"open to the world", nil, []string{"gateway", "--internal-listen", "0.0.0.0:0"}, []string{"--internal-secret"}},
		// GW-19: an interval that a timer of 32 bits cannot count.
		{"old interval", []string{"HEARTBEAT_INTERVAL_SECONDS=2592000"}, []string{"gateway"}, []string{"HEARTBEAT_INTERVAL_SECONDS"}},
		{"long interval", nil, []string{"gateway", "--heartbeat", "720h"}, []string{"--heartbeat"}},
	}
	for _, tt := range tests {
		p := launch(t, tt.env, tt.args...)
		if code := p.exit(); code != 2 {
			t.Errorf("%s: exit code %d, want 2", tt.name, code)
		}
		for _, word := range tt.says {
			if text := p.log(); !strings.Contains(text, word) {
				t.Errorf("%s: %q does not name %s", tt.name, text, word)
			}
		}
	}
}
