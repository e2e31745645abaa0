package callback_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/internal/gateway/callback"
	"tidegate/internal/gateway/token"
	"tidegate/internal/packed"
	"tidegate/internal/wire"
)

// backend is a backend that is a function.
type backend func(r *http.Request) (status int, err error)

func (b backend) RoundTrip(r *http.Request) (*http.Response, error) {
	status, err := b(r)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader("")), Header: http.Header{}}, nil
}

type noMetrics struct{}

func (noMetrics) Called(wire.Action, int, time.Duration) {}
func (noMetrics) Resent()                                {}
func (noMetrics) Dropped(string, int)                    {}

const timeout = 10 * time.Second

// newCaller posts one callback at a time.
func newCaller(b backend) (*callback.Caller, func(wire.Action) *callback.Message) {
	store := packed.New(packed.Options{})
	node := new(callback.Node)
	c := callback.NewCaller(callback.Options{
		URL: "http://backend.test/callback", Transport: b, Timeout: timeout, Concurrency: 1, Requests: store, Metrics: noMetrics{},
	})
	return c, func(action wire.Action) *callback.Message {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = "127.0.0.1:1" // no address with a share of its own
		return &callback.Message{Action: action, Token: token.New(), Node: node, Request: store.Pack(r)}
	}
}

// TestOnlyAnAnswerIsEvidenceThatTheBackendWorks: a client that has waited for its slot is
// asked to retry if the backend answered others meanwhile. If it answered nobody, the
// client gets a timeout: so it is the backend that operators look at.
func TestOnlyAnAnswerIsEvidenceThatTheBackendWorks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status     int
		err        error
		overloaded bool
	}{
		"it accepted another":              {200, nil, true},
		"it refused another":               {500, nil, true},
		"the connection of another failed": {0, errors.New("connection reset"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var calls atomic.Int32
				caller, message := newCaller(func(r *http.Request) (int, error) {
					if calls.Add(1) > 1 {
						<-r.Context().Done() // it hangs
						return 0, context.Cause(r.Context())
					}
					time.Sleep(timeout * 6 / 10)
					return c.status, c.err
				})
				late := func(callback.Answer, wire.Ending) {}
				go caller.Connect(t.Context(), message(wire.Connect), late)
				synctest.Wait() // it has the slot
				a, waited := caller.Connect(t.Context(), message(wire.Connect), late)
				if !waited || !a.Abandoned || a.Overloaded() != c.overloaded || a.TimedOut() == c.overloaded {
					t.Errorf("waited %t, abandoned %t, overloaded %t, timed out %t: %v", waited, a.Abandoned, a.Overloaded(), a.TimedOut(), a.Err)
				}
				caller.Wait()
			})
		})
	}
}

// TestAnAnswerOfWhateverKindEndsThePause: a backend that answers 503 to each disconnect is
// there, and each disconnect has a pause of its own. If nothing answers, the first one
// makes all wait that are not out yet.
func TestAnAnswerOfWhateverKindEndsThePause(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status   int
		err      error
		attempts int32
	}{
		"it answers 503":        {503, nil, 10},
		"nothing answers there": {0, errors.New("connection refused"), 2}, // at most: the second one may be handed out before
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var calls atomic.Int32
				caller, message := newCaller(func(*http.Request) (int, error) {
					calls.Add(1)
					return c.status, c.err
				})
				q := callback.NewQueue(caller, callback.QueueOptions{
					Size: 100, Retention: time.Hour, Log: slog.New(slog.DiscardHandler),
					Finished: func(*callback.Message) {}, Disowned: func(*callback.Message) {},
				})
				for range 10 {
					m := message(wire.Disconnect)
					m.Why = wire.Ending{Reason: wire.ClientClosed}
					q.Add(*m)
				}
				ctx, stop := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- q.Run(ctx, func() {}) }()
				synctest.Wait() // until all that are left have a pause
				if n := calls.Load(); n > c.attempts || n < min(c.attempts, 1) || c.err == nil && n != c.attempts {
					t.Errorf("%d attempts at once, want %d", n, c.attempts)
				}
				stop()
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestTheOldestDisconnectGivesWay in a full queue, and the others stay.
func TestTheOldestDisconnectGivesWay(t *testing.T) {
	t.Parallel()
	caller, message := newCaller(func(*http.Request) (int, error) { return http.StatusOK, nil })
	var gaveWay []string
	q := callback.NewQueue(caller, callback.QueueOptions{
		Size: 3, Retention: time.Hour, Log: slog.New(slog.DiscardHandler),
		Finished: func(m *callback.Message) { gaveWay = append(gaveWay, m.Name()) },
		Disowned: func(*callback.Message) { t.Error("another node delivers it") },
	})
	var names []string
	for range 5 {
		m := message(wire.Disconnect)
		names = append(names, m.Name())
		q.Add(*m)
	}
	if !slices.Equal(gaveWay, names[:2]) || q.Depth() != 3 {
		t.Errorf("%q gave way of %q, %d are left; want the first two, and 3", gaveWay, names, q.Depth())
	}
}

// TestOnly2xxIsAYes: what else comes back does not open a stream.
func TestOnly2xxIsAYes(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]bool{0: false, 101: false, 199: false, 200: true, 204: true, 299: true, 300: false, 302: false, 304: false, 400: false, 500: false} {
		if got := (callback.Answer{Status: status}).Accepted(); got != want {
			t.Errorf("status %d is accepted: %t, want %t", status, got, want)
		}
	}
}
