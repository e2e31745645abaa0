package e2e

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// callback is one callback as the backend got it.
type callback struct {
	Action, Token, Reason, Detail string
	Request                       struct {
		URL     string
		Headers map[string]string
	}
	at time.Time
}

// verdict is how the backend answers one callback.
type verdict struct {
	status int           // 0: the connection is broken instead
	after  time.Duration // the answer is held back so long
}

// account is what one token's callbacks came to. Only answers that went out
// whole are counted as answered.
type account struct {
	accepted    int // connects answered with 2xx
	refused     int // connects answered otherwise
	unclear     int // connects whose answer did not get out
	disconnects int // disconnects answered with 2xx
	reasons     []string
}

// hooks is a backend's callback endpoint, which can go away and come back.
type hooks struct {
	t     testing.TB
	url   string
	addr  string
	calls chan callback // callbacks that were answered with 2xx

	judge func(callback) verdict // set before the first callback

	mu       sync.Mutex
	server   *http.Server        // guarded by mu, like all below; nil while it is away
	serving  sync.WaitGroup      // waited for without mu
	accounts map[string]*account // by token
}

const callbackSecret = "hooks-secret-0123"

// newHooks starts a backend. A nil judge accepts everything at once.
func newHooks(t testing.TB, judge func(callback) verdict) *hooks {
	t.Helper()
	if judge == nil {
		judge = func(callback) verdict { return verdict{status: http.StatusOK} }
	}
	h := &hooks{t: t, addr: freeAddress(t), calls: make(chan callback, 100_000), judge: judge, accounts: map[string]*account{}}
	h.up()
	h.url = "http://" + h.addr + "/callback?secret=" + callbackSecret
	t.Cleanup(func() {
		h.cut()
		h.serving.Wait()
	})
	return h
}

// up listens, at the same address each time.
func (h *hooks) up() {
	h.t.Helper()
	var l net.Listener
	eventually(h.t, "the backend's port is free", func() (ok bool) {
		var err error
		l, err = net.Listen("tcp", h.addr)
		return err == nil
	})
	s := &http.Server{Handler: h}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.addr, h.server = l.Addr().String(), s
	h.serving.Go(func() { _ = s.Serve(l) })
}

// down stops listening at once; what is being answered may take its time.
func (h *hooks) down() {
	if s := h.take(); s != nil {
		h.serving.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			_ = s.Shutdown(ctx)
		})
	}
}

// cut ends like a process that is killed.
func (h *hooks) cut() {
	if s := h.take(); s != nil {
		_ = s.Close()
	}
}

func (h *hooks) take() *http.Server {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.server
	h.server = nil
	return s
}

// ServeHTTP implements http.Handler.
func (h *hooks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the gateway gave up, or we are cut
	}
	cb := callback{at: time.Now()}
	if err := json.Unmarshal(body, &cb); err != nil || r.URL.Query().Get("secret") != callbackSecret {
		h.t.Errorf("callback %s %s: %q: %v", r.Method, r.RequestURI, body, err)
	}
	v := h.judge(cb)
	if v.after > 0 {
		wait := time.NewTimer(v.after)
		defer wait.Stop()
		select {
		case <-wait.C:
		case <-r.Context().Done(): // the other side is gone, or we are cut
		}
	}
	if v.status == 0 {
		h.book(cb, 0, false)
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Length", "2")
	w.WriteHeader(v.status)
	_, _ = io.WriteString(w, "{}") // an error comes again at the flush
	out := http.NewResponseController(w).Flush() == nil
	h.book(cb, v.status, out)
}

// book notes an answer.
func (h *hooks) book(cb callback, status int, out bool) {
	h.mu.Lock()
	a := h.accounts[cb.Token]
	if a == nil {
		a = &account{}
		h.accounts[cb.Token] = a
	}
	ok := out && status >= 200 && status < 300
	switch connect := cb.Action == "connect"; {
	case connect && ok:
		a.accepted++
	case connect && out:
		a.refused++
	case connect:
		a.unclear++
	case ok:
		a.disconnects++
		a.reasons = append(a.reasons, cb.Reason+"/"+cb.Detail)
	}
	h.mu.Unlock()
	if ok {
		h.calls <- cb
	}
}

// next waits for the next callback that was accepted, which must be of the
// given action.
func (h *hooks) next(action string) callback {
	h.t.Helper()
	select {
	case cb := <-h.calls:
		if cb.Action != action {
			h.t.Fatalf("callback %+v, want a %s", cb, action)
		}
		return cb
	case <-time.After(patience):
		h.t.Fatalf("no %s callback came", action)
		return callback{}
	}
}

// wantDisconnect waits for the disconnect of a stream.
func (h *hooks) wantDisconnect(token, reason, detail string) callback {
	h.t.Helper()
	cb := h.next("disconnect")
	if cb.Token != token || cb.Reason != reason || cb.Detail != detail {
		h.t.Errorf("disconnect of %s says %s/%s, want of %s %s/%s", cb.Token, cb.Reason, cb.Detail, token, reason, detail)
	}
	return cb
}

// tokens are all that there have been; no log may have one.
func (h *hooks) tokens() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := []string{callbackSecret}
	for token := range h.accounts {
		all = append(all, token)
	}
	return all
}

// gateway starts a gateway before this backend.
func (h *hooks) gateway(args ...string) *program {
	h.t.Helper()
	p := start(h.t, "gateway", append([]string{"--callback-url", h.url}, args...)...)
	p.hide(h.tokens)
	return p
}
