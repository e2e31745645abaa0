package topic_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"tidegate/internal/topic"
)

// TestX37TheBoundCountsWhatIsHeld: not only the texts of events, which for small ones
// are the least of it.
func TestX37TheBoundCountsWhatIsHeld(t *testing.T) { // not parallel: it looks at the heap
	const bound = 16 << 20
	for _, tt := range []struct{ size, topics int }{{1, 100}, {20, 50_000}, {256, 1000}, {5000, 2000}, {100_000, 10}} {
		t.Run(fmt.Sprintf("%d bytes in %d topics", tt.size, tt.topics), func(t *testing.T) {
			before := heapInUse()
			h := topic.New(topic.Options{Default: topic.Retention{Events: 100_000}, MaxBytes: bound})
			data := strings.Repeat("x", tt.size)
			for i := 0; h.Stats().Dropped[topic.DropMemory] < 1000; i++ {
				if _, err := h.Publish(context.Background(), topic.Publication{Topic: fmt.Sprint("task:", i%tt.topics), HasEvent: true, Data: data}); err != nil {
					t.Fatal(err)
				}
			}
			took := heapInUse() - before
			t.Logf("%.1f MiB", float64(took)/(1<<20))
			if took > bound*3/2 || took < bound/2 {
				t.Errorf("%d bytes are in use, and the bound is %d", took, bound)
			}
			runtime.KeepAlive(h)
		})
	}
}

func heapInUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
