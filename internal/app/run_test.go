package app_test

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestRunTwentyTimes(t *testing.T) {
	t.Parallel()
	for i := range 20 {
		p := start(t, "serve")
		if i%2 == 0 {
			// Streams and tasks are there while it stops.
			if got := do(t, "POST", p.Public+"/api/tasks", `{"type":"demo_task","params":{"delay":3600}}`); got.status != http.StatusAccepted {
				t.Fatalf("start of a task: %d %s", got.status, got.body)
			}
			openStream(t, p.Public+"/api/sse/utils/version?request_id=tab")
		}
		if i%3 == 0 {
			p.cancel()
			continue // stopped at the end, among others
		}
		if err := p.stop(); err != nil {
			t.Fatalf("Run() = %v", err)
		}
	}
	for range 20 {
		if err := start(t, "gateway").stop(); err != nil {
			t.Fatalf("gateway: Run() = %v", err)
		}
		if err := start(t, "backend", "--mode", "development", "--gateway-url", "http://127.0.0.1:9").stop(); err != nil {
			t.Fatalf("backend: Run() = %v", err)
		}
	}
}

// openStream opens a stream and leaves it open; it ends with the test at the latest.
func openStream(t *testing.T, url string) *http.Response {
	t.Helper()
	res, err := client(t).Get(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	if res.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %d", url, res.StatusCode)
	}
	return res
}

// The backend must outlive the streams: it receives their disconnects.
func TestStopNotifiesTheBackendOfEveryStream(t *testing.T) {
	t.Parallel()
	p := start(t, "serve")
	const streams = 30
	for range streams {
		openStream(t, p.Public+"/api/sse/utils/version?request_id=tab")
	}
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	log, reported := p.log.String(), 0
	for line := range strings.Lines(log) {
		if strings.Contains(line, `msg="stream disconnected"`) && strings.Contains(line, "reason=server_closed detail=drain") {
			reported++
		}
	}
	if reported != streams {
		t.Errorf("the backend received %d disconnects by the stop, want %d", reported, streams)
	}
	if !strings.HasSuffix(strings.TrimSpace(log), "msg=stopped") {
		t.Error("the last word of the log is not that it stopped")
	}
}

func TestNoConnectionIsTakenOnceItHasStopped(t *testing.T) {
	t.Parallel()
	p := start(t, "serve")
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{p.Public, p.Internal} {
		if res, err := client(t).Get(url + "/healthz"); err == nil {
			_ = res.Body.Close()
			t.Errorf("%s still answers", url)
		}
	}
}

// Browsers and the pools of clients open connections in advance.
func TestConnectionsThatWereNeverUsedDoNotHoldUpTheStop(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"serve", "gateway", "backend"} {
		args := map[string][]string{"backend": {"--mode", "development", "--gateway-url", "http://127.0.0.1:9"}}[command]
		// net/http waits for five seconds each time; a busy machine may once.
		const tries = 5
		took := stopWithUnusedConnections(t, command, args...)
		for range tries - 1 {
			if took < 4*time.Second {
				break
			}
			took = min(took, stopWithUnusedConnections(t, command, args...))
		}
		if took >= 4*time.Second {
			t.Errorf("%s took %v to stop, at best", command, took)
		}
	}
}

func stopWithUnusedConnections(t *testing.T, command string, args ...string) time.Duration {
	t.Helper()
	p := start(t, command, args...)
	for _, url := range []string{p.Public, p.Internal} {
		if url == "" {
			continue
		}
		c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
	}
	do(t, "GET", p.Public+"/healthz", "") // accepted after them
	began := time.Now()
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	return time.Since(began)
}
