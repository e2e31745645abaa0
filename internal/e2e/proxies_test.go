package e2e

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tidegate/sse"
)

// source is what a page has with EventSource: it gives up at any answer but 200.
type source struct {
	t      *testing.T
	events chan sse.Event
	opened atomic.Int64 // streams, empty ones included
	proto  atomic.Int64 // of the last one
	beats  atomic.Int64 // comments
	gaveUp chan error   // the end of it
}

// eventSource opens a stream until the test ends.
func eventSource(t *testing.T, client *http.Client, url string) *source {
	t.Helper()
	s := &source{t: t, events: make(chan sse.Event, 1000), gaveUp: make(chan error, 1)}
	c := sse.NewClient(sse.ClientOptions{
		URL: url, HTTPClient: client, Header: http.Header{"Accept": {"text/event-stream"}},
		OnOpen:    func(r *http.Response) { s.proto.Store(int64(r.ProtoMajor)); s.opened.Add(1) },
		OnComment: func(string) { s.beats.Add(1) },
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { // ends with ctx, which the cleanup waits for
		defer close(done)
		for event, err := range c.Events(ctx) {
			if err != nil {
				s.gaveUp <- err
				return
			}
			s.events <- event
		}
		s.gaveUp <- errors.New("the stream has ended for good")
	}()
	t.Cleanup(func() { cancel(); <-done })
	return s
}

// next waits for an event with this in its data.
func (s *source) next(data string) {
	s.t.Helper()
	select {
	case event := <-s.events:
		if !strings.Contains(event.Data, data) {
			s.t.Fatalf("event %+v, want %q in it", event, data)
		}
	case err := <-s.gaveUp:
		s.t.Fatalf("EventSource is dead: %v", err)
	case <-time.After(patience):
		s.t.Fatalf("waited in vain for %q", data)
	}
}

// comesBack waits until it was given n more streams.
func (s *source) comesBack(n int64) {
	s.t.Helper()
	want := s.opened.Load() + n
	until(s.t, "EventSource tries again", func() bool {
		select {
		case err := <-s.gaveUp:
			s.t.Fatalf("EventSource is dead: %v", err)
		default:
		}
		return s.opened.Load() >= want
	})
}

// version publishes one and wants it taken.
func version(t *testing.T, base, v string) {
	t.Helper()
	res, err := http.Post(base+"/api/versions", "application/json", strings.NewReader(`{"version":"`+v+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusAccepted {
		t.Fatalf("publish: %d", res.StatusCode)
	}
}

const versionPath = "/api/sse/utils/version?request_id=tab"

// serveAt starts the main job at an address, to be restarted there.
func serveAt(t *testing.T, address, data string) *program {
	t.Helper()
	return start(t, "serve", "--allowed-host", "example.org", "--listen", address, "--data", data, "--drain-time", "0", "--grace", "0")
}

// A restart of Tidegate behind each proxy, as in its recipe.
func TestX29RestartBehindAProxyDoesNotEndEventSource(t *testing.T) {
	t.Parallel()
	for _, px := range proxies {
		t.Run(px.name, func(t *testing.T) {
			t.Parallel()
			cert, listen, upstream, data := newCertificate(t), freeAddress(t), freeAddress(t), t.TempDir()
			px.run(t, listen, px.recipe(t, t.TempDir(), listen, upstream, cert))
			base := "https://" + listen
			early := eventSource(t, cert.through(t, true), base+versionPath) // before anybody is there
			early.comesBack(1)
			p := serveAt(t, upstream, data)
			early.comesBack(1)
			h1 := eventSource(t, cert.through(t, false), base+versionPath)
			h1.comesBack(1)
			version(t, p.public, "1")
			early.next(`"1"`)
			h1.next(`"1"`)
			if early.proto.Load() != 2 || h1.proto.Load() != 1 {
				t.Errorf("HTTP versions %d and %d, want 2 and 1", early.proto.Load(), h1.proto.Load())
			}
			wantPageOfName(t, cert.through(t, true), base)
			for i, end := range []func(*program){(*program).stop, (*program).kill} {
				end(p)
				early.comesBack(2) // it is refused twice because nobody is there
				h1.comesBack(1)
				wantErrorForOthers(t, cert.through(t, true), base)
				p = serveAt(t, upstream, data)
				v := string(rune('2' + i))
				version(t, p.public, v)
				early.next(v)
				h1.next(v)
			}
		})
	}
}

// wantPageOfName checks that a page of https://example.org may change something,
// and one of another name may not.
func wantPageOfName(t *testing.T, client *http.Client, base string) {
	t.Helper()
	for origin, want := range map[string]int{"https://example.org": http.StatusAccepted, "https://evil.example": http.StatusForbidden} {
		r, err := http.NewRequest(http.MethodPost, base+"/api/versions?request_id=other", strings.NewReader(`{"version":"x","request_id":"other"}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Host = "example.org"
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Origin", origin)
		res, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("a request of a page of %s: %d %s, want %d", origin, res.StatusCode, text, want)
		}
	}
}

// wantErrorForOthers checks that a program that asks for no stream gets the true error.
func wantErrorForOthers(t *testing.T, client *http.Client, base string) {
	t.Helper()
	res, err := client.Get(base + "/api/tasks")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode < 502 || res.StatusCode > 504 {
		t.Errorf("a call of the API while nobody is there: %d, %v, want 502 to 504", res.StatusCode, err)
	}
}

// The backend of a gateway behind each proxy goes away and comes back.
func TestX29RestartOfTheBackendBehindAProxyDoesNotEndEventSource(t *testing.T) {
	t.Parallel()
	for _, px := range proxies {
		t.Run(px.name, func(t *testing.T) {
			t.Parallel()
			cert, listen, upstream, app := newCertificate(t), freeAddress(t), freeAddress(t), freeAddress(t)
			px.run(t, listen, px.recipe(t, t.TempDir(), listen, upstream, cert))
			g := start(t, "gateway", "--listen", upstream, "--callback-url", "http://"+app+"/api/sse/callback", "--callback-secret", aSecret)
			s := eventSource(t, cert.through(t, true), "https://"+listen+versionPath)
			s.comesBack(2) // the gateway says 503
			b := start(t, "backend", "--listen", app, "--gateway-url", g.internal, "--callback-secret", aSecret, "--data", "")
			s.comesBack(1)
			version(t, b.public, "1")
			s.next(`"1"`)
		})
	}
}

const aSecret = "behind-a-proxy-too"

// Nothing but the address: events arrive at once, whatever a proxy does by default.
func TestX29EventsArriveAtOnceBehindAPlainProxy(t *testing.T) {
	t.Parallel()
	for _, px := range proxies {
		t.Run(px.name, func(t *testing.T) {
			t.Parallel()
			cert, listen := newCertificate(t), freeAddress(t)
			p := start(t, "serve", "--data", "", "--drain-time", "0", "--grace", "0")
			px.run(t, listen, px.plain(t, t.TempDir(), listen, strings.TrimPrefix(p.public, "http://"), cert))
			s := eventSource(t, &http.Client{}, "http://"+listen+versionPath)
			s.comesBack(1)
			for _, v := range []string{"1", "2", "3"} {
				version(t, p.public, v)
				s.next(`"` + v + `"`) // and the next is sent only then
			}
		})
	}
}

// A stream on which nothing but heartbeats happens lives on, for longer than a
// proxy waits for a byte.
func TestX29IdleStreamsOutliveTheTimeoutsOfAProxy(t *testing.T) {
	t.Parallel()
	for _, px := range proxies {
		t.Run(px.name, func(t *testing.T) {
			t.Parallel()
			cert, listen, dir := newCertificate(t), freeAddress(t), t.TempDir()
			p := start(t, "serve", "--data", "", "--drain-time", "0", "--grace", "0", "--heartbeat", "500ms")
			args := px.recipe(t, dir, listen, strings.TrimPrefix(p.public, "http://"), cert)
			for _, name := range []string{"nginx.conf", "haproxy.cfg"} { // Caddy waits for ever
				if text, err := os.ReadFile(filepath.Join(dir, name)); err == nil {
					put(t, dir, name, changed(t, string(text), " 60s", " 3s"))
				}
			}
			px.run(t, listen, args)
			s := eventSource(t, cert.through(t, true), "https://"+listen+versionPath)
			until(t, "15 heartbeats", func() bool { return s.beats.Load() >= 15 })
			if n := s.opened.Load(); n != 1 {
				t.Errorf("the stream was opened %d times, want once", n)
			}
		})
	}
}
