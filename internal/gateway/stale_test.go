package gateway_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"tidegate/internal/gateway"
	"tidegate/internal/wire"
)

// closer is a backend that closes connections in place of answering.
type closer struct {
	url string

	mu     sync.Mutex
	calls  []closerCall                  // guarded by mu, as is script
	script func(closerCall) (answer int) // 0 closes the connection
	signal chan struct{}
}

type closerCall struct {
	wire.Callback
	nth       int // request on its connection
	signature string
	body      []byte
}

type nthKey struct{}

func newCloser(t *testing.T, script func(closerCall) int) *closer {
	t.Helper()
	c := &closer{script: script, signal: make(chan struct{}, 1000)}
	s := httptest.NewUnstartedServer(c)
	s.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		return context.WithValue(ctx, nthKey{}, new(int))
	}
	s.Start()
	t.Cleanup(s.Close)
	c.url = s.URL
	return c
}

func (c *closer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	nth := r.Context().Value(nthKey{}).(*int)
	*nth++
	call := closerCall{nth: *nth, signature: r.Header.Get(wire.SignatureHeader)}
	call.body, _ = io.ReadAll(r.Body)
	_ = json.Unmarshal(call.body, &call.Callback)
	c.mu.Lock()
	c.calls = append(c.calls, call)
	status := c.script(call)
	c.mu.Unlock()
	defer func() { c.signal <- struct{}{} }()
	switch status {
	case 0:
		panic(http.ErrAbortHandler)
	case 1: // a byte of an answer, and then nothing
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_, _ = conn.Write([]byte("H"))
			_ = conn.Close()
		}
	default:
		w.WriteHeader(status)
	}
}

// of are the calls of one action for a token.
func (c *closer) of(action wire.Action, token string) (calls []closerCall) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, call := range c.calls {
		if call.Action == action && call.Token == token {
			calls = append(calls, call)
		}
	}
	return calls
}

// last is the token of the newest connect.
func (c *closer) last() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := len(c.calls) - 1; i >= 0; i-- {
		if c.calls[i].Action == wire.Connect {
			return c.calls[i].Token
		}
	}
	return ""
}

func TestX24ConnectOnAConnectionThatTheBackendCloses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		reused, fresh int // what the backend does on a reused and on a new connection
		client        int
		tries         int
		disconnects   int
	}{
		"closed, then accepted":     {0, 200, 200, 2, 1},
		"closed, then refused":      {0, 403, 403, 2, 1}, // the first may have been accepted
		"closed, then closed":       {0, 0, 503, 2, 1},
		"a byte, then closed":       {1, 200, 503, 1, 1},
		"answered":                  {200, 0, 200, 1, 1},
		"refused":                   {403, 200, 403, 1, 0},
		"error, and no second try":  {500, 200, 500, 1, 0},
		"closed, then out of order": {0, 500, 500, 2, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			warm := true
			backend := newCloser(t, func(call closerCall) int {
				switch {
				case call.Action == wire.Disconnect || warm:
					return 200
				case call.nth > 1:
					return tt.reused
				}
				return tt.fresh
			})
			r := setup(t, sockets, func(o *gateway.Options) {
				o.Transport, o.CallbackURL, o.CallbackSecrets = nil, backend.url+"/cb", secretsOf(t, callbackKey)
			})
			first := r.open("/first") // leaves a connection to be used again
			if got := first.response(); got.StatusCode != 200 {
				t.Fatalf("first stream: %d", got.StatusCode)
			}
			backend.mu.Lock()
			warm = false
			backend.mu.Unlock()

			c := r.open("/second")
			got := c.response()
			if got.StatusCode != tt.client {
				t.Errorf("client got %d, want %d", got.StatusCode, tt.client)
			}
			c.leave()
			token := backend.last()
			r.halt() // all disconnects there are have been delivered
			connects, disconnects := backend.of(wire.Connect, token), backend.of(wire.Disconnect, token)
			if len(connects) != tt.tries || len(disconnects) != tt.disconnects {
				t.Errorf("%d connects and %d disconnects, want %d and %d", len(connects), len(disconnects), tt.tries, tt.disconnects)
			}
			for i, call := range connects {
				if call.nth == 1 != (i == 1) {
					t.Errorf("try %d is request %d of its connection", i+1, call.nth)
				}
				if call.signature == "" {
					t.Errorf("try %d is not signed", i+1)
				}
			}
			if got, want := r.count("tidegate_callback_retries_total"), strconv.Itoa(tt.tries-1); got != want {
				t.Errorf("%s retries counted, want %s", got, want)
			}
		})
	}
}

// A new connection that breaks is a sign of a backend in trouble: asking twice would
// only add to that.
func TestX24ConnectOnANewConnectionIsSentOnce(t *testing.T) {
	t.Parallel()
	backend := newCloser(t, func(call closerCall) int { return map[bool]int{true: 0, false: 200}[call.Action == wire.Connect] })
	r := setup(t, sockets, func(o *gateway.Options) { o.Transport, o.CallbackURL = nil, backend.url })
	if got := r.open("/x").reply(); got.Status != http.StatusServiceUnavailable {
		t.Errorf("client got %d, want 503", got.Status)
	}
	r.halt()
	if connects, disconnects := backend.of(wire.Connect, backend.last()), backend.of(wire.Disconnect, backend.last()); len(connects) != 1 || len(disconnects) != 1 {
		t.Errorf("%d connects and %d disconnects, want 1 of each", len(connects), len(disconnects))
	}
}

// A backend that closes connections as soon as they are idle, as many do after
// some seconds: no client may notice.
func TestX24ManyConnectsAtABackendThatClosesIdleConnections(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	connects, disconnects := map[string]int{}, map[string]int{}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var call wire.Callback
		if err := json.NewDecoder(r.Body).Decode(&call); err != nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if call.Action == wire.Connect {
			connects[call.Token]++
		} else {
			disconnects[call.Token]++
		}
	}))
	s.Config.IdleTimeout = time.Millisecond
	s.Start()
	defer s.Close()
	r := setup(t, sockets, func(o *gateway.Options) { o.Transport, o.CallbackURL = nil, s.URL })
	const clients = 300
	for i := range clients {
		c := r.open("/x")
		if got := c.response(); got.StatusCode != http.StatusOK {
			t.Fatalf("client %d got %d", i, got.StatusCode)
		}
		c.leave()
		time.Sleep(time.Duration(i%20) * 100 * time.Microsecond) // to meet the very moment
	}
	r.halt()
	mu.Lock()
	defer mu.Unlock()
	if len(connects) != clients || len(disconnects) != clients {
		t.Errorf("%d tokens connected and %d disconnected, want %d", len(connects), len(disconnects), clients)
	}
	for token, n := range disconnects {
		if n != 1 {
			t.Errorf("%d disconnects of %s", n, token)
		}
	}
}
