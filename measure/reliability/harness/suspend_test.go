package harness

import "testing"

func TestTheStateOfAThreadIsReadBehindItsName(t *testing.T) {
	t.Parallel()
	for stat, want := range map[string]byte{
		"12 (tidegate) T 1 12": 'T', "12 (tidegate) S 1 12": 'S', "12 (a) T (b)) R 1": 'R', "12 (x)": 0, "": 0,
	} {
		if got := state([]byte(stat)); got != want {
			t.Errorf("state(%q) = %q, want %q", stat, got, want)
		}
	}
}
