// Go-task runs a task of its own in this process and shows its progress through a
// gateway: package task does the work, package publish sends its events.
//
//	tidegate serve &
//	go run ./examples/go-task
//	tidegate listen "http://localhost:8080/api/sse/tasks?task_id=ID"  # the ID that it printed
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"time"

	"tidegate/client"
	"tidegate/task"
	"tidegate/task/publish"
)

func main() {
	server := flag.String("server", "http://127.0.0.1:8081", "URL of the gateway's internal listener")
	flag.Parse()
	if err := run(*server); err != nil {
		log.SetFlags(0)
		log.Fatal("go-task: ", err)
	}
}

func run(server string) error {
	tide, err := client.New(client.Options{URL: server, Secret: os.Getenv("TIDEGATE_INTERNAL_SECRET")})
	if err != nil {
		return err
	}
	service, err := task.New(task.Options{Publisher: publish.New(publish.Options{Client: tide})})
	if err != nil {
		return err
	}
	err = service.Register(task.Type{Name: "squares", Run: func(ctx context.Context, run *task.Run) (any, error) {
		sum := 0
		for i := range 5 {
			sum += i * i
			if err := run.Progress(task.Progress{Text: fmt.Sprintf("%d² = %d", i, i*i), Value: new(float64(i+1) / 5)}); err != nil {
				return nil, err
			}
		}
		return map[string]int{"sum": sum}, nil
	}})
	if err != nil {
		return err
	}
	started, err := service.Start(context.Background(), "squares", nil)
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, "task:"+started.ID)

	// Drain waits for the task and for its last event.
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- service.Run(ctx) }()
	patience, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	service.Drain(patience)
	stop()
	return <-ended
}
