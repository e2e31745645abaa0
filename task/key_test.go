package task_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/task"
)

func TestAKeyCanBeUsedAgainWhenItsTaskWasDeleted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := watchable(t, task.Options{Retention: time.Hour}, task.LogOptions{}, quick)
		options := task.StartOptions{Key: "daily"}
		for day := range 3 {
			info, err := b.StartWith(t.Context(), "quick", nil, options)
			if err != nil || info.Repeated || info.Key != "daily" {
				t.Fatalf("day %d: %+v, %v", day, info, err)
			}
			events, err := gather(t.Context(), b.Service, info.ID, "")
			if err != nil || len(events) != 3 {
				t.Errorf("day %d: the log has %d events, %v; want 3", day, len(events), err)
			}
			time.Sleep(30 * time.Minute)
			if again, err := b.StartWith(t.Context(), "quick", nil, options); err != nil || !again.Repeated || again.ID != info.ID {
				t.Errorf("day %d: within the retention: %+v, %v", day, again, err)
			}
			if day == 1 {
				if err := b.Remove(t.Context(), info.ID); err != nil {
					t.Fatal(err)
				}
				continue
			}
			time.Sleep(24 * time.Hour)
			synctest.Wait()
		}
	})
}

// TestAKeyWhoseOldLogIsThereIsBusy: events of a new task would be lost in it.
func TestAKeyWhoseOldLogIsThereIsBusy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		log := &keptEnds{}
		b := serve(t, task.Options{Publisher: log}, quick)
		options := task.StartOptions{Key: "daily"}
		info, err := b.StartWith(t.Context(), "quick", nil, options)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		log.ended = true
		if again, err := b.StartWith(t.Context(), "quick", nil, options); err != nil || again.ID != info.ID {
			t.Errorf("while the task is kept: %v, %v", again, err)
		}
		if err := b.Remove(t.Context(), info.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := b.StartWith(t.Context(), "quick", nil, options); !errors.Is(err, task.ErrBusy) {
			t.Errorf("StartWith() = %v, want ErrBusy", err)
		}
		log.err = errAway
		if _, err := b.StartWith(t.Context(), "quick", nil, options); !errors.Is(err, task.ErrUnavailable) {
			t.Errorf("StartWith() while the log cannot be read = %v, want ErrUnavailable", err)
		}
		log.ended, log.err = false, nil
		if _, err := b.StartWith(t.Context(), "quick", nil, options); err != nil {
			t.Errorf("StartWith() when the log is gone = %v", err)
		}
	})
}

// keptEnds is a log that can be read.
type keptEnds struct {
	logs
	ended bool
	err   error
}

func (l *keptEnds) Ended(context.Context, string) (terminal, closed bool, err error) {
	return l.ended, l.ended, l.err
}

func TestKeysAreCheckedAndSecret(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ids := map[string]bool{}
		for _, secret := range []string{"", "a", "b"} {
			b := serve(t, task.Options{KeySecret: []byte(secret)}, quick)
			for _, key := range []string{"1", "2"} {
				info, err := b.StartWith(t.Context(), "quick", json.RawMessage(`{"b":1.0,"a":[{}]}`), task.StartOptions{Key: key})
				if err != nil || len(info.ID) != 36 || info.ID[14] != '8' {
					t.Errorf("id is %q, %v; want a UUID of version 8", info.ID, err)
				}
				ids[info.ID] = true
			}
			if _, err := b.StartWith(t.Context(), "quick", json.RawMessage(`{ "a":[{}], "b":1.0 }`), task.StartOptions{Key: "1"}); err != nil {
				t.Errorf("the same in another order: %v", err)
			}
			if _, err := b.StartWith(t.Context(), "quick", json.RawMessage(`{"a":[{}],"b":1}`), task.StartOptions{Key: "1"}); !errors.Is(err, task.ErrKeyConflict) {
				t.Errorf("another number: %v, want ErrKeyConflict", err)
			}
			for _, key := range []string{strings.Repeat("x", 257), "\xff"} {
				if _, err := b.StartWith(t.Context(), "quick", nil, task.StartOptions{Key: key}); !errors.Is(err, task.ErrBadParams) {
					t.Errorf("StartWith(%.10q) = %v, want ErrBadParams", key, err)
				}
			}
		}
		if len(ids) != 6 {
			t.Errorf("%d ids of two keys and three secrets, want 6", len(ids))
		}
	})
}
