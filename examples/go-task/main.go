// Go-task runs a task of its own in this process and shows its progress through a
// gateway: package task does the work, a Publisher of 30 lines sends its events.
//
//	tidegate serve &
//	go run ./examples/go-task
//	tidegate listen "http://localhost:8080/api/sse/tasks?task_id=ID"  # the ID that it printed
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"tidegate/task"
)

// gateway appends a task's events to its topic, one message a line.
type gateway struct{ send string }

// Publish implements task.Publisher. It is called again with the same events
// until it succeeds; their keys make the repeats harmless.
func (g gateway) Publish(ctx context.Context, taskID string, events []task.Event) error {
	type event struct {
		Name string `json:"name"`
		Data string `json:"data"`
	}
	var lines bytes.Buffer
	for _, e := range events {
		line := struct {
			Topic string `json:"topic"`
			Event event  `json:"event"`
			Close bool   `json:"close,omitempty"`
			Key   string `json:"idempotency_key"`
		}{"task:" + taskID, event{e.Name, string(e.Data)}, e.Close, e.Key}
		if err := json.NewEncoder(&lines).Encode(line); err != nil {
			return err
		}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, g.send, &lines)
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-ndjson")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	for decoder := json.NewDecoder(answer.Body); decoder.More(); {
		var told struct {
			Code int `json:"code"`
		}
		if err := decoder.Decode(&told); err != nil {
			return err
		}
		if told.Code != http.StatusOK {
			return fmt.Errorf("gateway answered %d", told.Code)
		}
	}
	return nil
}

func main() {
	server := flag.String("server", "http://127.0.0.1:8081", "URL of the gateway's internal listener")
	flag.Parse()
	if err := run(*server); err != nil {
		log.SetFlags(0)
		log.Fatal("go-task: ", err)
	}
}

func run(server string) error {
	service, err := task.New(task.Options{Publisher: gateway{server + "/internal/send"}})
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
