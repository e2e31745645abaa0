package backend

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"tidegate/client"
	"tidegate/internal/access"
	"tidegate/internal/wire"
	"tidegate/task"
)

// testBundle is a backend, the gateway it talks to, and what it logged.
type testBundle struct {
	*Backend
	gateway *fakeGateway
	log     *logBuffer
	metrics *prometheus.Registry
}

const secret, nextSecret = "s3cret-of-callbacks", "the-next-s3cret-of-callbacks"

// setup makes a backend that does not run yet. change may be nil.
func setup(t *testing.T, change func(*Options)) *testBundle {
	t.Helper()
	b := &testBundle{gateway: newFakeGateway(), log: &logBuffer{}, metrics: prometheus.NewRegistry()}
	opts := Options{
		Mode:            Testing,
		CallbackSecrets: secretsOf(t, secret, nextSecret),
		Client:          client.Options{URL: "http://gateway.test", Transport: b.gateway},
		Types:           []task.Type{waiting()},
		Log:             slog.New(slog.NewJSONHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Registerer:      b.metrics,
	}
	if change != nil {
		change(&opts)
	}
	if opts.Mode == Testing { // as the program does
		opts.Types = append(opts.Types, demoTypes()...)
	}
	backend, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	b.Backend = backend
	return b
}

// waiting is a kind of task that runs until it is cancelled.
func waiting() task.Type {
	return task.Type{Name: "waiting", Run: func(ctx context.Context, _ *task.Run) (any, error) {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}}
}

// run runs the backend until the test ends. Use it in a bubble.
func (b *testBundle) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
}

// start starts a task and returns its id.
func (b *testBundle) start(t *testing.T, typ string) string {
	t.Helper()
	info, err := b.Tasks().Start(t.Context(), typ, nil)
	if err != nil {
		t.Fatal(err)
	}
	return info.ID
}

// post sends a callback in the way that needs no secret.
func (b *testBundle) post(body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", "/api/sse/callback", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	b.Callback().ServeHTTP(w, r)
	return w
}

func (b *testBundle) connect(token, url string) *httptest.ResponseRecorder {
	return b.post(string(encode(wire.Callback{Action: wire.Connect, Token: token, Request: wire.Request{URL: url}})))
}

func (b *testBundle) disconnect(token, url string, reason wire.Reason) *httptest.ResponseRecorder {
	return b.post(string(encode(wire.Callback{Action: wire.Disconnect, Reason: reason, Token: token, Request: wire.Request{URL: url}})))
}

func wantOK(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	if w.Code != http.StatusOK || w.Body.String() != "{}" {
		t.Errorf("callback answered %d %q, want 200 {}", w.Code, w.Body)
	}
}

// metric is the value of a counter or gauge with the given label values.
func (b *testBundle) metric(t *testing.T, name string, labels ...string) float64 {
	t.Helper()
	families, err := b.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	total := 0.0
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
	metrics:
		for _, m := range family.GetMetric() {
			for i, want := range labels {
				if m.GetLabel()[i].GetValue() != want {
					continue metrics
				}
			}
			total += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return total
}

func TestMetricsFollowTheNamingRules(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	wantOK(t, b.connect("t1", "/api/sse/utils/version?request_id=a"))
	families, err := b.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
}

// logBuffer collects log records; it may be written to concurrently.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func secretsOf(t testing.TB, texts ...string) *access.Secrets {
	t.Helper()
	s, err := access.NewSecrets(texts...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
