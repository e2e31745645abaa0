package eventlog

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"tidegate/internal/storage/nats"
	"tidegate/internal/topic"
)

// embeddedLog is a log on a server in this process.
func embeddedLog(b *testing.B) *logNode {
	b.Helper()
	e, err := nats.Open(b.Context(), nats.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(e.Close)
	return runLog(b, e, makeEV(b, e, 1), Options{})
}

var benchBody = strings.Repeat("x", 256)

func BenchmarkAppend(b *testing.B) {
	for _, goroutines := range []int{1, 64} {
		b.Run(fmt.Sprintf("goroutines=%d", goroutines), func(b *testing.B) {
			n := embeddedLog(b)
			b.ReportAllocs()
			var topics atomic.Int64
			b.SetParallelism(max(goroutines/2, 1))
			work := func(more func() bool) {
				last, name := uint64(0), fmt.Sprint("topic", topics.Add(1))
				for i := uint64(1); more(); i++ {
					got, err := n.Append(context.Background(), topic.Entry{
						Topic: name, Name: "n", Data: benchBody, HasEvent: true, Number: i, Prev: last,
					})
					if err != nil {
						b.Error(err)
						return
					}
					last = got.Seq
				}
			}
			if goroutines == 1 {
				work(b.Loop)
				return
			}
			b.RunParallel(func(pb *testing.PB) { work(pb.Next) })
		})
	}
}

// BenchmarkRead reads one of many topics whose events came in turn.
func BenchmarkRead(b *testing.B) {
	const stored = 10_000
	for _, events := range []int{10, 1000} {
		b.Run(fmt.Sprintf("events=%d", events), func(b *testing.B) {
			n := embeddedLog(b)
			for i := range stored {
				if _, err := n.append(b.Context(), fmt.Sprint("topic", i%(stored/events)), benchBody); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				count := 0
				err := n.Read(b.Context(), "topic3", 1, 1<<40, func(topic.Stored) error { count++; return nil })
				if err != nil || count != events {
					b.Fatalf("%d events, %v", count, err)
				}
			}
		})
	}
}

// BenchmarkTail is how long it takes to be given a log of 20,000 events.
func BenchmarkTail(b *testing.B) {
	n := embeddedLog(b)
	for i := range 20_000 {
		if _, err := n.append(b.Context(), fmt.Sprint("topic", i%100), benchBody); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		late := runLog(b, n.e, n.ev, Options{})
		late.stop()
	}
}

// BenchmarkAppendAll stores events 100 at a time, from one and from 8 callers; for
// each event.
func BenchmarkAppendAll(b *testing.B) {
	const batch = 100
	for _, callers := range []int{1, 8} {
		for _, topics := range []int{100, 1} {
			b.Run(fmt.Sprintf("callers=%d/topics=%d", callers, topics), func(b *testing.B) {
				n := embeddedLog(b)
				b.ReportAllocs()
				var left, names atomic.Int64
				left.Store(int64(b.N))
				var working sync.WaitGroup
				for range callers {
					working.Go(func() { appendBatches(b, n, fmt.Sprint("caller", names.Add(1)), &left, batch, topics) })
				}
				working.Wait()
			})
		}
	}
}

// appendBatches appends until nothing is left, to topics of its own.
func appendBatches(b *testing.B, n *logNode, name string, left *atomic.Int64, batch, topics int) {
	last := make([]topic.Appended, topics)
	number := uint64(0)
	entries := make([]topic.Entry, batch)
	for left.Add(int64(-batch)) > int64(-batch) {
		for i := range entries {
			number++
			entries[i] = topic.Entry{
				Topic: fmt.Sprint(name, i%topics), Name: "n", Data: benchBody, HasEvent: true, Number: number, Prev: last[i%topics].Seq,
			}
		}
		for i, r := range n.AppendAll(context.Background(), entries) {
			if r.Err != nil {
				b.Error(r.Err)
				return
			}
			last[i%topics] = r.Appended
		}
	}
}
