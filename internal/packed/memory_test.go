package packed_test

import (
	"runtime"
	"testing"

	"tidegate/internal/packed"
)

// TestABrowsersRequestTakesLittleMemory measures what a stream costs, its 16
// bytes in the owner and its share of the table included. It runs alone, so
// that nothing else is on the heap.
func TestABrowsersRequestTakesLittleMemory(t *testing.T) {
	const streams, most = 10_000, 220
	before := heap()
	kept := make([]packed.Request, 0, streams)
	s := packed.New(packed.Options{})
	for n := range streams {
		kept = append(kept, s.Pack(browser(t, n)))
	}
	got := float64(heap()-before) / streams
	t.Logf("%.0f bytes a stream; table: %+v", got, s.Stats())
	if got > most {
		t.Errorf("%.0f bytes of heap a stream, want at most %d", got, most)
	}
	check(t, s, kept[streams/2], browser(t, streams/2))
	for _, p := range kept {
		s.Release(p)
	}
	checkEmpty(t, s)
}

// heap is how much of it is in use.
func heap() int64 {
	runtime.GC()
	runtime.GC() // what pools held is gone only after the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func BenchmarkPackAndRelease(b *testing.B) {
	s := packed.New(packed.Options{})
	r := browser(b, 1)
	s.Pack(r)
	s.Pack(r)
	b.Run("pack", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s.Pack(r)
		}
	})
	b.Run("release", func(b *testing.B) {
		kept := make([]packed.Request, 0, 1024)
		b.ReportAllocs()
		for b.Loop() {
			if len(kept) == 0 {
				b.StopTimer()
				for range cap(kept) {
					kept = append(kept, s.Pack(r))
				}
				b.StartTimer()
			}
			s.Release(kept[len(kept)-1])
			kept = kept[:len(kept)-1]
		}
	})
	b.Run("pack and release by all", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				s.Release(s.Pack(r))
			}
		})
	})
}

func BenchmarkPackUnique(b *testing.B) {
	s := packed.New(packed.Options{})
	r, raw := unique(1, 64<<10)
	b.SetBytes(int64(raw))
	b.ReportAllocs()
	for b.Loop() {
		s.Release(s.Pack(r))
	}
}

func BenchmarkAppendJSON(b *testing.B) {
	s := packed.New(packed.Options{})
	var p packed.Request
	for range 2 {
		p = s.Pack(browser(b, 1))
	}
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = s.AppendJSON(dst[:0], p)
	}
}

func BenchmarkUnpack(b *testing.B) {
	s := packed.New(packed.Options{})
	var p packed.Request
	for range 2 {
		p = s.Pack(browser(b, 1))
	}
	b.ReportAllocs()
	for b.Loop() {
		s.Unpack(p)
	}
}
