package nats

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// embedded is the server in this process. It can be restarted while clients use it: they
// connect to the new server.
type embedded struct {
	log *slog.Logger

	startStop sync.Mutex     // one start or stop at a time; held while it lasts
	opts      server.Options // guarded by startStop; each server gets a copy

	mu      sync.Mutex
	server  *server.Server // nil while there is none
	stopped bool           // for good
}

const (
	syncInterval = time.Second // what a power failure may lose with DurabilityProcess
	startWait    = time.Minute // for a server whose Start has returned
)

// storeDir is where the server has its files.
func storeDir(dir string) string { return filepath.Join(dir, "nats") }

// newEmbedded starts a server. It returns when clients can connect and the streams have
// been recovered, which takes seconds if there are millions of messages.
func newEmbedded(opts Options, certs certificates, name string, log *slog.Logger) (*embedded, error) {
	if err := os.MkdirAll(storeDir(opts.Dir), 0o700); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	if err := os.Chmod(storeDir(opts.Dir), 0o700); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	disk, err := opts.space(opts.Dir)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	e := &embedded{opts: serverOptions(opts, name, disk), log: log}
	if opts.Listen != "" {
		if err := listen(&e.opts, opts, certs); err != nil {
			return nil, err
		}
	}
	return e, e.start()
}

// serverOptions are those of a server that only this process can reach. Everything else
// that a server can do is off, to have less to attack.
func serverOptions(opts Options, name string, disk space) server.Options {
	payload := int32(opts.MaxBody + envelope)
	return server.Options{
		ServerName: name,
		DontListen: true, // else it listens at 0.0.0.0:4222
		NoSigs:     true, // else it ends the process at SIGINT and SIGTERM

		JetStream: true,
		StoreDir:  storeDir(opts.Dir),
		// Each stream has a bound of its own. This one is the whole disk, so that streams
		// with larger bounds from before are still recovered.
		JetStreamMaxStore:  max(cmp.Or(disk.total, 1<<40), 1<<30),
		JetStreamMaxMemory: 64 << 20,
		SyncInterval:       syncInterval,
		SyncAlways:         opts.Durability == DurabilityPower,

		MaxPayload: payload,
		MaxPending: max(server.MAX_PENDING_SIZE, 4*int64(payload)),

		DisableJetStreamBanner: true,
	}
}

// listen has a server listen for other machines.
func listen(o *server.Options, opts Options, certs certificates) error {
	host, port, err := net.SplitHostPort(opts.Listen)
	if err != nil {
		return fmt.Errorf("--nats-listen: %w", err)
	}
	if o.Port, err = strconv.Atoi(port); err != nil {
		return fmt.Errorf("--nats-listen %s: the port is no number", opts.Listen)
	}
	if o.Port == 0 {
		o.Port = server.RANDOM_PORT
	}
	o.DontListen, o.Host, o.Authorization = false, host, opts.Token
	if opts.TLSCert == "" {
		return nil
	}
	o.TLS, o.TLSTimeout = true, 5
	o.TLSConfig = certs.serverConfig()
	o.TLSVerify = o.TLSConfig.ClientAuth == tls.RequireAndVerifyClientCert
	return nil
}

// start starts a server, unless stop was called.
func (e *embedded) start() error {
	e.startStop.Lock()
	defer e.startStop.Unlock()
	return e.startLocked(func(*server.Server) error { return nil })
}

// startLocked starts a server. Clients can reach it if accept returns nil. startStop is
// held.
func (e *embedded) startLocked(accept func(*server.Server) error) error {
	e.mu.Lock()
	stopped := e.stopped
	e.mu.Unlock()
	if stopped {
		return errClosed
	}
	opts, log := e.opts, &serverLog{log: e.log}
	s, err := server.NewServer(&opts)
	if err != nil {
		return fmt.Errorf("start NATS in this process: %w", err)
	}
	s.SetLoggerV2(log, false, false, false)
	s.Start()
	if reason := log.reason(); reason != "" || !s.ReadyForConnections(startWait) {
		s.Shutdown()
		s.WaitForShutdown()
		if reason == "" {
			reason = "not ready after " + startWait.String()
		}
		return fmt.Errorf("start NATS in this process: %s", reason)
	}
	if err := accept(s); err != nil {
		s.Shutdown()
		s.WaitForShutdown()
		return fmt.Errorf("start NATS in this process: %w", err)
	}
	if at, ok := s.Addr().(*net.TCPAddr); ok {
		e.opts.Port = at.Port // clients expect it there after a restart too
	}
	e.mu.Lock()
	e.server = s
	e.mu.Unlock()
	return nil
}

// stopLocked stops the server, if there is one. startStop is held.
func (e *embedded) stopLocked() {
	e.mu.Lock()
	s := e.server
	e.server = nil
	e.mu.Unlock()
	if s != nil {
		s.Shutdown()
		s.WaitForShutdown()
	}
}

// restart replaces the server by a new one on the same files. Clients reconnect by
// themselves; their requests meanwhile fail. It is an error if the new server lacks a
// stream or consumer that the files have: then no server runs.
func (e *embedded) restart() error {
	e.startStop.Lock()
	defer e.startStop.Unlock()
	e.stopLocked()
	return e.startLocked(e.recoveredAll)
}

// stop stops the server; start and restart do nothing afterwards.
func (e *embedded) stop() {
	e.startStop.Lock()
	defer e.startStop.Unlock()
	e.mu.Lock()
	e.stopped = true
	e.mu.Unlock()
	e.stopLocked()
}

// current is the running server, nil while there is none.
func (e *embedded) current() *server.Server {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.server
}

// InProcessConn implements natsgo.InProcessConnProvider.
func (e *embedded) InProcessConn() (net.Conn, error) {
	s := e.current()
	if s == nil {
		return nil, errRestarting
	}
	return s.InProcessConn()
}

var (
	errRestarting = errors.New("the NATS server in this process is being restarted")
	errClosed     = errors.New("the NATS server in this process is stopped")
)

// addr is where it listens, "" if nowhere.
func (e *embedded) addr() string {
	s := e.current()
	if s == nil || s.Addr() == nil {
		return ""
	}
	return s.Addr().String()
}
