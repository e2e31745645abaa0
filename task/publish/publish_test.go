package publish_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tidegate/client"
	"tidegate/task"
	"tidegate/task/publish"
)

// gateway takes batches as a gateway does: whole requests up to a size, lines up
// to a size, nothing after a close, each key once.
type gateway struct {
	maxLine, maxRequest int

	mu       sync.Mutex
	requests int
	log      []client.Message
	closed   bool
}

func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.requests++
	body, _ := io.ReadAll(r.Body)
	if r.URL.Path != "/internal/send" || r.Header.Get("Content-Type") != "application/x-ndjson" || r.Header.Get("Authorization") != "Bearer s" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if len(body) > g.maxRequest {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		_, _ = io.WriteString(w, `{"error":{"code":"BODY_TOO_LARGE","message":"too large"}}`)
		return
	}
	for line := range strings.Lines(string(body)) {
		code, why := g.take(line)
		fmt.Fprintf(w, `{"code":%d,"error":{"code":%q,"message":"because"}}`+"\n", code, why)
	}
}

func (g *gateway) take(line string) (int, string) {
	var m client.Message
	if err := json.Unmarshal([]byte(line), &m); err != nil {
		return http.StatusBadRequest, "INVALID_JSON"
	}
	switch {
	case len(line) > g.maxLine:
		return http.StatusRequestEntityTooLarge, "BODY_TOO_LARGE"
	case slices.ContainsFunc(g.log, func(o client.Message) bool { return o.IdempotencyKey == m.IdempotencyKey }):
	case g.closed:
		return http.StatusConflict, "TOPIC_CLOSED"
	default:
		g.log = append(g.log, m)
		g.closed = m.Close
	}
	return http.StatusOK, ""
}

func (g *gateway) names() (names []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, m := range g.log {
		var data struct {
			Type string `json:"event_type"`
		}
		_ = json.Unmarshal([]byte(m.Event.Data), &data)
		names = append(names, m.Event.Name+" "+data.Type)
	}
	return names
}

func dial(t *testing.T, h http.Handler) *publish.Publisher {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	tide, err := client.New(client.Options{URL: server.URL + "/", Secret: "s", Timeout: time.Minute, Retries: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tide.CloseIdleConnections)
	return publish.New(publish.Options{Client: tide})
}

// TestX34ATaskWhoseResultIsTooLargeEndsAllTheSame: its log gets a small terminal
// event in place of the large one, and then its close, in this order.
func TestX34ATaskWhoseResultIsTooLargeEndsAllTheSame(t *testing.T) {
	t.Parallel()
	for name, g := range map[string]*gateway{
		"the line is refused":    {maxLine: 2000, maxRequest: 1 << 20},
		"the request is refused": {maxLine: 1 << 20, maxRequest: 2000},
	} {
		svc, err := task.New(task.Options{Publisher: dial(t, g)})
		if err != nil {
			t.Fatal(err)
		}
		err = svc.Register(task.Type{Name: "large", Run: func(_ context.Context, run *task.Run) (any, error) {
			return strings.Repeat("x", 5000), run.Progress(task.Progress{Text: strings.Repeat("y", 5000)})
		}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := svc.Start(t.Context(), "large", nil); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- svc.Run(ctx) }()
		patience, cancel := context.WithTimeout(ctx, time.Minute)
		svc.Drain(patience)
		cancel()
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		want := []string{"task_event task_started", "task_event task_completed", "connection_close "}
		if got := g.names(); !slices.Equal(got, want) || !g.closed {
			t.Errorf("%s: the log has %q, closed %v; want %q", name, got, g.closed, want)
		}
		if g.requests > 20 {
			t.Errorf("%s: %d requests", name, g.requests)
		}
	}
}

// TestX34TheCloseIsNotSentBesideWhatMayBeRefused.
func TestX34TheCloseIsNotSentBesideWhatMayBeRefused(t *testing.T) {
	t.Parallel()
	var batches []int
	p := dial(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		n := strings.Count(string(body), "\n")
		batches = append(batches, n)
		_, _ = io.WriteString(w, strings.Repeat("{\"code\":200}\n", n))
	}))
	events := make([]task.Event, 2501)
	events[2500].Close = true
	if err := p.Publish(t.Context(), "a", events); err != nil || fmt.Sprint(batches) != "[1000 1000 500 1]" {
		t.Errorf("batches of %v, %v", batches, err)
	}
}

func TestWhatAnAnswerMeans(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		status   int
		body     string
		rejected bool
		fails    bool
	}{
		"taken":                  {200, `{"code":200}`, false, false},
		"closed":                 {200, `{"code":409,"error":{"code":"TOPIC_CLOSED"}}`, false, false},
		"written by another":     {200, `{"code":422,"error":{"code":"IDEMPOTENCY_MISMATCH"}}`, false, false},
		"too large":              {200, `{"code":413,"error":{"code":"BODY_TOO_LARGE"}}`, true, true},
		"never":                  {200, `{"code":400,"error":{"code":"INVALID_TOPIC"}}`, true, true},
		"not now":                {200, `{"code":503,"error":{"code":"BUFFER_FULL"}}`, false, true},
		"another conflict":       {200, `{"code":409,"error":{"code":"OTHER"}}`, false, true},
		"no answer":              {200, ``, false, true},
		"half an answer":         {200, `{"code":20`, false, true},
		"something else answers": {200, `<html>`, false, true},
		"the whole too large":    {413, `nginx says so`, true, true},
		"no secret":              {401, `{"error":{"code":"UNAUTHORIZED"}}`, false, true},
		"a bad request":          {400, `{"error":{"code":"INVALID_JSON"}}`, false, true},
	} {
		p := dial(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(tt.status)
			_, _ = io.WriteString(w, tt.body)
		}))
		err := p.Publish(t.Context(), "a", []task.Event{{Name: "n"}})
		_, rejected := errors.AsType[*task.RejectedError](err)
		if (err != nil) != tt.fails || rejected != tt.rejected {
			t.Errorf("%s: %v, rejected %v", name, err, rejected)
		}
	}
}

func TestNewNeedsAClient(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("New without a Client does not panic")
		}
	}()
	publish.New(publish.Options{})
}
