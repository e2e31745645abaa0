package app_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// stream opens a stream as a proxy of this machine does for a client.
func stream(t *testing.T, url, address string) (res *http.Response, leave func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Forwarded-For", address)
	res, err = client(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	leave = func() { cancel(); _ = res.Body.Close() }
	t.Cleanup(leave)
	return res, leave
}

func TestX14StreamsOfOneAddressAreBounded(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"--no-parking"}} {
		p := start(t, "serve", append([]string{"--max-per-address", "2", "--data", ""}, args...)...)
		url := p.Public + "/api/sse/stream?request_id=a"
		_, leave := stream(t, url, "203.0.113.1")
		stream(t, url, "203.0.113.1")
		res, _ := stream(t, url, "203.0.113.1")
		body, _ := io.ReadAll(res.Body)
		if res.StatusCode != http.StatusOK || !strings.HasPrefix(string(body), "retry: ") || res.Header.Get("Content-Type") != "text/event-stream" {
			t.Errorf("%v: a third stream: %d %q, want 200, retry: and the end", args, res.StatusCode, body)
		}
		for _, other := range []string{"203.0.113.2", "2001:db8::1"} {
			res, leave := stream(t, url, other)
			if line, err := bufio.NewReader(res.Body).ReadString('\n'); err != nil || strings.HasPrefix(line, "retry") {
				t.Errorf("%v: a stream of %s: %d %q %v", args, other, res.StatusCode, line, err)
			}
			leave()
		}
		leave()
		eventually(t, "the address has room again", func() bool {
			res, leave := stream(t, url, "203.0.113.1")
			defer leave()
			line, err := bufio.NewReader(res.Body).ReadString('\n')
			return err == nil && !strings.HasPrefix(line, "retry")
		})
		if !strings.Contains(do(t, "GET", p.Internal+"/metrics", "").body, `tidegate_limit_refused_total{code="TOO_MANY_FROM_ADDRESS"}`) {
			t.Errorf("%v: no metric counts it", args)
		}
		if err := p.stop(); err != nil {
			t.Error(err)
		}
	}
}

func TestX14TheBoundIsLogged(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"serve", "gateway", "backend"} {
		args := []string{}
		if command == "backend" {
			args = []string{"--mode", "development"}
		}
		p := start(t, command, args...)
		if text := p.log.String(); !strings.Contains(text, "msg=limits open_files=") {
			t.Errorf("%s logs no bound:\n%s", command, text)
		}
	}
}

// TestX14PROXYCarriesStreams has a proxy in front that speaks the PROXY protocol
// instead of HTTP; its clients' streams are parked all the same.
func TestX14PROXYCarriesStreams(t *testing.T) {
	t.Parallel()
	p := start(t, "serve", "--max-per-address", "1", "--data", "", "--trusted-proxy", "127.0.0.1")
	open := func(address string) *bufio.Reader {
		conn, err := net.Dial("tcp", strings.TrimPrefix(p.Public, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(patience))
		_, _ = io.WriteString(conn, "PROXY TCP4 "+address+" 192.0.2.1 4000 80\r\nGET /api/sse/stream?request_id=a HTTP/1.1\r\nHost: localhost\r\n\r\n")
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		return bufio.NewReader(res.Body)
	}
	for address, want := range map[string]string{"203.0.113.1": "id", "203.0.113.2": "id"} {
		if line, err := open(address).ReadString('\n'); !strings.HasPrefix(line, want) {
			t.Errorf("a stream of %s: %q %v", address, line, err)
		}
	}
	if line, err := open("203.0.113.1").ReadString('\n'); !strings.HasPrefix(line, "retry") {
		t.Errorf("a second stream of an address: %q %v, want retry", line, err)
	}
	metrics := do(t, "GET", p.Internal+"/metrics", "").body
	if !strings.Contains(metrics, "\ntidegate_streams_parked 2\n") {
		t.Error("the streams are not parked")
	}
	if !strings.Contains(do(t, "GET", p.Internal+"/internal/streams", "").body, `"remote_addr":"203.0.113.1:4000"`) {
		t.Error("remote_addr is not the client's")
	}
}
