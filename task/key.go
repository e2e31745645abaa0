package task

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// maxKey bounds StartOptions.Key, in bytes: it is kept with each record.
const maxKey = 256

// checkKey reports what is wrong with a key.
func checkKey(key string) error {
	switch {
	case len(key) > maxKey:
		return fmt.Errorf("key has %d bytes, may have %d", len(key), maxKey)
	case !utf8.ValidString(key):
		return errors.New("key must be UTF-8")
	}
	return nil
}

// withKey gives a record that is to be submitted its key. The id follows from the key:
// of two that are submitted at once, in whatever processes, the store takes one.
func (s *Service) withKey(rec Record, key string) (Record, error) {
	content, err := contentOf(rec)
	if err != nil {
		return rec, err
	}
	rec.Key, rec.Content = key, content
	mac := hmac.New(sha256.New, s.opts.KeySecret)
	mac.Write([]byte(key))
	rec.ID = formatID([16]byte(mac.Sum(nil)), 8)
	return rec, nil
}

// contentOf is a digest of what a task is to do. Keys of objects may be in any order.
func contentOf(rec Record) (string, error) {
	dec := json.NewDecoder(bytes.NewReader(rec.Params))
	dec.UseNumber()
	var params any
	if err := dec.Decode(&params); err != nil {
		return "", err
	}
	canonical, err := encodeJSON([]any{rec.Type, params}) // sorts keys
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:16]), nil
}

// submitKeyed is Store.Submit for a record with a key: it returns the task that has the
// key if there is one.
func (s *Service) submitKeyed(ctx context.Context, rec Record) (Info, error) {
	if first, ok := s.store.Peek(rec.ID); ok {
		return s.repeated(rec, first)
	}
	if err := s.noOldLog(ctx, rec); err != nil {
		return Info{}, err
	}
	stored, err := s.store.Submit(ctx, rec)
	switch {
	case err == nil:
		return infoOf(stored), nil
	case errors.Is(err, ErrExists):
		first, err := s.store.Load(ctx, rec.ID)
		if errors.Is(err, ErrNotFound) {
			return Info{}, errKeyDeleted
		}
		if err != nil {
			return Info{}, err
		}
		return s.repeated(rec, first)
	case errors.Is(err, ErrNotFound): // the store still has a trace of it
		return Info{}, errKeyDeleted
	default:
		return Info{}, err
	}
}

// errKeyDeleted: the id cannot be used again yet.
var errKeyDeleted = fmt.Errorf("%w: the task with this key was deleted a moment ago", ErrBusy)

// repeated answers a start with the task that has its key already.
func (s *Service) repeated(rec, first Record) (Info, error) {
	if first.Key != rec.Key || first.Content != rec.Content {
		return Info{}, fmt.Errorf("%w: task %s of type %q has the key %q", ErrKeyConflict, first.ID, first.Type, rec.Key)
	}
	info := s.info(first)
	info.Repeated = true
	return info, nil
}

// noOldLog returns errKeyDeleted while the log of an earlier task with the key is still
// there. That log is closed, and events of a new task would be lost in it.
func (s *Service) noOldLog(ctx context.Context, rec Record) error {
	reader, ok := s.opts.Publisher.(LogReader)
	if !ok {
		return nil
	}
	terminal, closed, err := reader.Ended(ctx, rec.ID)
	if err != nil {
		return fmt.Errorf("%w: read the log of an earlier task with this key: %w", ErrUnavailable, err)
	}
	if !terminal && !closed {
		return nil
	}
	_, err = s.store.Load(ctx, rec.ID)
	if errors.Is(err, ErrNotFound) {
		return errKeyDeleted
	}
	return err // without one, Submit finds the task, too
}
