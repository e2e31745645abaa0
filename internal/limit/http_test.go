package limit_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/internal/limit"
	"tidegate/internal/pipenet"
	"tidegate/internal/wire"
)

// onPipes runs a server in a synctest bubble and gives a connection to it.
func onPipes(t *testing.T, opts limit.Options, h http.Handler, ho limit.HandlerOptions, do func(r *rig, dial func() *client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := pipenet.Listen()
		r := serve(t, l, opts, limit.PoolOptions{Seats: 100, Waiting: 10}, h, ho)
		do(r, func() *client {
			c, err := l.DialContext(t.Context(), "", "")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = c.Close() })
			return &client{t, c, bufio.NewReader(c)}
		})
		_ = r.server.Close()
		synctest.Wait()
	})
}

// sleep waits; it reports false if stop is closed first.
func sleep(stop <-chan struct{}, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-stop:
		return false
	}
}

// swallow reads a body and answers as the routes do.
var swallow = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		wire.WriteError(w, err)
	}
})

func TestX13ABodyHasToComeInTime(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what, path string
		bytes      int
		pause      time.Duration
		least      time.Duration // until it is refused; 0: it is not
		most       time.Duration
	}{
		{"a byte a second", "/internal/send", 100, time.Second, 10 * time.Second, 11 * time.Second},
		{"nothing at all", "/internal/send", 1, time.Hour, 10 * time.Second, 11 * time.Second},
		{"half a KiB a second", "/internal/send", 100 << 10, time.Second / 512, 17 * time.Second, 22 * time.Second},
		{"2 KiB a second", "/internal/send", 100 << 10, time.Second / 2048, 0, 0},
		{"2 KiB a second under /api/", "/api/tasks", 100 << 10, time.Second / 2048, 30 * time.Second, 31 * time.Second},
		{"2 KiB a second under /API/", "/API/tasks", 100 << 10, time.Second / 2048, 30 * time.Second, 31 * time.Second},
		{"much at once, then nothing", "/internal/send", 1 << 20, 0, 30 * time.Second, 31 * time.Second},
		{"a byte a second, chunked", "/internal/send", -100, time.Second, 10 * time.Second, 11 * time.Second},
	} {
		onPipes(t, limit.Options{}, swallow, limit.HandlerOptions{}, func(r *rig, dial func() *client) {
			conn, begin := dial(), time.Now()
			stop := make(chan struct{})
			defer close(stop)
			go func() { // ends with the body, or with the test
				head := "Content-Length: 2000000"
				if c.bytes < 0 {
					head = "Transfer-Encoding: chunked"
				} else if c.least == 0 {
					head = "Content-Length: 102400"
				}
				_, err := io.WriteString(conn, "POST "+c.path+" HTTP/1.1\r\nHost: a\r\n"+head+"\r\n\r\n")
				piece := 1
				if c.pause < 10*time.Millisecond {
					piece = 32 // at the same rate
				}
				for n := max(c.bytes, -c.bytes); n > 0 && err == nil; n -= piece {
					if !sleep(stop, c.pause*time.Duration(piece)) {
						return
					}
					if c.bytes < 0 {
						_, err = io.WriteString(conn, "1\r\nx\r\n")
					} else {
						_, err = io.WriteString(conn, strings.Repeat("x", piece))
					}
				}
			}()
			res, body := conn.answer()
			took := time.Since(begin)
			switch {
			case c.least == 0 && res.StatusCode != http.StatusOK:
				t.Errorf("%s: %d %s after %v, want 200", c.what, res.StatusCode, body, took)
			case c.least > 0 && (res.StatusCode != http.StatusRequestTimeout || !strings.Contains(body, "BODY_TOO_SLOW")):
				t.Errorf("%s: %d %s, want 408 BODY_TOO_SLOW", c.what, res.StatusCode, body)
			case c.least > 0 && (took < c.least || took > c.most):
				t.Errorf("%s: refused after %v, want %v to %v", c.what, took, c.least, c.most)
			}
			_ = conn.Close()
		})
	}
}

func TestX13ARequestOutlivesTheTimeOfItsBody(t *testing.T) {
	t.Parallel()
	onPipes(t, limit.Options{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-time.After(time.Minute):
		case <-r.Context().Done():
			t.Error("the request was ended while its handler was at work")
		}
	}), limit.HandlerOptions{}, func(r *rig, dial func() *client) {
		conn := dial()
		for range 2 { // on one connection
			_, _ = io.WriteString(conn, "POST /api/tasks HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab")
			if res, _ := conn.answer(); res.StatusCode != http.StatusOK {
				t.Errorf("answered %d", res.StatusCode)
			}
		}
		_ = conn.Close()
	})
}

func TestX12AnAnswerThatNobodyReadsIsCut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what  string
		pause time.Duration // between reads of 4 KiB
		cut   time.Duration // 0: it arrives
	}{
		{"not read at all", time.Hour, 30 * time.Second},
		{"8 KiB a second", time.Second / 2, 50 * time.Second},
		{"32 KiB a second", time.Second / 8, 0},
	} {
		const size = 4 << 20
		var cut chan time.Duration
		onPipes(t, limit.Options{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			begin := time.Now()
			w.Header().Set("Content-Length", "4194304")
			_, err := w.Write(make([]byte, size))
			if err == nil {
				cut <- 0
				return
			}
			cut <- time.Since(begin)
		}), limit.HandlerOptions{}, func(r *rig, dial func() *client) {
			conn := dial()
			cut = make(chan time.Duration, 1) // of this bubble
			_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			stop := make(chan struct{})
			defer close(stop)
			go func() {
				buf, err := make([]byte, 4<<10), error(nil)
				for err == nil && sleep(stop, c.pause) {
					_, err = io.ReadFull(conn, buf)
				}
			}()
			got := <-cut
			if (got == 0) != (c.cut == 0) || got < c.cut-4*time.Second || got > c.cut+12*time.Second {
				t.Errorf("%s: cut after %v, want %v", c.what, got, c.cut)
			}
			if n := r.count("tidegate_inflight_bytes"); n != 0 {
				t.Errorf("%s: %v bytes are under way at the end", c.what, n)
			}
			_ = conn.Close()
		})
	}
}

func TestX12TheTimeOfTheHandlerIsNotTheClients(t *testing.T) {
	t.Parallel()
	onPipes(t, limit.Options{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for range 3 { // as a profile, or a long poll
			time.Sleep(time.Minute)
			_, _ = io.WriteString(w, "a")
			_ = http.NewResponseController(w).Flush()
		}
	}), limit.HandlerOptions{}, func(r *rig, dial func() *client) {
		if res, body := dial().ask("/"); res.StatusCode != http.StatusOK || body != "aaa" {
			t.Errorf("answered %d %q", res.StatusCode, body)
		}
	})
}

func TestX12BytesUnderWayAreBounded(t *testing.T) {
	t.Parallel()
	onPipes(t, limit.Options{Inflight: 1 << 20}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		if e, ok := errors.AsType[*wire.Error](err); ok {
			wire.WriteError(w, e)
			return
		}
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(make([]byte, 900<<10))
	}), limit.HandlerOptions{}, func(r *rig, dial func() *client) {
		unread := dial()
		_, _ = io.WriteString(unread, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		synctest.Wait()
		res, body := dial().ask("/")
		if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" || !strings.Contains(body, "TOO_MUCH_IN_FLIGHT") {
			t.Errorf("a second large answer: %d %.100s, want 503 TOO_MUCH_IN_FLIGHT with Retry-After", res.StatusCode, body)
		}
		large := dial()
		go func() {
			_, _ = io.WriteString(large, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 204800\r\n\r\n"+strings.Repeat("x", 200<<10))
		}()
		if res, body := large.answer(); res.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("a large body beside it: %d %.100s, want 503", res.StatusCode, body)
		}
		_ = large.Close()
		_ = unread.Close()
		synctest.Wait()
		if res, body := dial().ask("/"); res.StatusCode != http.StatusCreated || len(body) != 900<<10 {
			t.Errorf("with it gone: %d and %d bytes", res.StatusCode, len(body))
		}
		if n := r.count("tidegate_inflight_bytes"); n != 0 {
			t.Errorf("%v bytes are under way at the end", n)
		}
	})
}

func TestX16HeadersAreBounded(t *testing.T) {
	t.Parallel()
	r := serve(t, listen(t, nil), limit.Options{}, limit.PoolOptions{Seats: 4, Waiting: 2}, hello, limit.HandlerOptions{MaxHeader: 16 << 10})
	if res, _ := r.dial().ask("/", "X-A: "+strings.Repeat("a", 15<<10)); res.StatusCode != http.StatusOK {
		t.Errorf("15 KiB: %d, want 200", res.StatusCode)
	}
	res, body := r.dial().ask("/", "X-A: "+strings.Repeat("a", 8<<10), "X-B: "+strings.Repeat("a", 9<<10))
	if res.StatusCode != http.StatusRequestHeaderFieldsTooLarge || !strings.Contains(body, "HEADER_TOO_LARGE") {
		t.Errorf("17 KiB: %d %s, want 431 HEADER_TOO_LARGE", res.StatusCode, body)
	}
	transport := h2(new(net.Dialer).DialContext)
	defer transport.CloseIdleConnections()
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+r.pool.Addr().String(), nil)
	request.Header.Set("X-A", strings.Repeat("a", 17<<10))
	res, err := transport.RoundTrip(request)
	if err == nil {
		_ = res.Body.Close()
	}
	if err == nil && res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("17 KiB by HTTP/2: %d, want 431", res.StatusCode)
	}
}
