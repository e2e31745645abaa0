// Package nats is the engine below the packages of storage. It is a NATS server in this
// process, with its files in the data folder, or external servers that several machines
// share. [Open] starts or reaches one, makes the deployment's streams and returns an
// [Engine]. The packages around it use its connection and its streams; what they do
// with them is the same in both cases. Only this package imports the server of NATS.
//
// The engine also owns the data folder: its lock, and the record of whether the machine went
// down. It knows where the log of one process has its files.
package nats

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Engine is a process's access to NATS. [Open] makes one; its methods may be called
// concurrently. [Engine.Run] checks it while the process runs, [Engine.Close] ends it.
type Engine struct {
	// set once
	opts         Options
	certificates certificates
	log          *slog.Logger
	folder       *folder   // nil if external
	embedded     *embedded // nil if external
	nc           *natsgo.Conn
	js           jetstream.JetStream
	checkNow     chan struct{} // wakes Run; size 1: a second request would ask for the same
	close        func()

	mu         sync.Mutex
	generation string          // of stream EV, "" before it is known
	condition  condition       // as the last check found it
	warnings   []string        // of external servers
	made       map[string]bool // streams that this process has made or found
	refused    error           // what the server did not permit since [Engine.untilRefused], nil for nothing
	onRefused  func()          // called when that happens

	state checkState // owned by check
}

// Open starts the server in this process, or connects to an external one, and makes the
// streams that Options.Needs names. ctx bounds all of it. It fails if the folder is in
// use, or if no server answers at the URLs. It also fails if the server is too old, has no
// JetStream or takes too small messages. The error says which.
func Open(ctx context.Context, opts Options) (*Engine, error) {
	opts = opts.withDefaults()
	if err := opts.validate(); err != nil {
		return nil, err
	}
	e := &Engine{opts: opts, log: opts.Log.With("component", "nats"), checkNow: make(chan struct{}, 1), onRefused: func() {}, made: map[string]bool{}}
	e.state.guard.minFree = opts.MinFree
	e.close = sync.OnceFunc(e.closeAll)
	if err := e.open(ctx); err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

func (e *Engine) open(ctx context.Context) (err error) {
	if e.certificates, err = e.opts.loadCertificates(); err != nil {
		return fmt.Errorf("NATS: %w", err)
	}
	if e.opts.Dir != "" {
		err = e.openEmbedded()
	} else {
		err = e.openExternal(ctx)
	}
	if err != nil {
		return err
	}
	if _, err := e.ensure(ctx, e.opts.Needs); err != nil {
		return err
	}
	e.check(ctx)
	return nil
}

// openEmbedded locks the folder, starts the server in it and connects to it.
func (e *Engine) openEmbedded() (err error) {
	if e.folder, err = openFolder(e.opts); err != nil {
		return err
	}
	e.opts.Prefix = e.folder.record.Prefix
	if err := e.folder.checkOwnLog(e.opts.Listen); err != nil {
		return err
	}
	if e.opts.Listen != "" && e.opts.Token == "" {
		if e.opts.Token, err = e.folder.token(); err != nil {
			return err
		}
		e.log.Info("other nodes have to give the token in this file", "listen", e.opts.Listen, "file", e.folder.tokenPath())
	}
	if e.folder.record.Redraw {
		e.log.Warn("the machine went down while this was running: what was acknowledged last may be lost, event ids from before are not continued", "dir", e.opts.Dir)
	}
	if e.embedded, err = newEmbedded(e.opts, e.certificates, e.folder.record.Name, e.log); err != nil {
		return err
	}
	options := append(e.connectOptions(), natsgo.InProcessServer(e.embedded), natsgo.ReconnectWait(inProcessRetry), natsgo.ReconnectJitter(0, 0))
	if e.opts.Token != "" {
		options = append(options, natsgo.Token(e.opts.Token))
	}
	if e.nc, err = natsgo.Connect("", options...); err != nil {
		return fmt.Errorf("connect to NATS in this process: %w", err)
	}
	e.js, err = jetstream.New(e.nc)
	return err
}

// inProcessRetry is the pause between attempts to reach the server in this
// process, while it is restarted.
const inProcessRetry = 50 * time.Millisecond

// Close disconnects, stops the server in this process and unlocks its folder. Call it after
// Run has returned. It may be called more than once.
func (e *Engine) Close() { e.close() }

// closeAll undoes what open did, backwards, as far as open got.
func (e *Engine) closeAll() {
	if e.nc != nil {
		if e.nc.IsConnected() {
			_ = e.nc.FlushTimeout(time.Second)
		}
		e.nc.Close()
	}
	if e.embedded != nil {
		e.embedded.stop()
	}
	if e.folder != nil {
		if err := e.folder.close(); err != nil {
			e.log.Error("close the data folder", "err", err)
		}
	}
}

// Generation is the first part of every event id: 8 lowercase letters and digits.
// It changes when new events may get positions that others had. It is "" before the log
// was made.
func (e *Engine) Generation() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.generation
}

// ListenAddr is where the server in this process listens, "" if nowhere.
func (e *Engine) ListenAddr() string {
	if e.embedded == nil {
		return ""
	}
	return e.embedded.addr()
}

// CheckNow has [Engine.Run] check at once whether all is well. Call it after a failure. It
// does not wait.
func (e *Engine) CheckNow() {
	select {
	case e.checkNow <- struct{}{}:
	default:
	}
}

// Subject puts the deployment's prefix before a subject: "ev.>" becomes "tidegate.ev.>".
func (e *Engine) Subject(s string) string { return e.opts.Prefix + "." + s }

// StreamName is the name of a stream or bucket of the deployment: "EV" becomes
// "TIDEGATE_EV".
func (e *Engine) StreamName(s string) string { return streamName(e.opts.Prefix, s) }

// Conn is the connection to NATS. It outlives servers that restart; [Engine.Close]
// closes it.
func (e *Engine) Conn() *natsgo.Conn { return e.nc }

// JetStream is the same connection's access to streams.
func (e *Engine) JetStream() jetstream.JetStream { return e.js }

// Log is the logger of storage.
func (e *Engine) Log() *slog.Logger { return e.opts.Log }

// MaxBody is the largest event, in bytes.
func (e *Engine) MaxBody() int64 { return e.opts.MaxBody }

// InProcess reports whether the server runs in this process.
func (e *Engine) InProcess() bool { return e.embedded != nil }

func streamName(prefix, s string) string { return strings.ToUpper(prefix) + "_" + s }

// RandomName draws a name, such as that of a node: 8 lowercase letters and digits.
func RandomName() string { return strings.ToLower(rand.Text()[:8]) }
