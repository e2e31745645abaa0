package gateway_test

import (
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"tidegate/internal/wire"
)

// callback is one callback as the backend got it.
type callback struct {
	wire.Callback
	Raw    string // the body
	Method string
	Target string
	Header http.Header
	At     time.Time
}

// backend takes callbacks and answers them as the test says.
type backend struct {
	t         testing.TB
	transport *http.Transport // reaches it
	calls     chan callback   // all callbacks, in the order in which they came
	close     func()

	mu     sync.Mutex
	answer func(w http.ResponseWriter, cb callback) // guarded by mu
	gate   chan struct{}                            // guarded by mu: closed when nothing is held
}

func newBackend(t testing.TB, on network) *backend {
	l, dial := on(t)
	b := &backend{t: t, calls: make(chan callback, 10_000), gate: make(chan struct{})}
	b.transport = &http.Transport{DialContext: dial, MaxIdleConnsPerHost: 64}
	b.status(http.StatusOK)
	close(b.gate)
	stop := serve(l, b)
	b.close = func() {
		b.transport.CloseIdleConnections()
		stop()
	}
	return b
}

// status makes the backend answer every callback with code, and {} as body.
func (b *backend) status(code int) {
	b.handle(func(w http.ResponseWriter, _ callback) {
		w.WriteHeader(code)
		if code >= 200 && code != http.StatusNoContent && code != http.StatusNotModified {
			_, _ = io.WriteString(w, "{}")
		}
	})
}

// connects makes the backend answer connects with code, and disconnects with 200.
func (b *backend) connects(code int) {
	b.handle(func(w http.ResponseWriter, cb callback) {
		if cb.Action == wire.Connect {
			w.WriteHeader(code)
		}
	})
}

// breaks makes the backend break the connection instead of answering a connect.
func (b *backend) breaks() {
	b.handle(func(_ http.ResponseWriter, cb callback) {
		if cb.Action == wire.Connect {
			panic(http.ErrAbortHandler)
		}
	})
}

func (b *backend) handle(answer func(w http.ResponseWriter, cb callback)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answer = answer
}

// hold makes all answers wait until letGo.
func (b *backend) hold() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gate = make(chan struct{})
}

// letGo lets answers out. It may be called when nothing is held.
func (b *backend) letGo() {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-b.gate:
	default:
		close(b.gate)
	}
}

// ServeHTTP implements http.Handler.
func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the gateway gave up
	}
	cb := callback{Raw: string(body), Method: r.Method, Target: r.RequestURI, Header: r.Header, At: time.Now()}
	if err := json.Unmarshal(body, &cb.Callback); err != nil {
		b.t.Errorf("%s %s: callback is not JSON: %q", r.Method, r.RequestURI, body)
	}
	b.mu.Lock()
	answer, gate := b.answer, b.gate
	b.mu.Unlock()
	b.calls <- cb
	select {
	case <-gate:
		answer(w, cb)
	case <-r.Context().Done():
	}
}

// next waits for the next callback, which must be of the given action.
func (b *backend) next(action wire.Action) callback {
	b.t.Helper()
	select {
	case cb := <-b.calls:
		if cb.Action != action {
			b.t.Fatalf("callback %s, want a %s", cb.Raw, action)
		}
		return cb
	case <-time.After(patience):
		b.t.Fatalf("no %s callback came", action)
		return callback{}
	}
}

// skipTo waits for a callback and drops those before it.
func (b *backend) skipTo(action wire.Action) callback {
	b.t.Helper()
	for {
		select {
		case cb := <-b.calls:
			if cb.Action == action {
				return cb
			}
		case <-time.After(patience):
			b.t.Fatalf("no %s callback came", action)
		}
	}
}

// wantDisconnect waits for the disconnect of a stream.
func (b *backend) wantDisconnect(token string, reason wire.Reason, detail wire.Detail) callback {
	b.t.Helper()
	cb := b.next(wire.Disconnect)
	if cb.Token != token || cb.Reason != reason || cb.Detail != detail {
		b.t.Errorf("disconnect of %s says %s/%s, want of %s %s/%s", cb.Token, cb.Reason, cb.Detail, token, reason, detail)
	}
	return cb
}

// silent fails if there are callbacks that no test step took.
func (b *backend) silent(when string) {
	b.t.Helper()
	select {
	case cb := <-b.calls:
		b.t.Errorf("%s: callback %s, want none", when, cb.Raw)
	default:
	}
}
