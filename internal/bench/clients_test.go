package bench

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWhatWasSentToStreams(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		sent sent
		list []int64
		sum  int64
	}{
		{"nothing", sent{}, []int64{0}, 0},
		{"the same to all", sent{each: 5}, []int64{5}, 15},
		{"by id", sent{byID: []int64{9, 1, 9, 2, 9, 3}}, []int64{1, 2, 3}, 6},
		{"some are not read", sent{each: 5, stalled: map[int]int64{3: 2, 4: 0}}, []int64{5}, 12},
	} {
		list, sum := tt.sent.to([]int{1, 3, 5})
		if diff := cmp.Diff(tt.list, list); diff != "" || sum != tt.sum {
			t.Errorf("%s: sum %d, want %d; list (-want +got):\n%s", tt.name, sum, tt.sum, diff)
		}
	}
}

func TestStalledStreamsLoseNothing(t *testing.T) {
	t.Parallel()
	var all tally
	boxes := []*inbox{{id: 0}, {id: 1, stalled: true}, {id: 2}}
	for _, c := range boxes[:2] {
		if _, err := c.take(&all, nil, []byte("data: 1 -1 5 .\n\n: heartbeat\n\n")); err != nil {
			t.Fatal(err)
		}
	}
	got := all.sum([]int64{1}, func(yield func(*inbox) bool) {
		for _, c := range boxes {
			if !yield(c) {
				return
			}
		}
	})
	if want := (faults{Lost: 1}); got.Faults != want || got.Events != 2 || got.Beats != 2 || len(got.Samples) != 1 {
		t.Errorf("reported %+v, want one lost event, of stream 2", got)
	}
}
