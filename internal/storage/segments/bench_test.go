package segments

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"tidegate/internal/topic"
)

func BenchmarkAppend(b *testing.B) {
	for _, power := range []bool{false, true} {
		for _, par := range []int{1, 32} {
			b.Run(fmt.Sprintf("power=%v/senders=%d", power, 2*par), func(b *testing.B) {
				r := start(b, b.TempDir(), func(o *Options) { o.Power = power })
				data := strings.Repeat("x", 256)
				var n atomic.Int64
				b.SetParallelism(par)
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					name := fmt.Sprint("topic:", n.Add(1))
					for pb.Next() {
						r.log.AppendAll(context.Background(), []topic.Entry{entry(name, data)})
						r.hub.given = r.hub.given[:0]
					}
				})
			})
		}
	}
}

// million is a log of 5,000 topics of 200 events each.
func million(b *testing.B) *rig {
	r := start(b, b.TempDir())
	data := strings.Repeat("x", 256)
	batch := make([]topic.Entry, 100)
	for i := range 10_000 {
		for j := range batch {
			batch[j] = entry(fmt.Sprint("task:", (i*100+j)%5000), data)
		}
		r.add(batch...)
		r.hub.given = nil
	}
	return r
}

// BenchmarkRead reads back a topic whose events are far from each other.
func BenchmarkRead(b *testing.B) {
	r := million(b)
	for n := 0; b.Loop(); n++ {
		if got := len(r.all(fmt.Sprint("task:", n*7%5000))); got != 200 {
			b.Fatal(got)
		}
	}
}

// BenchmarkOpen makes the index of a million events.
func BenchmarkOpen(b *testing.B) {
	r := million(b)
	r.stop()
	for b.Loop() {
		l, err := Open(b.Context(), r.opts)
		if err != nil {
			b.Fatal(err)
		}
		if l.index.events != 1_000_000 {
			b.Fatal(l.index.events)
		}
		l.abort()
	}
}
