package task_test

import (
	"context"
	"sync"
	"testing"

	"tidegate/task"
)

// counter is a Publisher that counts the logs that ended.
type counter struct{ ended sync.WaitGroup }

func (c *counter) Publish(_ context.Context, _ string, events []task.Event) error {
	if events[len(events)-1].Close {
		c.ended.Done()
	}
	return nil
}

func benchService(b *testing.B, typ task.Type) (*task.Service, *counter) {
	b.Helper()
	logs := &counter{}
	svc, err := task.New(task.Options{Publisher: logs, QueueLimit: 1 << 30, Workers: 8})
	if err != nil {
		b.Fatal(err)
	}
	if err := svc.Register(typ); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- svc.Run(ctx) }()
	b.Cleanup(func() {
		cancel()
		if err := <-stopped; err != nil {
			b.Error(err)
		}
	})
	return svc, logs
}

// BenchmarkTask is one task from Start to the last event of its log.
func BenchmarkTask(b *testing.B) {
	svc, logs := benchService(b, quick)
	b.ReportAllocs()
	for b.Loop() {
		logs.ended.Add(1)
		if _, err := svc.Start(context.Background(), "quick", nil); err != nil {
			b.Fatal(err)
		}
		logs.ended.Wait()
	}
}

// BenchmarkProgress is one report, published.
func BenchmarkProgress(b *testing.B) {
	b.ReportAllocs()
	svc, logs := benchService(b, typeOf("loops", func(_ context.Context, run *task.Run) (any, error) {
		for b.Loop() {
			if err := run.Progress(task.Progress{Text: "step", Value: new(0.5)}); err != nil {
				return nil, err
			}
		}
		return nil, nil
	}))
	logs.ended.Add(1)
	if _, err := svc.Start(context.Background(), "loops", nil); err != nil {
		b.Fatal(err)
	}
	logs.ended.Wait()
}
