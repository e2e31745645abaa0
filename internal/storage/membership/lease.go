package membership

import (
	"context"
	"errors"
	"time"
)

// Why a node does not have a lease.
var (
	errHeld   = errors.New("another node holds the lease")
	errLost   = errors.New("another node has the lease now")
	errCutOff = errors.New("the lease could not be renewed in time")
)

// leaseStore is what a lease needs of a bucket. The store ends a lease by itself, never
// before its TTL has passed since the last create or renew.
type leaseStore interface {
	// create makes a key that is not there, or returns errHeld.
	create(ctx context.Context, key, value string) (revision uint64, err error)
	// renew begins the TTL again if the key still is as it was at revision, or
	// returns errLost. After any other error it may have been renewed.
	renew(ctx context.Context, key, value string, revision uint64) (uint64, error)
}

// leaseTimes say how a lease is held.
type leaseTimes struct {
	every    time.Duration // between renewals
	patience time.Duration // after the last successful request began, the lease counts as lost; 0: no bound
	attempt  time.Duration // bound of one request
}

// lease is a key that its holder keeps alive by renewing it. It belongs to one
// goroutine.
type lease struct {
	store      leaseStore
	key, value string // the value must be one that no other holder has
	times      leaseTimes

	onRenewed func(time.Time) // gets the time of each renewal; may be nil

	revision uint64
	tried    time.Time // when the last request began
	renewed  time.Time // when the last one that succeeded began: the TTL did not begin earlier
}

// acquire asks for the lease once. It returns errHeld while somebody has it.
func (l *lease) acquire(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.times.attempt)
	defer cancel()
	begun := time.Now()
	revision, err := l.store.create(ctx, l.key, l.value)
	if err != nil {
		return err
	}
	l.tried = begun
	l.renewedTo(revision, begun)
	return nil
}

// renewedTo notes a request that has succeeded.
func (l *lease) renewedTo(revision uint64, begun time.Time) {
	l.revision, l.renewed = revision, begun
	if l.onRenewed != nil {
		l.onRenewed(begun)
	}
}

// keep renews the lease until ctx ends, and then returns nil. It returns errLost if
// another node has the lease. It returns errCutOff when the lease could not be renewed, early
// enough for the holder to stop before another node can have it.
func (l *lease) keep(ctx context.Context) error {
	timer := time.NewTimer(l.pause())
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		// A process that was suspended for long finds out before it does anything.
		if l.expired() {
			return errCutOff
		}
		err := l.renew(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errLost):
			return err
		case err != nil && l.expired():
			return errCutOff
		}
		timer.Reset(l.pause())
	}
}

func (l *lease) renew(ctx context.Context) error {
	begun := time.Now()
	l.tried = begun
	limit := begun.Add(l.times.attempt)
	if end := l.renewed.Add(l.times.patience); l.times.patience > 0 && end.Before(limit) {
		limit = end
	}
	ctx, cancel := context.WithDeadline(ctx, limit)
	defer cancel()
	revision, err := l.store.renew(ctx, l.key, l.value, l.revision)
	if err != nil {
		return err
	}
	l.renewedTo(revision, begun)
	return nil
}

func (l *lease) expired() bool {
	return l.times.patience > 0 && time.Since(l.renewed) >= l.times.patience
}

// pause is how long until the next renewal, or until the lease counts as lost. Waiting
// for a request without an answer counts as part of the pause.
func (l *lease) pause() time.Duration {
	next := l.tried.Add(l.times.every)
	if end := l.renewed.Add(l.times.patience); l.times.patience > 0 && end.Before(next) {
		next = end
	}
	return max(0, time.Until(next))
}
