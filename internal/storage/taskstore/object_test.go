package taskstore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"tidegate/internal/backoff"
	"tidegate/internal/storage/nats"
	"tidegate/internal/storage/natstest"
	"tidegate/task"
)

// leftInResults is how many messages the object store of s consists of.
func leftInResults(t *testing.T, s *Store) uint64 {
	t.Helper()
	stream, err := s.e.JetStream().Stream(t.Context(), objectStreams+s.e.StreamName("RESULTS"))
	if err != nil {
		t.Fatal(err)
	}
	info, err := stream.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return info.State.Msgs
}

// withLarge stores a task with parameters that are an object.
func withLarge(t *testing.T, s *Store, id string) task.Record {
	t.Helper()
	rec, err := s.Submit(t.Context(), task.Record{
		ID: id, Type: "t", Params: json.RawMessage(`"` + strings.Repeat("p", 1<<20) + `"`),
		State: task.Pending, MaxAttempts: 1, Created: time.Now(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// readerFunc is a reader that is a function.
type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestAnUploadThatIsBrokenOffLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	s := newTasks(t, openEngine(t, t.TempDir()), Options{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	chunks := 0
	err := s.upload(ctx, "id.result.x", 64<<20, readerFunc(func(p []byte) (int, error) {
		if chunks++; chunks == 20 {
			cancel()
		}
		return len(p), nil
	}))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("upload() = %v, want the end of its context", err)
	}
	if n := leftInResults(t, s); n != 0 {
		t.Errorf("%d messages are left of it", n)
	}
}

// TestALargePartMayTakeLongerThanASmallOne has a source that needs longer than any
// call of the store may.
func TestALargePartMayTakeLongerThanASmallOne(t *testing.T) {
	t.Parallel()
	const size = 4 << 20
	s := newTasks(t, openEngine(t, t.TempDir()), short)
	source := io.LimitReader(readerFunc(func(p []byte) (int, error) {
		_ = backoff.Wait(t.Context(), short.Timeout/16)
		return len(p), nil
	}), size)
	begun := time.Now()
	if err := s.upload(t.Context(), "id.result.x", size, source); err != nil {
		t.Fatalf("upload() = %v after %v", err, time.Since(begun))
	}
	if data, err := s.download(t.Context(), "id.result.x"); err != nil || !bytes.Equal(data, make([]byte, size)) {
		t.Errorf("download() = %d bytes, %v; want %d", len(data), err, size)
	}
}

func TestLargePartsFitAServerThatTakesSmallMessages(t *testing.T) {
	t.Parallel()
	e := openWith(t, nats.Options{URLs: []string{natstest.StartServer(t, "max_payload: 64KB")}, MaxBody: 32 << 10})
	s := newTasks(t, e, Options{})
	want := withLarge(t, s, "large")
	if rec, err := s.Load(t.Context(), "large"); err != nil || !bytes.Equal(rec.Params, want.Params) {
		t.Errorf("task has parameters of %d bytes, %v; want %d", len(rec.Params), err, len(want.Params))
	}
}

// TestPartsOfATaskThatIsOverLeaveNothingBehind: not even a message that says that they
// are deleted.
func TestPartsOfATaskThatIsOverLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	s := newTasks(t, openEngine(t, t.TempDir()), Options{})
	rec := withLarge(t, s, "large")
	if n := leftInResults(t, s); n < 2 {
		t.Fatalf("parameters have %d messages", n)
	}
	rec.State, rec.Params, rec.Ended, rec.Retention = task.Cancelled, nil, time.Now(), time.Hour
	if _, err := s.Update(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	if n := leftInResults(t, s); n != 0 {
		t.Errorf("%d messages are left", n)
	}
}
