package nats

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	firstRestartPause = time.Second
	longRestartPause  = 30 * time.Second
	// spareFiles is how many descriptors have to be free for a restart.
	spareFiles = 64
)

// checkServer checks the server in this process. Once a write has failed the server takes
// no more writes, or none for that stream, even when the cause is gone.
func (e *Engine) checkServer(c *condition, full bool) {
	s := e.embedded.current()
	if s == nil {
		c.failed(reasonOf("NATS in this process does not run", e.state.failure))
		e.restart(c)
		return
	}
	// The server itself does not notice a folder that it cannot read.
	if _, err := os.ReadDir(e.embedded.streamsDir()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.failed(reasonOf("the data folder cannot be read", err))
		return
	}
	failed := false
	if !s.JetStreamEnabled() {
		c.failed("JetStream has stopped")
		failed = true
	} else {
		for _, broken := range s.Healthz(&server.HealthzOptions{Details: true}).Errors {
			c.reasons = append(c.reasons, broken.Error)
			failed = failed || isLasting(broken.Error)
		}
	}
	switch {
	case !failed:
		if time.Since(e.state.restarted) > longRestartPause {
			e.state.pause = 0
		}
	case !full: // else it would fail again
		c.refuse = errUnavailable
		e.restart(c)
	}
}

// failed notes a reason for which nothing can be stored.
func (c *condition) failed(reason string) {
	c.reasons = append(c.reasons, reason)
	if c.refuse == nil {
		c.refuse = errUnavailable
	}
}

func reasonOf(what string, err error) string {
	if err == nil {
		return what
	}
	return fmt.Sprintf("%s: %v", what, err)
}

// isLasting reports whether a problem of the server stays until it is restarted.
func isLasting(broken string) bool {
	return strings.Contains(broken, "write error") || strings.Contains(broken, "could not be recovered")
}

// restart restarts the server in this process, unless that was tried a moment ago, or too
// few descriptors are free.
func (e *Engine) restart(c *condition) {
	if err := descriptorsLeft(spareFiles); err != nil {
		c.failed(err.Error())
		e.state.short = true
		return
	}
	// After an attempt without descriptors the next one comes at once.
	if !e.state.short && e.state.pause > 0 && time.Since(e.state.restarted) < e.state.pause {
		return
	}
	e.state.short = false
	e.state.pause = min(max(2*e.state.pause, firstRestartPause), longRestartPause)
	e.log.Warn("restarting NATS in this process", "reasons", c.reasons)
	e.setCondition(*c) // for as long as it takes
	e.state.failure = e.embedded.restart()
	e.state.restarted = time.Now()
	if e.state.failure != nil {
		e.log.Error("NATS in this process was not restarted: tried again", "in", e.state.pause, "err", e.state.failure)
		return
	}
	*c = condition{} // the next check finds what else there is
	e.CheckNow()
}

// descriptorsLeft returns an error if the process cannot open n more files. A server that
// starts without them takes files that it cannot read for missing.
func descriptorsLeft(n int) error {
	files := make([]*os.File, 0, n)
	defer func() {
		for _, f := range files {
			_ = f.Close()
		}
	}()
	for range n {
		f, err := os.Open(os.DevNull)
		if err != nil {
			return fmt.Errorf("storage waits for %d free descriptors to be restarted: %w", n, err)
		}
		files = append(files, f)
	}
	return nil
}

// streamsDir is where the server has a folder for each stream.
func (e *embedded) streamsDir() string { return streamsDir(e.opts.StoreDir) }

func streamsDir(store string) string {
	return filepath.Join(store, "jetstream", "$G", "streams")
}

// recoveredAll returns an error unless a server has all streams and durable consumers that
// are in its folder. The server itself starts without those that it cannot read.
func (e *embedded) recoveredAll(s *server.Server) error {
	streams, err := os.ReadDir(e.streamsDir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if len(streams) == 0 {
		return nil
	}
	account, err := s.JszAccount(&server.JSzOptions{Account: "$G", Streams: true, Consumer: true})
	if err != nil {
		return err
	}
	for _, dir := range streams {
		if strings.HasPrefix(dir.Name(), ".") { // about to be removed
			continue
		}
		i := slices.IndexFunc(account.Streams, func(d server.StreamDetail) bool { return d.Name == dir.Name() })
		if i < 0 {
			return fmt.Errorf("stream %s could not be recovered", dir.Name())
		}
		if err := e.recoveredConsumers(account.Streams[i]); err != nil {
			return err
		}
	}
	return nil
}

func (e *embedded) recoveredConsumers(stream server.StreamDetail) error {
	dir := filepath.Join(e.streamsDir(), stream.Name, "obs")
	consumers, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, c := range consumers {
		meta, err := os.ReadFile(filepath.Join(dir, c.Name(), "meta.inf"))
		switch {
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return err
		case err != nil || !bytes.Contains(meta, []byte(`"durable_name"`)):
		case !slices.ContainsFunc(stream.Consumer, func(i *server.ConsumerInfo) bool { return i.Name == c.Name() }):
			return fmt.Errorf("consumer %s of stream %s could not be recovered", c.Name(), stream.Name)
		}
	}
	return nil
}
