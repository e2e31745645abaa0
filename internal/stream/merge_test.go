package stream_test

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sluice/internal/stream"
)

// ordered are frames "1", "2" … with that order.
func ordered(kind stream.Kind, order ...uint64) (frames []stream.Frame) {
	for _, n := range order {
		f := frame(fmt.Sprint(n), kind)
		f.Order = n
		frames = append(frames, f)
	}
	return frames
}

// written is what a stream writes when it is ended and served.
func written(t *testing.T, s *stream.Stream) string {
	t.Helper()
	s.End(closed, nil)
	w := httptest.NewRecorder()
	if _, clean := s.Serve(w, nil, stream.Options{WriteTimeout: time.Second, Heartbeat: time.Hour}); !clean {
		t.Error("not ended cleanly")
	}
	text := strings.ReplaceAll(w.Body.String(), "data: ", "")
	return strings.Join(strings.Fields(text), " ")
}

func TestMergePutsFramesInTheirPlace(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name          string
		waiting, more []uint64
		want          string
	}{
		{"into nothing", nil, []uint64{1, 2}, "1 2"},
		{"nothing", []uint64{1}, nil, "1"},
		{"behind", []uint64{1, 2}, []uint64{3, 4}, "1 2 3 4"},
		{"in front", []uint64{3, 4}, []uint64{1, 2}, "1 2 3 4"},
		{"between", []uint64{1, 4, 7}, []uint64{2, 3, 5, 9}, "1 2 3 4 5 7 9"},
		{"equal ones behind", []uint64{2, 2, 3}, []uint64{2, 2}, "2 2 2 2 3"},
		{"one without a place in front", []uint64{1, 2}, []uint64{0, 2}, "0 1 2 2"},
	} {
		s := stream.New(t.Context(), maxPending)
		if err := errors.Join(s.Merge(ordered(stream.Replay, tt.waiting...)), s.Merge(ordered(stream.Replay, tt.more...))); err != nil {
			t.Fatal(err)
		}
		if got := written(t, s); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestMergeLeavesDirectFramesInTheirOrder(t *testing.T) {
	t.Parallel()
	s := stream.New(t.Context(), maxPending)
	push(t, s, direct("first"))
	_ = s.Merge(ordered(stream.Replay, 5, 6))
	push(t, s, direct("second"))
	push(t, s, ordered(stream.Live, 8)[0])
	pending := s.Pending()
	_ = s.Merge(ordered(stream.Replay, 4, 7, 9))
	if s.Pending() != pending || s.Undelivered() != 2 || !s.HasEvents() {
		t.Errorf("%d pending, %d undelivered; want %d and 2", s.Pending(), s.Undelivered(), pending)
	}
	if got, want := written(t, s), "first 4 5 6 second 7 8 9"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := s.Merge(ordered(stream.Replay, 1)); !errors.Is(err, stream.ErrEnded) {
		t.Errorf("Merge after the end: %v, want ErrEnded", err)
	}
}
