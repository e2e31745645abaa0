package e2e

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tidegate/internal/longtest"
)

// TestExactlyOneDisconnectPerAcceptedConnect: clients leave in every way and at
// every moment while the backend is slow, fails, breaks connections and goes
// away; then gateways are stopped in the middle of it. In the end each connect
// that the backend accepted has been followed by exactly one disconnect that it
// accepted, and those that it refused by none.
//
// Accepted is what the backend answered with 2xx on a connection that took the
// answer. A connect that was written whole and whose answer was broken off, or
// which the backend was cut before reading, is unclear: the gateway cannot know
// what the backend thinks, so one disconnect or none is right. It may also tell
// such a connect once more, with the same token, on a new connection: both are
// one connect, and have one disconnect. A disconnect whose answer was broken off
// is reported again; that the backend then receives it twice cannot be avoided
// by anybody, and it counts once here, by the answer that arrived.
func TestExactlyOneDisconnectPerAcceptedConnect(t *testing.T) {
	t.Parallel()
	const atOnce, timeout = 64, 400 * time.Millisecond
	trials := longtest.Number(4000, 10_000)
	var fair atomic.Bool // the backend is in a good mood
	h := newHooks(t, func(cb callback) verdict { return moody(cb, timeout, fair.Load()) })
	p := h.gateway("--callback-timeout", timeout.String(), "--heartbeat", "100ms")

	done := make(chan struct{})
	var nuisances sync.WaitGroup
	nuisances.Go(func() { comeAndGo(h, done) })
	nuisances.Go(func() { flood(h, p.api(), done) })
	run(t, p.public, trials, atOnce)
	close(done)
	nuisances.Wait()
	fair.Store(true)
	a := p.api()
	eventually(t, "all streams have ended and all disconnects are delivered", a.idle)
	p.stop()
	h.wantBalance()

	fair.Store(false)
	const drained = "server_closed/drain"
	for i := 0; i < 5 || i < 30 && !h.had(drained); i++ { // on a busy machine few streams are open by then
		stopInTheMiddle(t, h, timeout)
	}
	h.wantBalance(drained)
}

// moody makes up an answer: mostly yes, and everything else often enough.
func moody(cb callback, timeout time.Duration, fair bool) verdict {
	mood := rand.IntN(100)
	soon := rand.N(40 * time.Millisecond)
	late := timeout + rand.N(timeout) - timeout/4
	if cb.Action == "disconnect" {
		switch {
		case fair || mood < 75:
			return verdict{http.StatusOK, soon / 4}
		case mood < 88:
			return verdict{http.StatusServiceUnavailable, 0}
		case mood < 92:
			return verdict{0, soon}
		default:
			return verdict{http.StatusOK, 100 * time.Millisecond}
		}
	}
	switch {
	case fair || mood < 60:
		return verdict{http.StatusOK, soon}
	case mood < 65:
		return verdict{http.StatusNoContent, 0}
	case mood < 75:
		return verdict{[]int{401, 403, 404, 429, 500, 503}[rand.IntN(6)], soon}
	case mood < 85:
		return verdict{http.StatusOK, late}
	case mood < 90:
		return verdict{http.StatusForbidden, late}
	case mood < 95:
		return verdict{0, soon}
	default:
		return verdict{http.StatusFound, soon}
	}
}

// comeAndGo takes the backend away for moments, in order and not.
func comeAndGo(h *hooks, done <-chan struct{}) {
	for gentle := true; ; gentle = !gentle {
		if !linger(300*time.Millisecond+rand.N(600*time.Millisecond), done) {
			return
		}
		if gentle {
			h.down()
		} else {
			h.cut()
		}
		linger(rand.N(200*time.Millisecond), nil)
		h.up()
	}
}

// linger lets time pass and reports whether all of it did before done.
func linger(d time.Duration, done <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-done:
		return false
	}
}

// flood sends to the newest streams, by token and by topic, as fast as it goes.
func flood(h *hooks, a *api, done <-chan struct{}) {
	filler := strings.Repeat("x", 2000)
	tokens := make([]string, 20)
	for n := 0; ; {
		select {
		case <-done:
			return
		case cb := <-h.calls:
			tokens[n%len(tokens)] = cb.Token
			if n++; n%len(tokens) != 0 {
				continue
			}
		}
		var batch strings.Builder
		for _, token := range tokens {
			_, _, _ = a.try("POST", "/internal/subscribe", "application/json", fmt.Sprintf(`{"token":%q,"topics":["flood"]}`, token)) // may be gone
			for range 5 {
				batch.WriteString(toToken(token, filler) + "\n" + toTopic("flood", filler) + "\n")
			}
		}
		_, _, _ = a.try("POST", "/internal/send", "application/x-ndjson", batch.String()) // each may be gone
	}
}

// run does trials, so many at once.
func run(t *testing.T, base string, trials, atOnce int) {
	var next atomic.Int64
	var workers sync.WaitGroup
	for range atOnce {
		workers.Go(func() {
			for next.Add(1) <= int64(trials) {
				if err := comeAndLeave(base); err != nil {
					t.Errorf("a trial could not reach the gateway: %v", err)
					return
				}
			}
		})
	}
	workers.Wait()
}

// comeAndLeave is one trial: a client that leaves at some moment, in some way.
func comeAndLeave(base string) error {
	c, err := tryDial(base, fmt.Sprintf("/x?%d", rand.Int()))
	if err != nil {
		return err
	}
	defer c.leave()
	switch rand.IntN(5) {
	case 0: // before the callback
	case 1: // during the callback
		linger(rand.N(60*time.Millisecond), nil)
	case 2: // when it has been answered, if at all
		if c.answer() == nil {
			linger(rand.N(30*time.Millisecond), nil)
		}
	case 3: // in the middle of a flood that it reads
		if c.answer() == nil {
			_ = c.conn.SetReadDeadline(time.Now().Add(rand.N(60 * time.Millisecond)))
			_, _ = io.CopyN(io.Discard, c.head.Body, rand.Int64N(50_000))
		}
	case 4: // in the middle of a flood that it does not read
		linger(rand.N(200*time.Millisecond), nil)
	}
	switch rand.IntN(3) {
	case 0:
		c.reset()
	case 1:
		c.leave()
	case 2:
		c.finish()
		_ = c.conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		_, _ = io.Copy(io.Discard, c.in) // until the gateway has noticed
	}
	return nil
}

// stopInTheMiddle stops a gateway of its own while clients come and go.
func stopInTheMiddle(t *testing.T, h *hooks, timeout time.Duration) {
	t.Helper()
	p := h.gateway("--callback-timeout", timeout.String(), "--drain-time", "300ms")
	done := make(chan struct{})
	var clients sync.WaitGroup
	for range 64 {
		clients.Go(func() {
			for linger(0, done) && comeAndLeave(p.public) == nil { // refused once the door is shut
			}
		})
	}
	for range 50 { // and some who stay
		clients.Go(func() {
			if c, err := tryDial(p.public, "/stays"); err == nil {
				defer c.leave()
				_, _ = io.Copy(io.Discard, c.in)
			}
		})
	}
	linger(300*time.Millisecond+rand.N(300*time.Millisecond), nil)
	p.signal(syscall.SIGTERM)
	linger(rand.N(200*time.Millisecond), nil)
	h.cut() // at the worst moment
	linger(50*time.Millisecond, nil)
	h.up()
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	close(done)
	clients.Wait()
	if log := p.log(); strings.Contains(log, "undelivered: the backend") || strings.Contains(log, "given up") {
		t.Errorf("the gateway gave up disconnects: %s", tail(log))
	}
}

// had reports whether any disconnect had that reason.
func (h *hooks) had(reason string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, a := range h.accounts {
		if slices.Contains(a.reasons, reason) {
			return true
		}
	}
	return false
}

// wantBalance checks the account of each token, and that there was every kind of
// case, further ones included.
func (h *hooks) wantBalance(further ...string) {
	h.t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	total := map[string]int{}
	for token, a := range h.accounts {
		total["accepted"] += a.accepted
		total["refused"] += a.refused
		for _, reason := range a.reasons {
			total[reason]++
		}
		if a.accepted+a.refused == 0 || a.accepted == 0 && a.disconnects == 1 {
			a.unclear = max(1, a.unclear) // the backend was cut before reading
		}
		least, most := min(a.accepted, 1), min(a.accepted+a.unclear, 1)
		if a.accepted+a.refused+a.unclear > 2 || a.disconnects < least || a.disconnects > most {
			h.t.Errorf("token %s: connects accepted %d, refused %d, unclear %d; disconnects accepted %d %v",
				token, a.accepted, a.refused, a.unclear, a.disconnects, a.reasons)
		}
		if a.accepted == 0 && a.refused == 1 && a.disconnects == 1 {
			total["refused the second time"]++
		}
		total["unclear"] += a.unclear
	}
	// Only where a first connect was cut may a refused one have a disconnect.
	if n := total["refused the second time"]; n > total["unclear"] {
		h.t.Errorf("%d of %d refused connects have a disconnect, and only %d were unclear", n, total["refused"], total["unclear"])
	}
	h.t.Logf("connects of %d tokens and reasons of disconnects: %v", len(h.accounts), total)
	for _, kind := range append(further, "accepted", "refused", "unclear",
		"client_closed/", "client_closed/during_callback", "error/callback_timeout", "error/callback_failed") {
		if total[kind] == 0 {
			h.t.Errorf("there was no case of %q in %v", kind, total)
		}
	}
}
