package segments

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"tidegate/internal/topic"
)

// BenchmarkPublish is what a hub pays for a log: an event at a time, and batches.
func BenchmarkPublish(b *testing.B) {
	for _, batch := range []int{1, 100} {
		for _, durable := range []bool{false, true} {
			b.Run(fmt.Sprintf("batch=%d/durable=%v", batch, durable), func(b *testing.B) {
				hub := topic.New(topic.Options{Default: topic.Retention{Events: 100}})
				if durable {
					hub = durableHub(b)
				}
				some := make([]topic.Publication, batch)
				data := strings.Repeat("x", 256)
				b.ReportAllocs()
				for n := 0; b.Loop(); n++ {
					for i := range some {
						some[i] = topic.Publication{Topic: fmt.Sprint("task:", (n*batch+i)%800), HasEvent: true, Data: data}
					}
					if batch == 1 {
						if _, err := hub.Publish(context.Background(), some[0]); err != nil {
							b.Fatal(err)
						}
						continue
					}
					hub.PublishAll(context.Background(), some)
				}
			})
		}
	}
}

func durableHub(b *testing.B) *topic.Hub {
	l, err := Open(b.Context(), Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	hub := topic.New(topic.Options{Default: topic.Retention{Events: 100}, Store: l, Generation: l.Generation()})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = l.Run(ctx, hub) })
	if err := l.Caught(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { cancel(); wg.Wait(); _ = l.Close() })
	return hub
}
