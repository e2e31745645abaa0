package taskstore

import (
	"context"
	"sync"
	"testing"

	"tidegate/task"
)

// endings is a Publisher that counts the logs that ended.
type endings struct{ wg sync.WaitGroup }

func (e *endings) Publish(_ context.Context, _ string, events []task.Event) error {
	if events[len(events)-1].Close {
		e.wg.Done()
	}
	return nil
}

// BenchmarkTasks is whole tasks, from Start to the last event, with 16 callers and
// 16 workers; one operation is one task.
func BenchmarkTasks(b *testing.B) {
	logs := &endings{}
	n := serveTasks(b, newTasks(b, openEngine(b, b.TempDir()), Options{MaxTasks: 1 << 30, MaxPending: 1 << 30}),
		task.Options{Publisher: logs, Workers: 16},
		task.Type{Name: "quick", Run: func(context.Context, *task.Run) (any, error) { return nil, nil }})
	b.ReportAllocs()
	b.SetParallelism(8)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			logs.wg.Add(1)
			if _, err := n.Start(context.Background(), "quick", nil); err != nil {
				b.Error(err)
			}
		}
	})
	logs.wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tasks/s")
}
