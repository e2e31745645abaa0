package packed

import "testing"

// TestLinesOfOneHashAreKeptApart: two lines may have the same 64 bits, and two may have
// the same text and another border between name and value. Neither gets the other's
// place.
func TestLinesOfOneHashAreKeptApart(t *testing.T) {
	t.Parallel()
	table := newTable(8, 1<<10)
	claim := func(name, value string) uint32 {
		fields := []field{{value: uint32(len(name)), end: uint32(len(name + value)), hash: 1}}
		table.claim([]byte(name+value), fields)
		return fields[0].tag
	}
	claim("name", "value") // its first sight
	if tag := claim("name", "value"); tag != firstRef {
		t.Fatalf("the second sight has tag %d, want the first place, %d", tag, firstRef)
	}
	for name, value := range map[string]string{"name": "other", "nam": "evalue", "namevalue": ""} {
		if tag := claim(name, value); tag != 0 {
			t.Errorf("%q with %q has tag %d: it would be read as name with value", name, value, tag)
		}
	}
	if tag := claim("name", "value"); tag != firstRef {
		t.Errorf("the line itself has tag %d then", tag)
	}
}
