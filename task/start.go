package task

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Priority says which pending tasks begin first: all of a higher one before those of a
// lower one, whatever their types. There are three, so that a shared store has few
// queues to look into.
type Priority int

// The priorities.
const (
	Low    Priority = -1
	Normal Priority = 0
	High   Priority = 1
)

// Priorities lists every priority, the highest first.
func Priorities() []Priority { return []Priority{High, Normal, Low} }

// StartOptions say when a task begins. The zero value is what [Service.Start] does.
type StartOptions struct {
	// RunAt is the time before which the task is not begun, at most 366 days from
	// now; zero or past is at once. Until then the task is pending and counts
	// against the bounds of the store; a service in memory that stops cancels it.
	RunAt time.Time

	// Priority is Low, Normal or High. Tasks of a low priority may wait for ever
	// while there are always others.
	Priority Priority

	// Key, if not empty, makes the start repeatable. While a task with this key is
	// kept, no other one is started: that task is the answer, with [Info.Repeated]. If
	// it is of another type, or its parameters differ by more than the
	// order of keys, the error is [ErrKeyConflict]. RunAt and Priority are not
	// compared. At most 256 bytes of UTF-8. The id of the task follows from the key
	// and [Options.KeySecret].
	//
	// A key can be used again when its task was deleted; for a minute or two after
	// that it may be [ErrBusy].
	Key string
}

// maxDelay bounds StartOptions.RunAt: what is later is a mistake of units.
const maxDelay = 366 * 24 * time.Hour

// check reports what is wrong with o.
func (o StartOptions) check() error {
	if delay := time.Until(o.RunAt); delay > maxDelay {
		return fmt.Errorf("run_at is %v, may be at most %d days from now", o.RunAt.Format(time.RFC3339), maxDelay/(24*time.Hour))
	}
	if !slices.Contains(Priorities(), o.Priority) {
		return fmt.Errorf("priority is %d, must be -1, 0 or 1", o.Priority)
	}
	return checkKey(o.Key)
}

// Start accepts a task: it is pending, and runs when a worker is free, tasks of
// one type in the order of the calls. params is a JSON object; nil, empty and null
// mean {}. The errors are [ErrUnknownType], [ErrBadParams], [ErrBusy],
// [ErrStopping] and [ErrUnavailable], all wrapped with the reason but ErrStopping.
// After ErrUnavailable, and after the end of ctx, the task may run nevertheless.
func (s *Service) Start(ctx context.Context, typ string, params json.RawMessage) (Info, error) {
	return s.StartWith(ctx, typ, params, StartOptions{})
}

// StartWith is [Service.Start] with options. [ErrBadParams] says that one of them is
// wrong, [ErrKeyConflict] that another task has the key.
func (s *Service) StartWith(ctx context.Context, typ string, params json.RawMessage, o StartOptions) (Info, error) {
	s.mu.Lock()
	t, known := s.types[typ]
	s.mu.Unlock()
	if !known {
		return Info{}, fmt.Errorf("%w: %q", ErrUnknownType, typ)
	}
	params, err := s.checkParams(t, params)
	if err = errors.Join(err, o.check()); err != nil {
		return Info{}, fmt.Errorf("%w: %w", ErrBadParams, err)
	}
	if !s.admit() {
		return Info{}, ErrStopping
	}
	defer s.admitted()
	rec := Record{
		ID: newID(), Type: typ, Params: params, State: Pending, Priority: o.Priority, RunAt: micro(o.RunAt),
		MaxAttempts: t.MaxAttempts, Created: now(),
	}
	if o.Key != "" {
		if rec, err = s.withKey(rec, o.Key); err != nil {
			return Info{}, err
		}
		return s.submitKeyed(ctx, rec)
	}
	if rec, err = s.store.Submit(ctx, rec); err != nil {
		return Info{}, err
	}
	return infoOf(rec), nil
}

// checkParams returns params as the task will see them.
func (s *Service) checkParams(t Type, params json.RawMessage) (json.RawMessage, error) {
	params = bytes.TrimSpace(params)
	if len(params) == 0 || string(params) == "null" {
		params = json.RawMessage("{}")
	}
	if len(params) > s.opts.MaxParamsBytes {
		return nil, fmt.Errorf("%d bytes, may be %d", len(params), s.opts.MaxParamsBytes)
	}
	if params[0] != '{' || !json.Valid(params) {
		return nil, errors.New("params must be a JSON object")
	}
	params = bytes.Clone(params)
	if t.Check != nil {
		if err := t.Check(params); err != nil {
			return nil, err
		}
	}
	return params, nil
}

// admit lets a call of Start go on. It must be followed by admitted.
func (s *Service) admit() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase != serving {
		return false
	}
	s.admitting++
	return true
}

func (s *Service) admitted() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.admitting--
	s.notifyLocked()
}

// newID makes a random UUID, version 4.
func newID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return formatID(b, 4)
}

// formatID formats b as a UUID of a version.
func formatID(b [16]byte, version byte) string {
	b[6] = b[6]&0x0f | version<<4
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
