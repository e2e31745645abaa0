package app_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
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
