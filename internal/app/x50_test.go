package app_test

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tidegate/internal/app"
	"tidegate/internal/config"
)

// TestX50APortInUseIsNoReasonToMakeAStore, nor is a certificate that is missing.
func TestX50APortInUseIsNoReasonToMakeAStore(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	used := taken.Addr().String()
	for name, args := range map[string][]string{
		"public":      {"serve", "--listen", used, "--internal-listen", "127.0.0.1:0"},
		"internal":    {"serve", "--listen", "127.0.0.1:0", "--internal-listen", used},
		"gateway":     {"gateway", "--listen", used, "--internal-listen", "127.0.0.1:0"},
		"certificate": {"serve", "--listen", "127.0.0.1:0", "--internal-listen", "127.0.0.1:0", "--tls-cert", os.DevNull, "--tls-key", os.DevNull},
	} {
		data := filepath.Join(t.TempDir(), "d")
		cfg, _, err := config.Load(args[0], append(args[1:], "--data", data), nil, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		err = app.Run(t.Context(), app.Options{Command: args[0], Config: cfg, Log: slog.New(slog.DiscardHandler)})
		if err == nil || name != "certificate" && !strings.Contains(err.Error(), used) {
			t.Errorf("%s: Run() = %v, want an error that names the port", name, err)
		}
		if entries, err := os.ReadDir(data); err == nil {
			t.Errorf("%s: there is a store: %v", name, entries)
		}
	}
}

// TestX50AStopSaysWhatItWaitsFor at once.
func TestX50AStopSaysWhatItWaitsFor(t *testing.T) {
	t.Parallel()
	p := start(t, "serve", "--grace", "2s", "--task-workers", "1", "--data", "")
	var ids []string
	for range 3 {
		got := do(t, "POST", p.Public+"/api/tasks", `{"type":"demo_task","params":{"delay":3600}}`)
		if got.status != http.StatusAccepted {
			t.Fatalf("start: %d %s", got.status, got.body)
		}
		ids = append(ids, got.header.Get("Location"))
	}
	eventually(t, "one task runs", func() bool {
		return slices.ContainsFunc(ids, func(url string) bool { return strings.Contains(do(t, "GET", p.Public+url, "").body, `"running"`) })
	})
	p.cancel()
	eventually(t, "the log says what is waited for", func() bool {
		return strings.Contains(p.log.String(), `msg="stopping: waiting for tasks" running=1 pending=2`)
	})
	if err := p.stop(); err != nil {
		t.Error(err)
	}
	if strings.Contains(p.log.String(), "<nil>") {
		t.Error("the log has <nil>")
	}
}

// TestX50CountersExistFromTheStart: what happens later adds no series of a label
// whose values are known.
func TestX50CountersExistFromTheStart(t *testing.T) {
	t.Parallel()
	p := start(t, "serve")
	before := counters(t, p)
	openStream(t, p.Public+"/api/sse/utils/version?request_id=tab")
	do(t, "GET", p.Public+"/api/sse/nowhere", "")
	for _, body := range []string{`{"topic":"a","event":{"data":"b"}}`, `{"token":"gone"}`, `{}`, `{"topic":"a"}`, `nonsense`, `{"topic":"a","event":{"data":1}}`} {
		do(t, "POST", p.Internal+"/internal/send", body)
	}
	do(t, "POST", p.Public+"/api/versions", `{"version":"1"}`)
	got := do(t, "POST", p.Public+"/api/tasks", `{"type":"failing_task","params":{"delay":0}}`)
	eventually(t, "the task failed", func() bool {
		return strings.Contains(do(t, "GET", p.Public+got.header.Get("Location"), "").body, `"failed"`)
	})
	for _, series := range counters(t, p) {
		if !slices.Contains(before, series) && !strings.HasPrefix(series, "tidegate_callbacks_total") {
			t.Errorf("%s was not there at the start", series)
		}
	}
	for _, want := range []string{
		`tidegate_callbacks_total{action="connect",status="none"}`, `tidegate_disconnects_dropped_total{reason="too_old"}`,
		`tidegate_streams_refused_total{code="BACKEND_UNAVAILABLE"}`, `tidegate_backend_publish_total{outcome="failed"}`,
		`tidegate_tasks_finished_total{state="failed",type="demo_task"}`, `tidegate_sends_total{code="BUFFER_FULL",target="token"}`,
	} {
		if !slices.Contains(before, want) {
			t.Errorf("%s is not there at the start", want)
		}
	}
}

// counters are the series of all counters, and the counts of histograms.
func counters(t *testing.T, p *program) (series []string) {
	t.Helper()
	text := do(t, "GET", p.Internal+"/metrics", "").body
	for _, line := range regexp.MustCompile(`(?m)^(tidegate_\w+(_total|_count))(\{[^}]*\})? `).FindAllStringSubmatch(text, -1) {
		series = append(series, line[1]+line[3])
	}
	if len(series) < 20 {
		t.Fatalf("%d counters in %.200q", len(series), text)
	}
	return series
}
