//go:build !race

package packed_test

import (
	"testing"

	"sluice/internal/packed"
)

// TestOnlyTheResultIsAllocated is not for the race detector, under which
// sync.Pool forgets some of what it is given.
func TestOnlyTheResultIsAllocated(t *testing.T) {
	s := packed.New(packed.Options{})
	r := browser(t, 3)
	r.Header.Set("X-Of-Our-Own", "value")
	kept := []packed.Request{s.Pack(r), s.Pack(r)}
	if got := testing.AllocsPerRun(100, func() { kept = append(kept[:1], s.Pack(r)) }); got != 1 {
		t.Errorf("Pack makes %v objects, want 1", got)
	}
	p, dst := s.Pack(r), make([]byte, 0, 4096)
	if got := testing.AllocsPerRun(100, func() { dst = s.AppendJSON(dst[:0], p) }); got != 0 {
		t.Errorf("AppendJSON makes %v objects, want 0", got)
	}
	if got := testing.AllocsPerRun(100, func() { s.Release(s.Pack(r)) }); got != 1 {
		t.Errorf("Pack and Release make %v objects, want 1", got)
	}
}
