package app_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tidegate/internal/socket/sockettest"
)

func TestX01UnknownHostsAreRefusedOnEveryListener(t *testing.T) {
	t.Parallel()
	for name, p := range places(t, "--allowed-host", "app.example.org", "--allowed-host", "*.wild.example") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, host := range []string{"evil.example", "EVIL.example:80", "127.0.0.1.evil.example", "gateway", "localhost.evil.example."} {
				wantRefused(t, p.base, p.all, 421, "UNKNOWN_HOST", "Host: "+host)
			}
			for _, host := range []string{"127.0.0.1", "[::1]:8080", "LOCALHOST.", "a.localhost:1", "App.Example.org:443", "x.wild.example", "10.0.0.7"} {
				wantLet(t, p.base, p.all, "Host: "+host)
			}
			got := callAs(t, p.base, p.all[0].with("Host: evil.example"))
			if !strings.Contains(got.body, "--allowed-host") {
				t.Errorf("the refusal %s does not name the flag", got.body)
			}
			for _, path := range []string{"/healthz", "/readyz"} {
				if got := callAs(t, p.base, wanted{target: path, method: "GET", header: []string{"Host: evil.example"}}); got.status == 421 {
					t.Errorf("%s asks for the Host", path)
				}
			}
		})
	}
}

func TestX01TheLogNamesTheFlagOnce(t *testing.T) {
	t.Parallel()
	p := start(t, "serve")
	for range 3 {
		callAs(t, p.Internal, wanted{target: "/metrics", method: "GET", header: []string{"Host: evil.example"}})
		callAs(t, p.Public, wanted{target: "/api/tasks", method: "GET", header: []string{"Host: localhost", "Origin: http://evil.example"}})
		callAs(t, p.Internal, wanted{target: "/metrics", method: "GET", header: []string{"Host: localhost", "Origin: http://evil.example"}})
	}
	for _, want := range []string{"--allowed-host", "another site; if its pages may call this server, give --cors-origin", "is not for pages"} {
		if n := strings.Count(p.log.String(), want); n != 1 {
			t.Errorf("the log names %s %d times, want once", want, n)
		}
	}
	text := do(t, "GET", p.Internal+"/metrics", "").body
	for _, want := range []string{`{code="UNKNOWN_HOST",listener="internal"} 3`, `{code="CROSS_SITE",listener="internal"} 3`, `{code="UNAUTHORIZED",listener="public"} 0`} {
		if !strings.Contains(text, "tidegate_access_refused_total"+want) {
			t.Errorf("metrics lack %s", want)
		}
	}
}

// Streams of the gateway are the backend's to judge: it is given the host.
func TestX01StreamsOfTheGatewayTakeAnyHost(t *testing.T) {
	t.Parallel()
	p := start(t, "gateway")
	got := callAs(t, p.Public, wanted{target: "/x", method: "GET", header: []string{"Host: evil.example", "Origin: http://evil.example", "Sec-Fetch-Site: cross-site"}})
	if got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, "SERVICE_NOT_CONFIGURED") {
		t.Errorf("%d %s, want that no callback is configured", got.status, got.body)
	}
}

func TestX01AMissingHostPasses(t *testing.T) {
	t.Parallel()
	p := start(t, "gateway")
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.Internal, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(conn, "GET /internal/streams HTTP/1.0\r\n\r\n")
	if text, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(text), "HTTP/1.0 200") {
		t.Errorf("%v %s", err, text)
	}
}

// The name is :authority there.
func TestX01UnknownHostsAreRefusedOverHTTP2(t *testing.T) {
	t.Parallel()
	p := start(t, "serve")
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	t.Cleanup(transport.CloseIdleConnections)
	for _, base := range []string{p.Public + "/api/tasks", p.Internal + "/internal/streams"} {
		for host, want := range map[string]int{"evil.example": 421, "localhost:1": 200} {
			r, err := http.NewRequestWithContext(t.Context(), "GET", base, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Host = host
			res, err := (&http.Client{Transport: transport}).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			if got := read(t, res); res.ProtoMajor != 2 || got.status != want {
				t.Errorf("%s with :authority %s: %s %d %s, want %d", base, host, res.Proto, got.status, got.body, want)
			}
		}
	}
}

// X01 on the fast path of sends: one connection, first a plain request.
func TestX01AConnectionOfSendsChangesItsHost(t *testing.T) {
	t.Parallel()
	p := start(t, "gateway")
	for _, c := range []struct {
		header string
		status int
	}{{"Host: evil.example", 421}, {"Host: 127.0.0.1\r\nOrigin: http://evil.example", 403}, {"Host: 127.0.0.1\r\nsec-fetch-site: cross-site", 403}} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(p.Internal, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
		in := bufio.NewReader(conn)
		for _, turn := range []struct {
			header string
			status int
		}{{"Host: 127.0.0.1", 200}, {c.header, c.status}} {
			_, _ = fmt.Fprintf(conn, "POST /internal/send HTTP/1.1\r\n%s\r\n%s\r\nContent-Length: %d\r\n\r\n%s", turn.header, jsonIs, len(aSend), aSend)
			res, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := read(t, res); got.status != turn.status {
				t.Errorf("%q: %d %s, want %d", turn.header, got.status, got.body, turn.status)
			}
		}
		_ = conn.Close()
	}
}

// A browser cannot reach a Unix socket, so that no name is wrong there.
func TestX01UnixSocketsTakeAnyHost(t *testing.T) {
	t.Parallel()
	dir := sockettest.Dir(t)
	p := start(t, "serve", "--listen", "unix:"+filepath.Join(dir, "p"), "--internal-listen", "unix:"+filepath.Join(dir, "i"))
	for address, path := range map[string]string{p.Public: "/api/tasks", p.Internal: "/internal/streams"} {
		base, client := over(t, address)
		for header, want := range map[string]int{"X-None": 200, "Origin": 403} {
			r, err := http.NewRequestWithContext(t.Context(), "GET", base+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Host = "app.example.org"
			r.Header.Set(header, "http://evil.example")
			res, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			if got := read(t, res); got.status != want {
				t.Errorf("%s with %s: %d %s, want %d", path, header, got.status, got.body, want)
			}
		}
	}
}
