package stream_test

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"tidegate/internal/stream"
)

// ordered are items "1", "2" … with that order.
func ordered(kind stream.Kind, order ...uint64) (items []stream.Item) {
	for _, n := range order {
		items = append(items, stream.Item{Frame: stream.FrameOf(fmt.Appendf(nil, "data: %d\n\n", n), n), Kind: kind})
	}
	return items
}

// written is what a stream writes when it is ended and served.
func written(s *session) string {
	s.t.Helper()
	s.end(closed, nil)
	w := httptest.NewRecorder()
	s.serve(w, httptest.NewRequest("GET", "/", nil), nil)
	if s.why != closed {
		s.t.Errorf("Ended = %+v, want %+v", s.why, closed)
	}
	text := strings.ReplaceAll(w.Body.String(), "data: ", "")
	return strings.Join(strings.Fields(text), " ")
}

func TestMergePutsFramesInTheirPlace(t *testing.T) {
	t.Parallel()
	e := stream.NewEngine(stream.Options{NoParking: true})
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
		s := newSession(t, e)
		if err := errors.Join(s.Merge(ordered(stream.Replay, tt.waiting...)), s.Merge(ordered(stream.Replay, tt.more...))); err != nil {
			t.Fatal(err)
		}
		if got := written(s); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestMergeLeavesDirectFramesInTheirOrder(t *testing.T) {
	t.Parallel()
	s := newSession(t, stream.NewEngine(stream.Options{NoParking: true}))
	s.takes(direct("first"))
	_ = s.Merge(ordered(stream.Replay, 5, 6))
	s.takes(direct("second"), ordered(stream.Live, 8)[0])
	pending := s.Pending()
	_ = s.Merge(ordered(stream.Replay, 4, 7, 9))
	if s.Pending() != pending || s.Undelivered() != 2 || !s.HasEvents() {
		t.Errorf("%d pending, %d undelivered; want %d and 2", s.Pending(), s.Undelivered(), pending)
	}
	if got, want := written(s), "first 4 5 6 second 7 8 9"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := s.Merge(ordered(stream.Replay, 1)); !errors.Is(err, stream.ErrEnded) {
		t.Errorf("Merge after the end: %v, want ErrEnded", err)
	}
}

func TestMergeKeepsTheTwoPartsOfABlockTogether(t *testing.T) {
	t.Parallel()
	s := newSession(t, stream.NewEngine(stream.Options{NoParking: true}))
	whole := ordered(stream.Replay, 2)[0].Frame
	head, rest := whole.WithHead([]byte("id: 2\n"), 0)
	_ = s.Merge(ordered(stream.Replay, 1, 3))
	_ = s.Merge([]stream.Item{{Frame: head, Kind: stream.Control}, {Frame: rest, Kind: stream.Replay}})
	if got, want := written(s), "1 id: 2 2 3"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
