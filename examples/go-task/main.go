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

// params and result are what the task takes and returns, as JSON.
type params struct {
	N int `json:"n"`
}

type result struct {
	Sum int `json:"sum"`
}

// squares adds up squares and reports each.
func squares(_ context.Context, run *task.Run, p params) (result, error) {
	var r result
	for i := range p.N {
		r.Sum += i * i
		err := run.Progress(task.Progress{Text: fmt.Sprintf("%d² = %d", i, i*i), Value: new(float64(i+1) / float64(p.N))})
		if err != nil {
			return r, err // cancelled, timed out, or the program ends
		}
	}
	return r, nil
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
	kind, err := task.Register(service, task.Type{Name: "squares"}, squares)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	stopped := make(chan error, 1)
	go func() { stopped <- service.Run(ctx) }()

	started, err := kind.Start(ctx, params{N: 5})
	if err != nil {
		return err
	}
	fmt.Println("task:" + started.ID)
	sum, err := kind.Wait(ctx, started.ID)
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "the sum is", sum.Sum)

	// Drain waits until the gateway has the last event.
	patience, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	service.Drain(patience)
	stop()
	return <-stopped
}
