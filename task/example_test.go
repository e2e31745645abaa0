package task_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"tidegate/task"
)

// CountParams and Counted are what a task of the first example takes and returns.
type CountParams struct {
	Words []string `json:"words"`
}

type Counted struct {
	Letters int `json:"letters"`
}

func countLetters(_ context.Context, run *task.Run, p CountParams) (Counted, error) {
	var sum Counted
	for i, word := range p.Words {
		sum.Letters += len(word)
		err := run.Progress(task.Progress{Text: word, Value: new(float64(i+1) / float64(len(p.Words)))})
		if err != nil {
			return sum, err // the task was cancelled, timed out, or the program ends
		}
	}
	return sum, nil
}

// A program that runs tasks of one kind and waits for one.
func Example() {
	svc, err := task.New(task.Options{})
	if err != nil {
		panic(err)
	}
	count, err := task.Register(svc, task.Type{Name: "count"}, countLetters)
	if err != nil {
		panic(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan error)
	go func() { stopped <- svc.Run(ctx) }()

	started, err := count.Start(ctx, CountParams{Words: []string{"tide", "gate"}})
	if err != nil {
		panic(err)
	}
	result, err := count.Wait(ctx, started.ID)
	fmt.Println(result.Letters, err)

	stop()
	fmt.Println(<-stopped)
	// Output:
	// 8 <nil>
	// <nil>
}

// serveExamples runs a service for one of the examples below.
func serveExamples(types ...task.Type) (svc *task.Service, stop func()) {
	svc, err := task.New(task.Options{})
	if err != nil {
		panic(err)
	}
	for _, t := range types {
		if err := svc.Register(t); err != nil {
			panic(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan error)
	go func() { stopped <- svc.Run(ctx) }()
	return svc, func() {
		cancel()
		if err := <-stopped; err != nil {
			panic(err)
		}
	}
}

// Whoever watches a task gets its whole log, also after its end, or the rest of it
// after a position.
func ExampleService_Watch() {
	ctx := context.Background()
	svc, stop := serveExamples(task.Demo())
	defer stop()
	started, err := svc.Start(ctx, "demo_task", json.RawMessage(`{"steps": 2, "delay": 0}`))
	if err != nil {
		panic(err)
	}

	var position string
	for ev, err := range svc.Watch(ctx, started.ID, "") {
		if err != nil {
			panic(err)
		}
		var data struct {
			Type string `json:"event_type"`
			Data struct {
				Text string `json:"text"`
			} `json:"data"`
		}
		if err := json.Unmarshal(ev.Data, &data); err != nil {
			panic(err)
		}
		fmt.Println(strings.TrimSpace(data.Type + " " + data.Data.Text))
		if data.Type == "task_completed" {
			position = ev.ID
		}
	}
	for ev := range svc.Watch(ctx, started.ID, position) {
		fmt.Printf("after that: %s %s\n", ev.Name, ev.Data)
	}
	// Output:
	// task_started
	// progress_update Starting test task
	// progress_update Step 1/2
	// progress_update Step 2/2
	// task_completed
	//
	// after that: connection_close {"reason":"task_completed"}
}

// The error of Wait says how a task ended that did not complete.
func ExampleService_Wait() {
	ctx := context.Background()
	svc, stop := serveExamples(task.Failing(), task.Demo())
	defer stop()

	failing, err := svc.Start(ctx, "failing_task", json.RawMessage(`{"error_message": "no disk", "delay": 0}`))
	if err != nil {
		panic(err)
	}
	_, err = svc.Wait(ctx, failing.ID)
	if end, ok := errors.AsType[*task.EndError](err); ok {
		fmt.Println(end.State, end.Text)
	}

	slow, err := svc.Start(ctx, "demo_task", json.RawMessage(`{"delay": 60}`))
	if err != nil {
		panic(err)
	}
	if err := svc.Cancel(ctx, slow.ID); err != nil {
		panic(err)
	}
	_, err = svc.Wait(ctx, slow.ID)
	fmt.Println(errors.Is(err, task.ErrCancelled))
	// Output:
	// failed no disk
	// true
}

// ResizeParams has defaults and a check of its own.
type ResizeParams struct {
	File  string `json:"file"`
	Width int    `json:"width"`
}

func (p *ResizeParams) SetDefaults() { p.Width = 800 }

func (p *ResizeParams) Validate() error {
	if p.Width < 1 || p.Width > 10_000 {
		return fmt.Errorf("width is %d, must be 1 to 10000", p.Width)
	}
	return nil
}

// Parameters are checked when a task is started: what is wrong with them is named.
func ExampleRegister() {
	svc, err := task.New(task.Options{})
	if err != nil {
		panic(err)
	}
	resize := func(_ context.Context, _ *task.Run, p ResizeParams) (string, error) {
		return strings.Replace(p.File, ".", fmt.Sprintf("-%d.", p.Width), 1), nil
	}
	if _, err := task.Register(svc, task.Type{Name: "resize", Timeout: time.Minute}, resize); err != nil {
		panic(err)
	}
	for _, params := range []string{`{"file": 1}`, `{"file": "a.png", "widht": 5}`, `{"width": -1}`, `{"file": "a.png"}`} {
		_, err := svc.Start(context.Background(), "resize", json.RawMessage(params))
		fmt.Println(err)
	}
	// Output:
	// task: bad parameters: file must be a string, not number
	// task: bad parameters: json: unknown field "widht"
	// task: bad parameters: width is -1, must be 1 to 10000
	// <nil>
}

// A start with a key can be repeated: by a client that got no answer, say.
func ExampleService_StartWith() {
	ctx := context.Background()
	svc, stop := serveExamples(task.Demo())
	defer stop()

	order := task.StartOptions{Key: "order/42", Priority: task.High}
	first, err := svc.StartWith(ctx, "demo_task", json.RawMessage(`{"steps": 1}`), order)
	if err != nil {
		panic(err)
	}
	again, err := svc.StartWith(ctx, "demo_task", json.RawMessage(`{"steps": 1}`), order)
	fmt.Println(again.ID == first.ID, again.Repeated, err)
	_, err = svc.StartWith(ctx, "demo_task", json.RawMessage(`{"steps": 2}`), order)
	fmt.Println(errors.Is(err, task.ErrKeyConflict))
	// Output:
	// true true <nil>
	// true
}

// A task with attempts left is run again when its function returns an error, unless
// that is marked as permanent.
func ExamplePermanent() {
	ctx := context.Background()
	svc, stop := serveExamples(task.Type{Name: "import", MaxAttempts: 3, Run: func(context.Context, *task.Run) (any, error) {
		return nil, task.Permanent(errors.New("no such table"))
	}})
	defer stop()
	started, err := svc.Start(ctx, "import", nil)
	if err != nil {
		panic(err)
	}
	info, _ := svc.Wait(ctx, started.ID)
	fmt.Println(info.Status, *info.Error, "after attempt", info.Attempt, "of", info.MaxAttempts)
	// Output:
	// failed no such table after attempt 1 of 3
}
