package callback

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"tidegate/internal/leftover"
	"tidegate/measure/reliability/api"
	"tidegate/measure/reliability/record"
)

func TestMain(m *testing.M) { os.Exit(leftover.RunWithDescriptors(m)) }

// fixture is a backend with a gateway that accepts subscriptions.
type fixture struct {
	*Backend
	mu         sync.Mutex
	reported   []record.Callback // guarded by mu
	subscribed []string          // request bodies; guarded by mu
	status     int               // of the gateway's answers; guarded by mu
}

func newFixture(t *testing.T) *fixture {
	r := &fixture{status: http.StatusOK}
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, _ := io.ReadAll(request.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.subscribed = append(r.subscribed, string(body))
		w.WriteHeader(r.status)
		_, _ = io.WriteString(w, `{"status":"buffered"}`)
	}))
	client := api.New([]string{gateway.URL}, "", time.Minute, 4)
	var err error
	r.Backend, err = Listen("127.0.0.1:0", client, func(cb record.Callback) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.reported = append(r.reported, cb)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		client.Close()
		gateway.Close()
	})
	return r
}

// call posts a callback and returns the status of the answer.
func (r *fixture) call(t *testing.T, action, token, url string) int {
	t.Helper()
	body, err := json.Marshal(map[string]any{"action": action, "token": token, "request": map[string]string{"url": url}, "redelivered": action == record.Disconnect})
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Post(r.URL(), "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.ReadAll(response.Body); err != nil {
		t.Error(err)
	}
	return response.StatusCode
}

func TestCallbacksSubscribeClientsAndAreReported(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	for _, test := range []struct {
		action, token, url string
		gateway, want      int
	}{
		{record.Connect, "t1", "/x?topic=load:1&topic=load:2", http.StatusOK, http.StatusOK},
		{record.Connect, "t2", "/x", http.StatusOK, http.StatusNotFound},
		{record.Connect, "t3", "/x?topic=load:1", http.StatusNotFound, http.StatusServiceUnavailable},
		{record.Disconnect, "t1", "/x?topic=load:1", http.StatusOK, http.StatusOK},
		{"other", "t1", "/x", http.StatusOK, http.StatusBadRequest},
		{record.Connect, "", "/x", http.StatusOK, http.StatusBadRequest},
	} {
		r.mu.Lock()
		r.status = test.gateway
		r.mu.Unlock()
		if status := r.call(t, test.action, test.token, test.url); status != test.want {
			t.Errorf("%s of %q at %s was answered %d, want %d", test.action, test.token, test.url, status, test.want)
		}
	}
	r.WaitClosed(t.Context())                              // all accepted streams have ended
	if err := r.server.Shutdown(t.Context()); err != nil { // and all callbacks are reported
		t.Error(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if want := `{"token":"t1","topics":["load:1","load:2"]}`; len(r.subscribed) != 2 || r.subscribed[0] != want {
		t.Errorf("subscribed %q", r.subscribed)
	}
	if len(r.reported) != 4 {
		t.Fatalf("reported %+v", r.reported)
	}
	at := slices.IndexFunc(r.reported, func(cb record.Callback) bool { return cb.Action == record.Disconnect })
	first, last := r.reported[0], r.reported[max(at, 0)]
	if first.Status != 200 || !first.Sent || first.Stream == "t1" || last.Action != record.Disconnect || last.Stream != first.Stream || !last.Redelivered {
		t.Errorf("reported %+v", r.reported)
	}
}

func TestWaitClosedWaitsForOpenStreams(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	r.call(t, record.Connect, "t1", "/x?topic=load:1")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	r.WaitClosed(ctx)
	if ctx.Err() == nil {
		t.Error("WaitClosed returned before the disconnect")
	}
	closed := make(chan struct{})
	go func() { // joined below
		defer close(closed)
		r.WaitClosed(t.Context())
	}()
	r.call(t, record.Disconnect, "t1", "/x?topic=load:1")
	<-closed
}

// TestADisconnectIsReportedAfterItsConnect: also if it arrives before the answer to
// the connect has been reported.
func TestADisconnectIsReportedAfterItsConnect(t *testing.T) {
	t.Parallel()
	var order []string
	first := make(chan struct{})
	var once sync.Once
	client := api.New([]string{"http://127.0.0.1:1"}, "", time.Minute, 1)
	defer client.Close()
	b, err := Listen("127.0.0.1:0", client, func(cb record.Callback) {
		if cb.Action == record.Connect {
			select {
			case <-first: // the disconnect was reported first
			case <-time.After(100 * time.Millisecond):
			}
		}
		once.Do(func() { order = append(order, cb.Action) })
		if cb.Action == record.Disconnect {
			close(first)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	r := &fixture{Backend: b}
	r.call(t, record.Connect, "t1", "/x") // rejected, which makes no difference here
	r.call(t, record.Disconnect, "t1", "/x")
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if len(order) != 1 || order[0] != record.Connect {
		t.Errorf("reported first: %v", order)
	}
}
