package bench

import "testing"

func TestCheckerSeesWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		seen []int64
		sent int64
		want faults
	}{
		{"nothing sent", nil, 0, faults{}},
		{"all in order", []int64{1, 2, 3}, 3, faults{}},
		{"nothing came", nil, 3, faults{Lost: 3}},
		{"first lost", []int64{2, 3}, 3, faults{Lost: 1}},
		{"some in the middle lost", []int64{1, 4, 5}, 5, faults{Lost: 2}},
		{"last lost", []int64{1, 2}, 3, faults{Lost: 1}},
		{"repeat at once", []int64{1, 2, 2, 3}, 3, faults{Repeated: 1}},
		{"repeat of an old one", []int64{1, 2, 3, 1}, 3, faults{Repeated: 1}},
		{"two swapped", []int64{1, 3, 2, 4}, 4, faults{Reordered: 1}},
		{"one far too late", []int64{2, 3, 4, 1}, 4, faults{Reordered: 1}},
		{"swapped, then repeated", []int64{2, 1, 1}, 2, faults{Reordered: 1, Repeated: 1}},
		{"more than was sent", []int64{1, 2, 3}, 2, faults{Alien: 1}},
		{"a number from nowhere", []int64{1, 1 << 40, 2}, 2, faults{Alien: 1}},
		{"all at once", []int64{1, 3, 3, 2, 6}, 7, faults{Lost: 3, Repeated: 1, Reordered: 1}},
	} {
		var c checker
		for _, seq := range tt.seen {
			c.see(seq)
		}
		if got := c.finish(tt.sent); got != tt.want {
			t.Errorf("%s: %v of %d: %v, want %v", tt.name, tt.seen, tt.sent, got, tt.want)
		}
	}
}

func TestFaultsAddUp(t *testing.T) {
	t.Parallel()
	got := faults{Lost: 1, Repeated: 2, Reordered: 3, Misled: 4, Alien: 5, Cut: 6}
	got.add(got)
	if want := (faults{2, 4, 6, 8, 10, 12}); got != want {
		t.Errorf("twice the faults = %v, want %v", got, want)
	}
}
