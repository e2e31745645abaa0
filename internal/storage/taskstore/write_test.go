package taskstore

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"tidegate/task"
)

// TestATaskEndsAlthoughItsRecordIsTooLarge has an error that neither the connection
// nor the stream takes, whatever is tried how often.
func TestATaskEndsAlthoughItsRecordIsTooLarge(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		maxMsgSize int32 // of the stream; -1 is any
		bytes      int   // of the error
	}{
		"for the connection": {-1, 3 << 20},
		"for the stream":     {4 << 10, 64 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := openEngine(t, t.TempDir())
			store := newTasks(t, e, Options{})
			store.inline = 4 << 20 // nothing is put aside
			config := store.tasks.CachedInfo().Config
			config.MaxMsgSize = c.maxMsgSize
			if _, err := e.JetStream().UpdateStream(t.Context(), config); err != nil {
				t.Fatal(err)
			}
			log := newTaskLog()
			n := serveTasks(t, store, task.Options{Publisher: log}, task.Type{Name: "fails", Run: func(context.Context, *task.Run) (any, error) {
				return nil, errors.New(strings.Repeat("x", c.bytes))
			}})
			id := n.start(t, "fails", "")
			wantLog(t, log, id, "task_started", "task_failed", "close task_failed")
			if info := n.info(t, id); !strings.HasPrefix(*info.Error, "no room to store the outcome") {
				t.Errorf("error is %.100q", *info.Error)
			}
			rec := task.Record{ID: "large", Type: "t", State: task.Pending, Error: strings.Repeat("x", c.bytes), Created: time.Now()}
			if _, err := store.Submit(t.Context(), rec); !errors.Is(err, task.ErrBusy) {
				t.Errorf("Submit() = %v, want ErrBusy", err)
			}
		})
	}
}
