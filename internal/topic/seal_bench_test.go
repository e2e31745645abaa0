package topic

import "testing"

// BenchmarkSeal is what each id costs.
func BenchmarkSeal(b *testing.B) {
	s := newSealer("secret", testGeneration)
	buf := make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		s.append(buf, position{seq: 12345, at: 1_700_000_000_000_000_000})
	}
}
