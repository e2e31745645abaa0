package app_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"tidegate/internal/outbound"
	"tidegate/internal/selfsigned"
	"tidegate/internal/socket"
	"tidegate/internal/socket/sockettest"
	"tidegate/sse"
)

// over is a client that calls the address that a program prints.
func over(t *testing.T, address string) (base string, client *http.Client) {
	t.Helper()
	target, err := socket.ParseTarget(address)
	if err != nil {
		t.Fatal(err)
	}
	transport := outbound.New(outbound.Options{Socket: target.Path})
	t.Cleanup(transport.CloseIdleConnections)
	return strings.TrimRight(target.URL, "/"), &http.Client{Transport: transport, Timeout: patience}
}

func ask(t *testing.T, address, method, path, body string) answer {
	t.Helper()
	base, client := over(t, address)
	r, err := http.NewRequestWithContext(t.Context(), method, base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return read(t, res)
}

// backendOn is a backend on a Unix socket that accepts every callback.
func backendOn(t *testing.T, path string) {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/callback" || r.Host != "localhost" {
			w.WriteHeader(http.StatusNotFound)
		}
	})}
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(l) })
	t.Cleanup(func() { _ = s.Close(); serving.Wait() })
}

// A gateway of which nothing is on a network: its listeners, and its way to the
// backend.
func TestX26GatewayOnUnixSockets(t *testing.T) {
	t.Parallel()
	dir := sockettest.Dir(t)
	public, internal, app := filepath.Join(dir, "p"), filepath.Join(dir, "i"), filepath.Join(dir, "app")
	backendOn(t, app)
	for _, url := range []string{"unix:" + app + ":/callback?secret=x", "http://unix:" + app + ":/callback", "http+unix://" + strings.ReplaceAll(app, "/", "%2F") + "/callback"} {
		p := start(t, "gateway", "--listen", "unix:"+public, "--internal-listen", "unix:"+internal, "--callback-url", url, "--socket-mode", "600")
		if p.Public != "unix:"+public || p.Internal != "unix:"+internal {
			t.Errorf("addresses %+v", p.Addresses)
		}
		if info, err := os.Stat(public); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the socket is %v, %v, want mode 600", info, err)
		}
		wantUnixStream(t, p)
		if err := p.stop(); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{public, internal} {
			if _, err := os.Lstat(path); !os.IsNotExist(err) {
				t.Errorf("%s is left behind: %v", path, err)
			}
		}
	}
}

// wantUnixStream opens a stream, which must be parked, and sends to it.
func wantUnixStream(t *testing.T, p *program) {
	t.Helper()
	base, client := over(t, p.Public)
	res, err := client.Get(base + "/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("stream: %d", res.StatusCode)
	}
	eventually(t, "the stream is parked", func() bool {
		return strings.Contains(ask(t, p.Internal, "GET", "/metrics", "").body, "\ntidegate_streams_parked 1\n")
	})
	listing := ask(t, p.Internal, "GET", "/internal/streams", "").body
	_, token, _ := strings.Cut(listing, `"token":"`)
	token, _, _ = strings.Cut(token, `"`)
	if got := ask(t, p.Internal, "POST", "/internal/send", `{"token":"`+token+`","event":{"data":"hello"},"close":true}`); got.status != http.StatusOK {
		t.Fatalf("send: %d %s in %s", got.status, got.body, listing)
	}
	events := 0
	for event, err := range sse.Decode(res.Body) {
		if events++; err != nil || event.Data != "hello" {
			t.Errorf("event %+v, %v", event, err)
		}
	}
	if events != 1 {
		t.Errorf("%d events, want 1", events)
	}
}

// TLS on a Unix socket is of no great use, and works.
func TestX26TLSOnAUnixSocket(t *testing.T) {
	t.Parallel()
	files, err := selfsigned.Write(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(sockettest.Dir(t), "p")
	p := start(t, "serve", "--listen", "unix:"+path, "--tls-cert", files.Cert, "--tls-key", files.Key)
	transport := &http.Transport{
		DialContext:     func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", path) },
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // it is not what this is about
	}
	defer transport.CloseIdleConnections()
	res, err := (&http.Client{Transport: transport, Timeout: patience}).Get("https://localhost/api/sse/utils/version?request_id=a")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	eventually(t, "the stream is parked", func() bool {
		return strings.Contains(do(t, "GET", p.Internal+"/metrics", "").body, "\ntidegate_streams_parked 1\n")
	})
	p.cancel()
	if text, err := io.ReadAll(res.Body); err != nil || !bytes.Contains(text, []byte("retry:")) {
		t.Errorf("the end of the stream is %q, %v", text, err)
	}
}

// A gateway and our backend in two processes, joined by two sockets.
func TestX26BackendAndGatewayOverUnixSockets(t *testing.T) {
	t.Parallel()
	dir := sockettest.Dir(t)
	public, internal, app := filepath.Join(dir, "p"), filepath.Join(dir, "i"), filepath.Join(dir, "app")
	b := start(t, "backend", "--listen", "unix:"+app, "--gateway-url", "unix:"+internal, "--callback-secret", "a-secret-that-is-long")
	start(t, "gateway", "--listen", "unix:"+public, "--internal-listen", "unix:"+internal,
		"--callback-url", "unix:"+app+":/api/sse/callback", "--callback-secret", "a-secret-that-is-long")
	if got := ask(t, b.Public, "POST", "/api/versions", `{"version":"7"}`); got.status != http.StatusAccepted {
		t.Fatalf("version: %d %s", got.status, got.body)
	}
	base, client := over(t, "unix:"+public)
	res, err := client.Get(base + "/api/sse/utils/version?request_id=a")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	for event, err := range sse.Decode(res.Body) {
		if err != nil || event.Name != "version" {
			t.Errorf("event %+v, %v", event, err)
		}
		break
	}
}

func TestX26SocketInUseIsAnErrorThatSaysWhatToDo(t *testing.T) {
	t.Parallel()
	dir := sockettest.Dir(t)
	path, file := filepath.Join(dir, "s"), filepath.Join(dir, "file")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{"unix:" + path: "in use", "unix:" + file: "no socket"} {
		for _, flag := range []string{"--listen", "--internal-listen"} {
			p, err := run(t, "gateway", "--listen", "127.0.0.1:0", flag, address)
			if err == nil {
				t.Errorf("%s %s: runs: %v", flag, address, p.stop())
				continue
			}
			if !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), flag) {
				t.Errorf("%s %s: error %q, want %q and the flag in it", flag, address, err, want)
			}
		}
	}
}
