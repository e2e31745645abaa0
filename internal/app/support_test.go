package app_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tidegate/internal/app"
	"tidegate/internal/config"
	"tidegate/internal/logging"
)

// patience is how long anything in these tests may take before it counts as
// hanging.
const patience = time.Minute

// program is a program that runs in this process.
type program struct {
	app.Addresses
	log    *logBook
	cancel context.CancelFunc
	result func() error // waits for Run
}

// start runs a program on free ports until the test ends, at which it must stop
// cleanly.
func start(t *testing.T, command string, args ...string) *program {
	t.Helper()
	p, err := run(t, command, append([]string{"--listen", "127.0.0.1:0"}, args...)...)
	if err != nil {
		t.Fatalf("Run(%s %q) = %v", command, args, err)
	}
	t.Cleanup(func() {
		if err := p.stop(); err != nil {
			t.Errorf("Run(%s) = %v after its context ended", command, err)
		}
		if t.Failed() {
			t.Logf("log of %s:\n%s", command, p.log.String())
		}
	})
	return p
}

// startReloading is start with a way to hang up.
func startReloading(t *testing.T, hangUp <-chan os.Signal, command string, args ...string) *program {
	t.Helper()
	p, err := runReloading(t, hangUp, command, append([]string{"--listen", "127.0.0.1:0"}, args...)...)
	if err != nil {
		t.Fatalf("Run(%s %q) = %v", command, args, err)
	}
	t.Cleanup(func() { _ = p.stop() })
	return p
}

func run(t *testing.T, command string, args ...string) (*program, error) {
	t.Helper()
	return runReloading(t, nil, command, args...)
}

func runReloading(t *testing.T, hangUp <-chan os.Signal, command string, args ...string) (*program, error) {
	t.Helper()
	return runWith(t, runOptions{hangUp: hangUp}, command, args...)
}

// runOptions are what a program has beside its arguments.
type runOptions struct {
	hangUp <-chan os.Signal
	output *logging.Output
}

// runWith starts a program and waits until it is ready or has failed.
func runWith(t *testing.T, opts runOptions, command string, args ...string) (*program, error) {
	t.Helper()
	if command != "gateway" {
		args = append([]string{"--data", t.TempDir()}, args...)
	}
	if command != "backend" {
		args = append([]string{"--drain-time", "0"}, args...)
	}
	args = append([]string{"--internal-listen", "127.0.0.1:0"}, args...)
	cfg, _, err := config.Load(command, append([]string{"--log-level", "debug", "--grace", "0"}, args...), nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &program{log: &logBook{}, cancel: cancel}
	ready, ended := make(chan app.Addresses, 1), make(chan error, 1)
	p.result = sync.OnceValue(func() error { return <-ended })
	go func() { // ends with Run, which every caller waits for
		ended <- app.Run(ctx, app.Options{
			Command: command, Config: cfg, Log: slog.New(slog.NewTextHandler(p.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
			Ready: func(a app.Addresses) { ready <- a }, Reload: opts.hangUp, Output: opts.output,
		})
	}()
	select {
	case p.Addresses = <-ready:
		return p, nil
	case err := <-ended:
		cancel()
		return nil, errors.Join(err, errIf(err == nil, "Run ended before it was ready"))
	}
}

func errIf(wrong bool, text string) error {
	if wrong {
		return errors.New(text)
	}
	return nil
}

// stop ends the program and returns what Run returned.
func (p *program) stop() error {
	p.cancel()
	return p.result()
}

// logBook keeps what a program logs.
type logBook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// client makes requests over connections of its own, which are closed when the
// test ends.
func client(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport: transport, Timeout: patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// answer is a whole response.
type answer struct {
	status int
	header http.Header
	body   string
}

// do sends method, URL and, if there is one, a JSON body.
func do(t *testing.T, method, url, body string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	res, err := client(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return read(t, res)
}

// raw sends a request line as it is, with a JSON body if there is one. No
// client library would send what some of the tests need.
func raw(t *testing.T, base, method, target, body string) answer {
	t.Helper()
	host := base[strings.LastIndexByte(base, '/')+1:]
	conn, err := net.DialTimeout("tcp", host, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	b.WriteString(method + " " + target + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n")
	if body != "" {
		b.WriteString("Content-Type: application/json\r\nContent-Length: ")
		b.WriteString(strconv.Itoa(len(body)) + "\r\n")
	}
	b.WriteString("\r\n" + body)
	if _, err := conn.Write(b.Bytes()); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	return read(t, res)
}

func read(t *testing.T, res *http.Response) answer {
	t.Helper()
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(body)}
}

// eventually looks again and again until holds is true.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !holds(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
