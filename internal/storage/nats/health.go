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
	// askEvery is how often an external JetStream is asked while all is well: each
	// request is work for the leader of the whole cluster.
	askEvery = 5 * time.Second
	// askedGap is the pause before a check that a failure has asked for.
	askedGap = 50 * time.Millisecond
)

// condition is what a check found.
type condition struct {
	reasons []string    // why not all is well
	refuse  *wire.Error // why nothing can be stored now; nil if it can
}

// checkState is what checks keep from one to the next.
type checkState struct {
	guard  guard
	asked  time.Time // when JetStream was asked last, if it is external
	answer error

	restarted time.Time     // when a restart was tried last
	pause     time.Duration // from then to the next, at least
	failure   error         // why the last one failed
	short     bool          // too few descriptors were free for a restart
}

// Run checks every second whether all is well, for [Engine.Health] and [Engine.Writable]. It
// restarts a server in this process whose writes have failed, when there is room again. It
// returns nil when ctx ends.
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

// Health lists why this process is not ready, as the last check found. It is empty if all is
// well. It does not wait.
func (e *Engine) Health() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]string{}, e.condition.reasons...)
}

// Writable returns nil if something can be stored. Otherwise the error is a *wire.Error for
// the caller of the API: ENGINE_FULL if there is no room, else ENGINE_UNAVAILABLE. It does
// not wait.
func (e *Engine) Writable() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.condition.refuse != nil {
		return e.condition.refuse
	}
	return nil
}

// check checks everything and keeps what it finds. Open calls it once, afterwards only Run
// does.
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

// setCondition makes a condition the current one, and logs what has changed.
func (e *Engine) setCondition(c condition) {
	e.mu.Lock()
	before := e.condition
	e.condition = c
	e.mu.Unlock()
	e.logChanges(before.reasons, c.reasons)
}

// disconnected says that there is no connection, and why if the user can change it.
func (e *Engine) disconnected() string {
	if err := e.nc.LastError(); isRefusal(err) {
		return fmt.Sprintf("not connected to NATS: %v", err)
	}
	return "not connected to NATS"
}

// logChanges logs which reasons are new, and that none is left.
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

// checkDisk checks whether the data folder has room for more. If the system does not say,
// there is room.
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

// errUnavailable says that the engine does not answer.
var errUnavailable = &wire.Error{Status: 503, Code: wire.CodeEngineUnavailable,
	Message: "What keeps the events does not answer: try again", RetryAfter: time.Second}

// ErrStreamFull says that a stream has reached its bound.
var ErrStreamFull = &wire.Error{Status: 503, Code: wire.CodeEngineFull,
	Message: "What keeps the events is full: raise its bound, or wait until some expire", RetryAfter: 5 * time.Second}

// Unavailable is the error for the caller of the API where NATS returned err. That is the
// *wire.Error in err if there is one. Otherwise it is ENGINE_FULL if a stream is full, and
// ENGINE_UNAVAILABLE if not. It is nil for nil. It does not wrap err, which should be logged.
func Unavailable(err error) *wire.Error {
	if err == nil {
		return nil
	}
	if known, ok := errors.AsType[*wire.Error](err); ok {
		return known
	}
	switch api := APIError(err); api.ErrorCode {
	case codeStoreFailed:
		// Failing disks and missing descriptors have the same code.
		if !strings.Contains(api.Description, "maximum") {
			return errUnavailable
		}
		return ErrStreamFull
	case codeNoResources, codeNoStorage:
		return ErrStreamFull
	}
	return errUnavailable
}
