package packed_test

import (
	"fmt"
	"testing"

	"tidegate/internal/packed"
)

// TestNothingIsAllocatedForALine is about a request with a hundred of them. A
// pool is part of it that, under the race detector, forgets some of what it is
// given; so what is counted is not the one object that the result is.
func TestNothingIsAllocatedForALine(t *testing.T) {
	const lines = 100
	s := packed.New(packed.Options{})
	r := browser(t, 3)
	for i := range lines {
		r.Header.Set(fmt.Sprint("X-Of-Our-Own-", i), "value")
	}
	kept := []packed.Request{s.Pack(r), s.Pack(r)}
	if got := testing.AllocsPerRun(100, func() { kept = append(kept[:1], s.Pack(r)) }); got >= lines/2 {
		t.Errorf("Pack makes %v objects for %d lines", got, lines)
	}
	p, dst := s.Pack(r), make([]byte, 0, 16<<10)
	if got := testing.AllocsPerRun(100, func() { dst = s.AppendJSON(dst[:0], p) }); got >= lines/2 {
		t.Errorf("AppendJSON makes %v objects for %d lines", got, lines)
	}
	if got := testing.AllocsPerRun(100, func() { s.Release(s.Pack(r)) }); got >= lines/2 {
		t.Errorf("Pack and Release make %v objects for %d lines", got, lines)
	}
}
