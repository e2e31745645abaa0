package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/internal/gateway"
	"tidegate/internal/wire"
)

func TestStreamHeaders(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	c, _ := r.accepted("/x", "Accept-Encoding: gzip, br, zstd")
	h := c.response().Header
	want := map[string]string{
		"Content-Type": "text/event-stream", "Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no",
		"Content-Encoding": "", "Content-Length": "", "Access-Control-Allow-Origin": "", "X-Powered-By": "",
	}
	for name, value := range want {
		if got := h.Get(name); got != value {
			t.Errorf("%s: %q, want %q", name, got, value)
		}
	}
	if got := c.text(); got != "" {
		t.Errorf("an accepted stream begins with %q, want nothing", got)
	}
}

func TestOldClientsGetAStreamToo(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	c := r.connect("GET /x HTTP/1.0\r\n\r\n")
	token := r.backend.next(wire.Connect).Token
	if head := c.response(); head.StatusCode != 200 || len(head.TransferEncoding) != 0 {
		t.Errorf("HTTP/1.0 client got %d, transfer encoding %v, want 200 and none", head.StatusCode, head.TransferEncoding)
	}
	r.send(`{"token":"` + token + `","event":{"data":"x"},"close":true}`)
	c.wantEnd("data: x\n\n")
}

// TestMethodsOfStreams: what is not a GET or POST costs no callback.
func TestMethodsOfStreams(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"HEAD", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"} {
		r := setup(t, sockets, nil)
		response := r.public(method, "/x", "")
		if response.Status != 405 || response.Header.Get("Allow") != "GET, POST, OPTIONS" {
			t.Errorf("%s: %d, Allow %q, want 405 GET, POST, OPTIONS", method, response.Status, response.Header.Get("Allow"))
		}
		if method != "HEAD" {
			wantError(t, method, response, 405, "METHOD_NOT_ALLOWED")
		}
		r.backend.silent(method)
	}
}

// public does a plain request to the public listener.
func (r *rig) public(method, path, body string, headers ...string) reply {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, "http://tidegate.test"+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	transport := &http.Transport{DialContext: r.dial, DisableKeepAlives: true}
	response, err := transport.RoundTrip(request)
	if err != nil {
		r.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return reply{response.StatusCode, response.Header, string(text)}
}

func TestPathsThatAreNoStreams(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	if got := r.public("GET", "/healthz", ""); got.Status != 200 || got.Body != `{"status":"ok"}` {
		t.Errorf("healthz: %d %s", got.Status, got.Body)
	}
	if got := r.public("GET", "/readyz", ""); got.Status != 200 || got.Body != `{"status":"ready","configured":true}` {
		t.Errorf("readyz: %d %s", got.Status, got.Body)
	}
	for _, path := range []string{"/internal", "/internal/", "/internal/send", "/internal/streams", "/internal/x/y", "/metrics"} {
		for _, method := range []string{"GET", "POST", "DELETE", "OPTIONS"} {
			wantError(t, method+" "+path, r.public(method, path, "{}", "Content-Type", "application/json"), 404, "NOT_FOUND")
		}
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		got := r.public("POST", path, "")
		wantError(t, "POST "+path, got, 405, "METHOD_NOT_ALLOWED")
		if allow := got.Header.Get("Allow"); allow != "GET, HEAD" {
			t.Errorf("POST %s: Allow %q", path, allow)
		}
		if got := r.public("HEAD", path, ""); got.Status != 200 || got.Body != "" {
			t.Errorf("HEAD %s: %d %q, want 200 and no body", path, got.Status, got.Body)
		}
	}
	r.backend.silent("requests that are no streams")
}

func TestReadyzSaysWhyNot(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, func(o *gateway.Options) { o.CallbackURL = "" })
	got := r.public("GET", "/readyz", "")
	if want := `{"status":"not_ready","configured":false,"reasons":["callback URL is not configured (--callback-url)"]}`; got.Status != 503 || got.Body != want {
		t.Errorf("readyz: %d %s, want 503 %s", got.Status, got.Body, want)
	}
	r = setup(t, sockets, nil)
	r.gateway.StopReady()
	got = r.get("/readyz")
	if want := `{"status":"not_ready","configured":true,"reasons":["draining"]}`; got.Status != 503 || got.Body != want {
		t.Errorf("readyz while stopping: %d %s, want 503 %s", got.Status, got.Body, want)
	}
	if got := r.public("GET", "/healthz", ""); got.Status != 200 {
		t.Errorf("healthz while stopping: %d, want 200", got.Status)
	}
	r.accepted("/x") // not ready is for balancers: streams still open
}

func TestPostOpensAStream(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, head, body string
		status           int
	}{
		{"no body", "Content-Length: 0", "", 200},
		{"body", "Content-Length: 5", "hello", 200},
		{"largest body", fmt.Sprint("Content-Length: ", gateway.MaxStreamBody), strings.Repeat("x", gateway.MaxStreamBody), 200},
		{"chunked body", "Transfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n", 200},
		{"too large", fmt.Sprint("Content-Length: ", gateway.MaxStreamBody+1), strings.Repeat("x", gateway.MaxStreamBody+1), 413},
	}
	for _, tt := range tests {
		for _, method := range []string{"POST", "GET"} {
			r := setup(t, sockets, nil)
			c := r.connect(method + " /x HTTP/1.1\r\nHost: tidegate.test\r\n" + tt.head + "\r\n\r\n" + tt.body)
			if got := c.response().StatusCode; got != tt.status {
				t.Errorf("%s with %s: %d, want %d", method, tt.name, got, tt.status)
				continue
			}
			if tt.status != 200 {
				wantError(t, tt.name, c.reply(), 413, "BODY_TOO_LARGE")
				r.backend.silent(tt.name)
				continue
			}
			connect := r.backend.next(wire.Connect)
			r.mustSend(connect.Token, "x", "ok")
			c.until("data: x\n\n")
			c.leave() // is seen behind the body
			r.backend.wantDisconnect(connect.Token, wire.ClientClosed, "")
		}
	}
}

// TestClientThatKeepsItsBodyBackIsDropped: it costs no callback and no place.
func TestClientThatKeepsItsBodyBackIsDropped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t, pipes, nil)
		begin := time.Now()
		c := r.connect("POST /x HTTP/1.1\r\nHost: tidegate.test\r\nContent-Length: 5\r\n\r\nhel")
		<-c.ended
		if took := time.Since(begin); took != 10*time.Second {
			t.Errorf("dropped after %s, want 10s", took)
		}
		r.backend.silent("half a body")
	})
}

func TestMostConnections(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, func(o *gateway.Options) { o.MaxConns = 2 })
	first, token := r.accepted("/1")
	r.backend.hold()
	r.open("/2") // a stream that waits for its callback has its place too
	r.backend.next(wire.Connect)
	got := r.open("/3").reply()
	wantError(t, "the third of two", got, 503, "TOO_MANY_CONNECTIONS")
	if got.Header.Get("Retry-After") != "5" {
		t.Errorf("Retry-After %q, want 5", got.Header.Get("Retry-After"))
	}
	r.backend.silent("beyond the bound")
	r.backend.letGo()
	first.leave()
	r.backend.wantDisconnect(token, wire.ClientClosed, "")
	r.accepted("/4") // the place is free again
}

func TestRetryFieldAtOpen(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	r := setup(t, sockets, func(o *gateway.Options) { o.Retry = 10 * time.Second })
	for range 20 {
		c, token := r.accepted("/x")
		text := c.until("\n\n")
		wantRetry(t, "at open", text, 5000, 15000)
		seen[text] = true
		r.mustSend(token, "x", "ok")
		if got := c.until("data: x\n\n"); got != text+"data: x\n\n" {
			t.Errorf("stream %q, want the retry field once", got)
		}
	}
	if len(seen) < 10 {
		t.Errorf("20 streams got %d different retry fields, want them spread", len(seen))
	}
}

func TestMaxAgeEndsStreams(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t, pipes, func(o *gateway.Options) { o.MaxAge = time.Minute })
		ages := map[int64]bool{}
		for range 10 {
			begin := time.Now()
			c, token := r.accepted("/x")
			<-c.ended
			age := time.Since(begin)
			if age < 53*time.Second || age > time.Minute {
				t.Errorf("stream ended at %s, want 53s to 60s", age)
			}
			ages[age.Milliseconds()] = true
			if _, clean := c.end(); !clean {
				t.Error("a stream at its age was cut, want an end")
			}
			r.backend.wantDisconnect(token, wire.ServerClosed, wire.DetailMaxAge)
		}
		if len(ages) < 5 {
			t.Errorf("10 streams had %d different ages, want them spread", len(ages))
		}
	})
}

func TestHeartbeats(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t, pipes, func(o *gateway.Options) { o.Heartbeat = 10 * time.Second })
		c, token := r.accepted("/x")
		time.Sleep(7 * time.Second)
		synctest.Wait()
		if got := c.text(); got != "" {
			t.Fatalf("after 7s: %q, want nothing yet", got)
		}
		r.mustSend(token, "x", "ok")
		time.Sleep(7 * time.Second) // 14s after the open, 7s after the event
		synctest.Wait()
		if got := c.text(); got != "data: x\n\n" {
			t.Fatalf("7s after an event: %q, want no heartbeat yet", got)
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if got := c.text(); got != "data: x\n\n: heartbeat\n\n" {
			t.Fatalf("10s after an event: %q, want one heartbeat", got)
		}
		time.Sleep(10 * time.Minute)
		beats := strings.Count(c.text(), ": heartbeat\n\n")
		if beats < 60 || beats > 80 {
			t.Errorf("%d heartbeats in ten minutes, want one every 7.5s to 10s", beats)
		}
	})
}

// TestNothingIsSentWhileTheCallbackIsPending: no status is known yet.
func TestNothingIsSentWhileTheCallbackIsPending(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t, pipes, func(o *gateway.Options) { o.Heartbeat, o.CallbackTimeout = time.Second, time.Minute })
		r.backend.hold()
		c := r.open("/x")
		time.Sleep(30 * time.Second)
		synctest.Wait()
		select {
		case <-c.headed:
			t.Fatal("an answer came before the callback's")
		default:
		}
		r.backend.letGo()
		c.response()
		if got := c.text(); got != "" {
			t.Errorf("the stream begins with %q, want nothing", got)
		}
	})
}

// The replaced gateway took its routes in any case and with a slash at the end.
func TestFixedRoutesInAnyCase(t *testing.T) {
	t.Parallel()
	r := setup(t, sockets, nil)
	for _, path := range []string{"/healthz", "/HealthZ", "/healthz/", "/READYZ/"} {
		for name, got := range map[string]reply{"public": r.public("GET", path, ""), "internal": r.get(path)} {
			if got.Status != 200 || !strings.Contains(got.Body, `"status":`) {
				t.Errorf("%s %s: %d %s, want 200", name, path, got.Status, got.Body)
			}
		}
	}
	for _, path := range []string{"/INTERNAL/send", "/internal/", "/Internal", "/METRICS", "/metrics/"} {
		wantError(t, path, r.public("POST", path, ""), 404, "NOT_FOUND")
	}
	wantError(t, "an asterisk", r.connect("GET * HTTP/1.1\r\nHost: tidegate.test\r\nConnection: close\r\n\r\n").reply(), 404, "NOT_FOUND")
	r.backend.silent("requests that are no streams")

	r.send(`{"topic":"Case/a","event":{"data":"x"}}`)
	for _, path := range []string{"/Internal/Topics/Case%2Fa", "/internal/topics/Case%2Fa/", "/internal/topics/Case%2Fa/EVENTS/"} {
		if got := r.get(path); got.Status != 200 {
			t.Errorf("%s: %d %s, want 200", path, got.Status, got.Body)
		}
	}
	wantError(t, "a name in another case", r.get("/internal/topics/case%2Fa"), 404, "TOPIC_NOT_FOUND")
	if got := r.call("POST", "/Internal/Send/", "application/json", `{"topic":"b","event":{"data":"x"}}`); got.Status != 200 {
		t.Errorf("send: %d %s, want 200", got.Status, got.Body)
	}
}
