package task

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Bounds of the parameters of the two types below.
const (
	maxDemoSteps = 1_000_000
	maxDemoDelay = 3600 // seconds
)

// Demo is the type demo_task, which counts steps and does nothing else. Its
// parameters, all optional: message (a string, default "default message"), delay
// (seconds before each step, 0 to 3600, default 0.1) and steps (a whole number up
// to 1000000, default 3; 0 and less complete at once). Its result is
// {"message", "steps_completed", "status": "success"}.
func Demo() Type { return typed(Type{Name: "demo_task"}, runDemo) }

type demoParams struct {
	Message string  `json:"message"`
	Delay   float64 `json:"delay"`
	Steps   int     `json:"steps"`
}

// SetDefaults is called before parameters decode; see [Register].
func (p *demoParams) SetDefaults() { *p = demoParams{"default message", 0.1, 3} }

// Validate is called after.
func (p *demoParams) Validate() error {
	if p.Steps > maxDemoSteps {
		return fmt.Errorf("steps is %d, may be %d", p.Steps, maxDemoSteps)
	}
	return checkDelay(p.Delay)
}

type demoResult struct {
	Message   string `json:"message"`
	Completed int    `json:"steps_completed"`
	Status    string `json:"status"`
}

func runDemo(ctx context.Context, run *Run, p demoParams) (any, error) {
	if err := run.Progress(Progress{Text: "Starting test task", Value: new(0.0)}); err != nil {
		return nil, err
	}
	for i := range p.Steps {
		if err := pauseFor(ctx, p.Delay); err != nil {
			return nil, err
		}
		text := fmt.Sprintf("Step %d/%d", i+1, p.Steps)
		if err := run.Progress(Progress{Text: text, Value: new(float64(i+1) / float64(p.Steps))}); err != nil {
			return nil, err
		}
	}
	return demoResult{p.Message, max(p.Steps, 0), "success"}, nil
}

// Failing is the type failing_task, which fails. Its parameters, all optional:
// error_message (a string, default "Test error") and delay (seconds before it
// fails, 0 to 3600, default 0.1).
func Failing() Type { return typed(Type{Name: "failing_task"}, runFailing) }

type failingParams struct {
	ErrorMessage string  `json:"error_message"`
	Delay        float64 `json:"delay"`
}

func (p *failingParams) SetDefaults() { *p = failingParams{"Test error", 0.1} }

func (p *failingParams) Validate() error { return checkDelay(p.Delay) }

func runFailing(ctx context.Context, run *Run, p failingParams) (any, error) {
	if err := run.Progress(Progress{Text: "Starting failing task", Value: new(0.0)}); err != nil {
		return nil, err
	}
	if err := pauseFor(ctx, p.Delay); err != nil {
		return nil, err
	}
	return nil, errors.New(p.ErrorMessage)
}

func checkDelay(seconds float64) error {
	if seconds < 0 || seconds > maxDemoDelay {
		return fmt.Errorf("delay is %v, must be 0 to %d seconds", seconds, maxDemoDelay)
	}
	return nil
}

// pauseFor waits for some seconds, or returns the cause of ctx's end. Without
// seconds it does not wait at all.
func pauseFor(ctx context.Context, seconds float64) error {
	if seconds > 0 && !sleep(ctx, time.Duration(seconds*float64(time.Second))) {
		return context.Cause(ctx)
	}
	return nil
}
