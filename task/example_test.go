package task_test

import (
	"context"
	"fmt"

	"tidegate/task"
)

// printer is a Publisher that prints, and tells when a log has ended.
type printer struct{ ended chan struct{} }

func (p printer) Publish(_ context.Context, _ string, events []task.Event) error {
	for _, ev := range events {
		if ev.Close {
			fmt.Printf("%s %s\n", ev.Name, ev.Data)
			close(p.ended)
		}
	}
	return nil
}

func Example() {
	logs := printer{ended: make(chan struct{})}
	svc, err := task.New(task.Options{Publisher: logs})
	if err != nil {
		panic(err)
	}
	err = svc.Register(task.Type{Name: "count", Run: func(_ context.Context, run *task.Run) (any, error) {
		for i := range 3 {
			if err := run.Progress(task.Progress{Text: fmt.Sprint("at ", i), Value: new(float64(i) / 3)}); err != nil {
				return nil, err
			}
		}
		return map[string]int{"counted": 3}, nil
	}})
	if err != nil {
		panic(err)
	}

	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan error)
	go func() { stopped <- svc.Run(ctx) }()

	info, err := svc.Start(context.Background(), "count", nil)
	if err != nil {
		panic(err)
	}
	<-logs.ended
	info, _ = svc.Get(context.Background(), info.ID)
	fmt.Printf("%s %s\n", info.Status, info.Result)

	stop()
	if err := <-stopped; err != nil {
		panic(err)
	}
	// Output:
	// connection_close {"reason":"task_completed"}
	// completed {"counted":3}
}
