package taskstore

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"tidegate/task"
)

// TestX12ALargeResultIsReadPieceByPiece: whoever reads a result slowly holds one
// piece of it, and no consumer of the store.
func TestX12ALargeResultIsReadPieceByPiece(t *testing.T) {
	t.Parallel()
	s := newTasks(t, openEngine(t, t.TempDir()), Options{})
	want := `"` + strings.Repeat("result ", 200_000) + `"`
	rec, err := s.Submit(t.Context(), task.Record{ID: "large", Type: "t", State: task.Pending, MaxAttempts: 1, Created: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	rec.State, rec.Result, rec.Ended = task.Completed, json.RawMessage(want), time.Now()
	if rec, err = s.Update(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	got, result, err := s.OpenResult(t.Context(), "large")
	if err != nil || result == nil || result.Size != int64(len(want)) || got.Result != nil || got.State != task.Completed {
		t.Fatalf("opened: %+v, %d bytes in the record, %v", result, len(got.Result), err)
	}
	first := make([]byte, 1000)
	if _, err := io.ReadFull(result, first); err != nil {
		t.Fatal(err)
	}
	if held := len(result.Reader.(*chunkReader).rest); held > maxChunk {
		t.Errorf("%d bytes are held after the first 1000, want %d at most", held, maxChunk)
	}
	rest, err := io.ReadAll(result)
	if err != nil || string(first)+string(rest) != want {
		t.Errorf("read %d bytes, %v; want %d", len(rest)+1000, err, len(want))
	}
	// Removed while somebody reads: that is no end.
	_, result, err = s.OpenResult(t.Context(), "large")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(result); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the rest of a removed result: %v, want an error", err)
	}
}
