package gateway_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/internal/gateway"
	"tidegate/internal/wire"
)

// TestAStreamIsRecordedBeforeItsConnectIsPosted: or a gateway that dies in
// between leaves a stream whose end nobody reports.
func TestAStreamIsRecordedBeforeItsConnectIsPosted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &sessionStore{gate: make(chan struct{})}
		r := recorded(t, pipes, l, nil)
		begin := time.Now()
		r.open("/x?a=1&b=2", "X-A: b")
		synctest.Wait()
		r.backend.silent("before the record is durable")
		close(l.gate)
		cb := r.backend.next(wire.Connect)
		if took := time.Since(begin); took > 0 {
			t.Errorf("took %s, want no waiting beyond the record", took)
		}
		if len(l.entered) != 1 {
			t.Fatalf("%d records, want 1", len(l.entered))
		}
		e := l.entered[0]
		var raw struct{ Request json.RawMessage }
		if err := json.Unmarshal([]byte(cb.Raw), &raw); err != nil {
			t.Fatal(err)
		}
		if e.Node != nodeA || e.Token != cb.Token || e.OpenedAt != begin.UnixNano() || string(e.Request) != string(raw.Request) {
			t.Errorf("record %+v with the request %s, want that of callback %s", e, e.Request, cb.Raw)
		}
	})
}

func TestASessionStoreThatIsAwayDelaysAConnectForSecondsOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := recorded(t, pipes, &sessionStore{gate: make(chan struct{})}, nil)
		begin := time.Now()
		r.open("/x")
		cb := <-r.backend.calls // later than what is usual
		if took := time.Since(begin); took != 10*time.Second || cb.Action != wire.Connect {
			t.Errorf("took %s, want 10s", took)
		}
	})
}

func TestARecordIsStruckWhenNothingIsLeftToTell(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		do   func(r *rig, l *sessionStore) (token string)
	}{
		{"the backend refused the stream", func(r *rig, _ *sessionStore) string {
			r.backend.connects(http.StatusForbidden)
			r.open("/x")
			return r.backend.next(wire.Connect).Token
		}},
		{"it refused after the client had left", func(r *rig, l *sessionStore) string {
			r.backend.connects(http.StatusForbidden)
			r.backend.hold()
			c := r.open("/x")
			token := r.backend.next(wire.Connect).Token
			c.leave()
			synctest.Wait()
			l.wantStruck(r.t, "before it refused", nodeA)
			r.backend.letGo()
			return token
		}},
		{"the disconnect was delivered", func(r *rig, l *sessionStore) string {
			c, token := r.accepted("/x")
			r.backend.hold()
			c.leave()
			r.backend.wantDisconnect(token, wire.ClientClosed, "")
			synctest.Wait()
			l.wantStruck(r.t, "before it was answered", nodeA)
			r.backend.letGo()
			return token
		}},
		{"the disconnect was delivered at the second attempt", func(r *rig, l *sessionStore) string {
			c, token := r.accepted("/x")
			r.backend.status(http.StatusServiceUnavailable)
			c.leave()
			r.backend.wantDisconnect(token, wire.ClientClosed, "")
			synctest.Wait()
			l.wantStruck(r.t, "after the first", nodeA)
			r.backend.status(http.StatusOK)
			return token
		}},
		{"the disconnect was refused", func(r *rig, _ *sessionStore) string {
			c, token := r.accepted("/x")
			r.backend.status(http.StatusGone)
			c.leave()
			return token
		}},
		{"the disconnect was given up", func(r *rig, _ *sessionStore) string {
			c, token := r.accepted("/x")
			r.backend.status(http.StatusServiceUnavailable)
			c.leave()
			time.Sleep(10 * time.Minute)
			return token
		}},
		{"nobody knows whether the backend accepted", func(r *rig, _ *sessionStore) string {
			r.backend.breaks()
			r.open("/x")
			return r.backend.next(wire.Connect).Token
		}},
		{"the stream was for topics that are all closed", func(r *rig, _ *sessionStore) string {
			got := r.send(`{"topic":"task:1","event":{"data":"end"},"close":true}`)
			r.backend.hold()
			r.open("/x", "Last-Event-ID: "+fieldOf(r.t, got.Body, "id"))
			token := r.backend.next(wire.Connect).Token
			r.subscribe(token, `["task:1"]`)
			r.backend.letGo()
			return token
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := new(sessionStore)
				r := recorded(t, pipes, l, func(o *gateway.Options) { o.CallbackRetention = time.Minute })
				token := tt.do(r, l)
				time.Sleep(time.Minute)
				l.wantStruck(t, "at the end", nodeA, token)
			})
		})
	}
}

// TestAnUndeliveredDisconnectStaysOnRecord: when the gateway stops, others go on
// telling.
func TestAnUndeliveredDisconnectStaysOnRecord(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := new(sessionStore)
		r := recorded(t, pipes, l, nil)
		c, _ := r.accepted("/x")
		r.accepted("/y") // ends with the drain
		r.backend.status(http.StatusServiceUnavailable)
		c.leave()
		r.halt()
		if len(r.backend.calls) < 2 {
			t.Errorf("%d attempts, want some", len(r.backend.calls))
		}
		l.wantStruck(t, "after the stop", nodeA)
	})
}

func TestDisconnectsAreHeldBackWhileTheSessionStoreIsNotReady(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := new(sessionStore)
		r := recorded(t, pipes, l, nil)
		c, token := r.accepted("/x")
		l.setSteady(false)
		c.leave()
		time.Sleep(time.Minute)
		r.backend.silent("while others may be telling")
		l.wantStruck(t, "meanwhile", nodeA)
		_, other := r.accepted("/y") // connects go on
		begin := time.Now()
		l.setSteady(true)
		r.backend.wantDisconnect(token, wire.ClientClosed, "")
		if took := time.Since(begin); took > 100*time.Millisecond {
			t.Errorf("delivered after %s, want 100ms at most", took)
		}
		synctest.Wait()
		l.wantStruck(t, "when it was delivered", nodeA, token)
		if got := page[wire.StreamPage](r, "/internal/streams"); len(got.Streams) != 1 || got.Streams[0].Token != other {
			t.Errorf("listing %+v, want the other stream", got)
		}
	})
}

// recordedStream is what was kept of a stream of another node.
func recordedStream() wire.SessionRecord {
	return wire.SessionRecord{
		Node: nodeB, Token: strings.Repeat("T", 22) + nodeB, OpenedAt: 1,
		Request: json.RawMessage(`{"url":"/a?b=1&c=<>","headers":{"host":"h","x-a":"\"é\""},"method":"GET","remote_addr":"1.2.3.4:5"}`),
	}
}

func TestFailoverDeliversWhatWasRecorded(t *testing.T) {
	t.Parallel()
	r := recorded(t, sockets, new(sessionStore), nil)
	e := recordedStream()
	if err := r.gateway.TakeOver(t.Context(), e); err != nil {
		t.Errorf("Inherit: %v", err)
	}
	cb := r.backend.wantDisconnect(e.Token, wire.Failed, wire.DetailNodeLost)
	if want := `,"request":` + string(e.Request) + `,"redelivered":true,"detail":"node_lost",`; !strings.Contains(cb.Raw, want) || cb.DurationMS != nil || cb.Gateway == "" {
		t.Errorf("callback %s, want it to have %s and no duration", cb.Raw, want)
	}
}

func TestFailoverFailsUntilTheBackendAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := new(sessionStore)
		r := recorded(t, pipes, l, nil)
		for status, done := range map[int]bool{200: true, 204: true, 400: true, 404: true, 410: true, 401: false, 403: false, 429: false, 500: false, 503: false, 302: false} {
			r.backend.status(status)
			if err := r.gateway.TakeOver(t.Context(), recordedStream()); (err == nil) != done {
				t.Errorf("after %d: %v, want done: %v", status, err, done)
			}
		}
		r.backend.handle(func(http.ResponseWriter, callback) { panic(http.ErrAbortHandler) })
		err := r.gateway.TakeOver(t.Context(), recordedStream())
		if err == nil || strings.Contains(err.Error(), recordedStream().Token) {
			t.Errorf("when the backend breaks off: %v, want an error without the token", err)
		}
		r.backend.status(http.StatusOK)
		r.backend.hold()
		begin := time.Now()
		if err := r.gateway.TakeOver(t.Context(), recordedStream()); err == nil || time.Since(begin) != 5*time.Second {
			t.Errorf("when it does not answer: %v after %s, want an error after 5s", err, time.Since(begin))
		}
		r.backend.letGo()
		l.wantStruck(t, "that is for the session store itself", nodeA)
	})
}
