package nats

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"tidegate/internal/backoff"
	"tidegate/internal/wire"
)

const (
	checkEvery = time.Second
	// askEvery is how often an external JetStream is asked while all is well:
	// each question is work for the leader of the whole cluster.
	askEvery = 5 * time.Second
	// askedGap is between two checks that failures have asked for.
	askedGap = 50 * time.Millisecond
)

// condition is what a check found.
type condition struct {
	reasons []string    // why not all is well
	refuse  *wire.Error // why nothing can be stored now; nil if it can
}

// watch is what checks remember.
type checkState struct {
	guard  guard
	asked  time.Time // when JetStream was asked last, if it is external
	answer error

	restarted time.Time     // when a restart was tried last
	pause     time.Duration // from then to the next, at least
	failure   error         // why the last one failed
	short     bool          // there were too few descriptors for one
}

// Run looks every second whether all is well, for [Engine.Health] and
// [Engine.Writable], and mends what it can: a server in this process whose writes
// have failed is restarted when there is room again. It returns nil when ctx ends.
func (e *Engine) Run(ctx context.Context) error {
	var watching sync.WaitGroup
	defer watching.Wait()
	if e.embedded == nil {
		watching.Go(func() { e.watchServers(ctx) })
	}
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-e.checkNow:
			_ = backoff.Wait(ctx, askedGap)
		}
		e.check(ctx)
	}
}

// Health lists why this process is not ready, as the last check found: nothing is
// asked anew. It is empty if all is well.
func (e *Engine) Health() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]string{}, e.condition.reasons...)
}

// Writable tells whether it makes sense to store something. If not, the error is a
// *wire.Error that can be answered as it is: ENGINE_FULL if there is no room, else
// ENGINE_UNAVAILABLE. It does not wait.
func (e *Engine) Writable() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.condition.refuse != nil {
		return e.condition.refuse
	}
	return nil
}

// check looks at everything and keeps what it found. Open calls it once, and then
// only Run.
func (e *Engine) check(ctx context.Context) {
	var c condition
	if e.embedded != nil {
		full := e.checkDisk(&c)
		e.checkServer(&c, full)
	} else {
		e.checkAnswers(ctx, &c)
	}
	switch {
	case !e.nc.IsConnected():
		c.reasons = append(c.reasons, e.disconnected())
	case !isRecent(e.nc.ConnectedServerVersion()):
		c.reasons = append(c.reasons, fmt.Sprintf("NATS server %s has version %s: want %d.%d or later",
			e.nc.ConnectedServerName(), e.nc.ConnectedServerVersion(), oldestMajor, oldestMinor))
	}
	e.setCondition(c)
}

// keep has everybody know a condition.
func (e *Engine) setCondition(c condition) {
	e.mu.Lock()
	before := e.condition
	e.condition = c
	e.mu.Unlock()
	e.logChanges(before.reasons, c.reasons)
}

// disconnected says why there is no connection, where that needs somebody to act.
func (e *Engine) disconnected() string {
	if err := e.nc.LastError(); isRefusal(err) {
		return fmt.Sprintf("not connected to NATS: %v", err)
	}
	return "not connected to NATS"
}

// tell logs what has changed.
func (e *Engine) logChanges(before, now []string) {
	for _, reason := range now {
		if !slices.Contains(before, reason) {
			e.log.Warn("not ready", "reason", reason)
		}
	}
	if len(before) > 0 && len(now) == 0 {
		e.log.Info("ready again")
	}
}

// checkDisk looks whether the data folder has room for more. If that cannot be
// known it has.
func (e *Engine) checkDisk(c *condition) (full bool) {
	disk, err := e.opts.space(e.opts.Dir)
	if err != nil || disk.total == 0 {
		return false
	}
	if e.state.guard.update(disk) {
		c.reasons = append(c.reasons, "the disk of the data folder is nearly full")
		c.refuse = ErrDiskFull
		return true
	}
	return false
}

// checkAnswers asks an external JetStream whether it is there.
func (e *Engine) checkAnswers(ctx context.Context, c *condition) {
	w := &e.state
	if w.answer != nil || time.Since(w.asked) >= askEvery {
		w.answer = e.askJetStream(ctx)
		w.asked = time.Now()
	}
	if w.answer != nil {
		c.reasons = append(c.reasons, "JetStream does not answer")
	}
}

// errUnavailable says that what keeps the events does not answer.
var errUnavailable = &wire.Error{Status: 503, Code: wire.CodeEngineUnavailable,
	Message: "What keeps the events does not answer: try again", RetryAfter: time.Second}

// ErrStreamFull says that a stream has reached its bound.
var ErrStreamFull = &wire.Error{Status: 503, Code: wire.CodeEngineFull,
	Message: "What keeps the events is full: raise its bound, or wait until some expire", RetryAfter: 5 * time.Second}

// Unavailable gives what to answer for an error of NATS: the *wire.Error in it if
// there is one, ENGINE_FULL if it says that a stream is full, and otherwise
// ENGINE_UNAVAILABLE. It is nil for nil. The error itself is not in it and should be logged.
func Unavailable(err error) *wire.Error {
	if err == nil {
		return nil
	}
	if known, ok := errors.AsType[*wire.Error](err); ok {
		return known
	}
	switch api := APIError(err); api.ErrorCode {
	case codeStoreFailed:
		// It is also the code of a disk that fails and of missing descriptors.
		if !strings.Contains(api.Description, "maximum") {
			return errUnavailable
		}
		return ErrStreamFull
	case codeNoResources, codeNoStorage:
		return ErrStreamFull
	}
	return errUnavailable
}
