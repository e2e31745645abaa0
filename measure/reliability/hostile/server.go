package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"tidegate/measure/reliability/api"
	"tidegate/measure/reliability/callback"
	"tidegate/measure/reliability/harness"
	"tidegate/measure/reliability/record"
)

// Addresses of the server with its honest clients, and of the attackers.
const (
	loopback  = "127.0.0.1"
	elsewhere = "127.0.0.2"
)

// attacker returns the dialer of attackers.
func attacker() *net.Dialer { return &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(elsewhere)}} }

// server is the server under attack.
type server struct {
	process          *harness.Process
	ports            harness.Ports
	public, internal string // addresses
	secure           bool   // the public listener uses TLS
	secret           string // of the internal listener
	api              *api.Client
	hooks            *callback.Backend // nil with serve, which has its own
	honest           *honest
	tally            tally
	realTask         string // id of a finished task, for attacks that need one
	faults           faults
	accepted         firstTimes
}

// start starts a server for an attack. The caller must call close, also after an error.
func start(ctx context.Context, o options, a attack) (*server, error) {
	s := &server{secure: a.tls}
	if !a.open {
		s.secret = rand.Text()
	}
	for _, address := range []*string{&s.public, &s.internal} {
		var err error
		if *address, err = s.ports.Free(loopback); err != nil {
			return s, err
		}
	}
	dir := filepath.Join(o.dir, a.name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return s, err
	}
	s.api = api.New([]string{"http://" + s.internal}, s.secret, 20*time.Second, 8)
	argv := []string{
		o.tidegate, a.mode, "--listen", s.public, "--internal-listen", s.internal, "--drain-time", "0s", "--data", filepath.Join(dir, "data"),
		"--namespace", "load=events:10000,bytes:64MiB,age:1h,replay:none", "--namespace", "version=events:10000,bytes:64MiB,age:1h,replay:none",
	}
	if a.tls {
		files, err := certificate(dir)
		if err != nil {
			return s, err
		}
		argv = append(argv, "--tls-cert", files.cert, "--tls-key", files.key)
	}
	if a.mode == harness.Gateway {
		var err error
		if s.hooks, err = callback.Listen(loopback+":0", s.api, func(record.Callback) {}); err != nil {
			return s, err
		}
		argv = append(argv, "--callback-url", s.hooks.URL())
	}
	argv = append(append(argv, a.flags...), o.flags...)
	if a.files > 0 {
		argv = append([]string{"/bin/sh", "-c", fmt.Sprintf(`ulimit -n %d && exec "$0" "$@"`, a.files)}, argv...)
	}
	env := []string{"PATH=" + os.Getenv("PATH"), "GORACE=" + os.Getenv("GORACE"), "HOME=" + dir}
	if s.secret != "" {
		env = append(env, "TIDEGATE_INTERNAL_SECRET="+s.secret)
	}
	s.process = harness.NewProcess(harness.Spec{
		Name: a.mode, Dir: dir, Argv: argv, Ready: "http://" + s.internal + "/readyz",
		Env: env,
	})
	return s, s.process.Start(ctx)
}

// close stops the server and its backend.
func (s *server) close(ctx context.Context) error {
	var errs []error
	if s.process != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		errs = append(errs, s.process.Stop(ctx))
		cancel()
	}
	if s.hooks != nil {
		errs = append(errs, s.hooks.Close())
	}
	if s.api != nil {
		s.api.Close()
	}
	s.ports.Release()
	return errors.Join(errs...)
}

// url returns the URL of a path of the public listener.
func (s *server) url(path string) string {
	if s.secure {
		return "https://" + s.public + path
	}
	return "http://" + s.public + path
}

// metric returns the value of one series of /metrics.
func (s *server) metric(ctx context.Context, series string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.internal+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	if s.secret != "" {
		request.Header.Set("Authorization", "Bearer "+s.secret)
	}
	response, err := s.honest.client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 16<<20))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), series+" "); ok {
			n, err := strconv.ParseFloat(value, 64)
			return int(n), err
		}
	}
	return 0, fmt.Errorf("/metrics has no %s", series)
}

// dial connects an attacker to the public listener.
func (s *server) dial(ctx context.Context) (net.Conn, error) {
	conn, err := attacker().DialContext(ctx, "tcp", s.public)
	if err != nil {
		s.tally.add("not connected")
		return nil, err
	}
	context.AfterFunc(ctx, func() { _ = conn.Close() })
	s.tally.add("connected")
	if s.secure {
		return tls.Client(conn, &tls.Config{InsecureSkipVerify: true}), nil // an attacker does not care
	}
	return conn, nil
}
