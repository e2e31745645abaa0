package app_test

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"tidegate/internal/port"
	"tidegate/internal/selfsigned"
	"tidegate/sse"
)

// occupied is an address that another program listens on.
func occupied(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

// unused is an address that only the caller listens on.
func unused(t *testing.T) string {
	t.Helper()
	address, release, err := port.Reserve("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return address
}

func TestPortInUseIsAnErrorThatSaysWhatToDo(t *testing.T) {
	t.Parallel()
	taken := occupied(t)
	for _, c := range []struct{ command, flag string }{
		{"serve", "--listen"}, {"serve", "--internal-listen"},
		{"gateway", "--listen"}, {"gateway", "--internal-listen"},
		{"backend", "--listen"},
	} {
		args := []string{"--listen", "127.0.0.1:0", c.flag, taken}
		if c.command == "backend" {
			args = append(args, "--mode", "development")
		}
		p, err := run(t, c.command, args...)
		if err == nil {
			t.Errorf("%s %s runs on an occupied port: %v", c.command, c.flag, p.stop())
			continue
		}
		for _, want := range []string{taken, "in use", "another address with " + c.flag} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s %s: error %q lacks %q", c.command, c.flag, err, want)
			}
		}
	}
}

func TestFailedStartGivesItsListenersBack(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"internal port in use": {"--internal-listen", occupied(t)},
		"bad certificate":      {"--tls-cert", "listen_test.go", "--tls-key", "listen_test.go"},
	} {
		address := unused(t)
		if p, err := run(t, "serve", append([]string{"--listen", address}, args...)...); err == nil {
			t.Fatalf("%s: the program runs: %v", name, p.stop())
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Errorf("%s: the public listener is still there: %v", name, err)
			continue
		}
		_ = l.Close()
	}
}

// trust is what a client knows that trusts the certificate.
func trust(t *testing.T, certFile string) *x509.CertPool {
	t.Helper()
	text, err := os.ReadFile(certFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		t.Fatalf("no certificate in %s", text)
	}
	return pool
}

// Each protocol carries the same events, live and replayed, and a stop reaches
// the client as an end that says when to come back.
func TestEveryProtocolCarriesStreams(t *testing.T) {
	t.Parallel()
	files, err := selfsigned.Write(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	pool := trust(t, files.Cert)
	for name, c := range map[string]struct {
		tls, h1, h2, h2c bool
		proto            int
	}{
		"HTTP/1.1":          {h1: true, proto: 1},
		"h2c":               {h2c: true, proto: 2},
		"HTTP/1.1 over TLS": {tls: true, h1: true, proto: 1},
		"HTTP/2 over TLS":   {tls: true, h2: true, proto: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var args []string
			if c.tls {
				args = []string{"--tls-cert", files.Cert, "--tls-key", files.Key}
			}
			p := start(t, "serve", args...)
			if want := map[bool]string{false: "http://", true: "https://"}[c.tls]; !strings.HasPrefix(p.Public, want) {
				t.Errorf("public URL is %s, want %s…", p.Public, want)
			}
			protocols := new(http.Protocols)
			protocols.SetHTTP1(c.h1)
			protocols.SetHTTP2(c.h2)
			protocols.SetUnencryptedHTTP2(c.h2c)
			transport := &http.Transport{Protocols: protocols, TLSClientConfig: &tls.Config{RootCAs: pool}}
			defer transport.CloseIdleConnections()
			wantStream(t, p, &http.Client{Transport: transport, Timeout: patience}, c.proto)
		})
	}
}

func wantStream(t *testing.T, p *program, client *http.Client, proto int) {
	t.Helper()
	post := func(path, body string) {
		res, err := client.Post(p.Public+path, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if got := read(t, res); got.status != http.StatusAccepted {
			t.Fatalf("POST %s: %d %s", path, got.status, got.body)
		}
	}
	post("/api/versions", `{"version":"1"}`)
	res, err := client.Get(p.Public + "/api/sse/utils/version?request_id=tab")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK || res.ProtoMajor != proto || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("stream opens with %s %d %v, want HTTP/%d", res.Proto, res.StatusCode, res.Header, proto)
	}
	decoder := sse.NewDecoder(res.Body, sse.DecoderOptions{Strict: true})
	step := 0
	for event, err := range decoder.Events() {
		if err != nil {
			t.Fatalf("after %d events: %v", step, err)
		}
		want := []sse.Event{{Name: "version", Data: `{"version":"1"}`}, {Name: "version", Data: `{"version":"2\n","changelog":"a"}`}}[step]
		if event.Name != want.Name || event.Data != want.Data || event.ID == "" {
			t.Errorf("event is %+v, want %+v with an id", event, want)
		}
		if step++; step == 1 {
			post("/api/versions", want2)
			continue
		}
		p.cancel() // the rest of the stream is its end
		break
	}
	for event, err := range decoder.Events() {
		t.Errorf("after the stop: %+v %v, want the end", event, err)
	}
	if retry, ok := decoder.Retry(); !ok || retry <= 0 {
		t.Errorf("the end of the stream says no time to come back")
	}
}

const want2 = `{"version":"2\n","changelog":"a"}`
