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

// embedded is the server in this process. It can be restarted behind the back of
// its client, which connects to whatever server there is.
type embedded struct {
	log *slog.Logger

	startStop sync.Mutex     // one start or stop at a time; held while it lasts
	opts      server.Options // guarded by turn; each server gets a copy

	mu      sync.Mutex
	server  *server.Server // nil while there is none
	stopped bool           // for good
}

const (
	syncInterval = time.Second // how much DurabilityProcess may lose with the power
	startWait    = time.Minute // for a server whose Start has returned
)

// storeDir is where the server has its files.
func storeDir(dir string) string { return filepath.Join(dir, "nats") }

// newEmbedded starts a server. It returns when clients can connect, and its
// streams have been recovered: seconds if there are millions of messages.
func newEmbedded(opts Options, papers certificates, name string, log *slog.Logger) (*embedded, error) {
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
		if err := listen(&e.opts, opts, papers); err != nil {
			return nil, err
		}
	}
	return e, e.start()
}

// serverOptions are those of a server that only this process can reach. Whatever
// else a server can do is off: it is where its weaknesses have been.
func serverOptions(opts Options, name string, disk space) server.Options {
	payload := int32(opts.MaxBody + envelope)
	return server.Options{
		ServerName: name,
		DontListen: true, // else it listens at 0.0.0.0:4222
		NoSigs:     true, // else it ends the process at SIGINT and SIGTERM

		JetStream: true,
		StoreDir:  storeDir(opts.Dir),
		// Each stream has a bound of its own. This one is the whole disk, so
		// that streams that had larger ones are still recovered.
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
func listen(o *server.Options, opts Options, papers certificates) error {
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
	o.TLSConfig = papers.serverConfig()
	o.TLSVerify = o.TLSConfig.ClientAuth == tls.RequireAndVerifyClientCert
	return nil
}

// start starts a server, unless the end has come.
func (e *embedded) start() error {
	e.startStop.Lock()
	defer e.startStop.Unlock()
	return e.startLocked(func(*server.Server) error { return nil })
}

// startLocked starts a server, which clients get if it is accepted. turn is held.
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
		e.opts.Port = at.Port // others expect it there after a restart too
	}
	e.mu.Lock()
	e.server = s
	e.mu.Unlock()
	return nil
}

// stopLocked stops the server, if there is one. turn is held.
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

// restart replaces the server by a new one on the same files. Clients find it by
// themselves; what they ask meanwhile fails. It is an error if the new one lacks
// something that the files have: there is none then.
func (e *embedded) restart() error {
	e.startStop.Lock()
	defer e.startStop.Unlock()
	e.stopLocked()
	return e.startLocked(e.recoveredAll)
}

// stop ends it for good.
func (e *embedded) stop() {
	e.startStop.Lock()
	defer e.startStop.Unlock()
	e.mu.Lock()
	e.stopped = true
	e.mu.Unlock()
	e.stopLocked()
}

// current is the server that runs, nil while there is none.
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
	errRestarting = errors.New("cluster: the server in this process is being restarted")
	errClosed     = errors.New("cluster: closed")
)

// addr is where it listens, "" if nowhere.
func (e *embedded) addr() string {
	s := e.current()
	if s == nil || s.Addr() == nil {
		return ""
	}
	return s.Addr().String()
}
