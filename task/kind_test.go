package task_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"tidegate/task"
)

type resizeParams struct {
	Name  string  `json:"name"`
	Width int     `json:"width,omitzero"`
	Scale float64 `json:"scale"`
}

func (p *resizeParams) SetDefaults() { p.Width = 100 }

func (p resizeParams) Validate() error {
	if p.Width < 1 {
		return fmt.Errorf("width is %d, must be 1 or more", p.Width)
	}
	return nil
}

type resized struct {
	Name  string `json:"name"`
	Width int    `json:"width"`
}

// registerResize registers a typed kind with a check of its own.
func registerResize(t *testing.T, svc *task.Service) *task.Kind[resizeParams, *resized] {
	t.Helper()
	typ := task.Type{Name: "resize", Check: func(raw json.RawMessage) error {
		if strings.Contains(string(raw), "forbidden") {
			return errors.New("that name is forbidden")
		}
		return nil
	}}
	kind, err := task.Register(svc, typ, func(_ context.Context, run *task.Run, p resizeParams) (*resized, error) {
		if p.Name == "" {
			return nil, errors.New("no name")
		}
		return &resized{p.Name, p.Width}, run.Progress(task.Progress{Text: p.Name})
	})
	if err != nil {
		t.Fatal(err)
	}
	return kind
}

func TestTypedTasks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := prepare(t, task.Options{})
		resize := registerResize(t, b.Service)
		other, err := task.Register(b.Service, task.Type{Name: "other"}, func(context.Context, *task.Run, struct{}) (any, error) { return nil, nil })
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		go func() { _ = b.Run(ctx) }()
		defer stop()

		for params, want := range map[resizeParams]resized{
			{Name: "a"}:           {"a", 100},
			{Name: "a", Width: 7}: {"a", 7},
		} {
			info, err := resize.Start(t.Context(), params)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := resize.Wait(t.Context(), info.ID); err != nil || *got != want {
				t.Errorf("Wait() = %v, %v; want %v", got, err, want)
			}
			if _, err := other.Wait(t.Context(), info.ID); !errors.Is(err, task.ErrNotFound) {
				t.Errorf("Wait of another type = %v, want ErrNotFound", err)
			}
		}
		info, err := resize.Start(t.Context(), resizeParams{})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := resize.Wait(t.Context(), info.ID); got != nil || err == nil || !strings.HasSuffix(err.Error(), "failed: no name") {
			t.Errorf("Wait() = %v, %v", got, err)
		}
		if info, err = other.Start(t.Context(), struct{}{}); err != nil {
			t.Fatal(err)
		}
		if got, err := other.Wait(t.Context(), info.ID); got != nil || err != nil {
			t.Errorf("Wait of a task without a result = %v, %v", got, err)
		}
		if resize.Name() != "resize" {
			t.Errorf("Name() = %q", resize.Name())
		}
	})
}

func TestParametersOfTypedTasksAreChecked(t *testing.T) {
	t.Parallel()
	b := prepare(t, task.Options{})
	registerResize(t, b.Service)
	for params, want := range map[string]string{
		`{"name":"a","wide":1}`: "wide",
		`{"name":1}`:            "name must be a string, not number",
		`{"width":1.5}`:         "width must be a whole number",
		`{"width":0}`:           "width is 0, must be 1 or more",
		`{"name":"forbidden"}`:  "that name is forbidden",
		`[]`:                    "must be a JSON object",
	} {
		if _, err := b.Start(t.Context(), "resize", json.RawMessage(params)); !errors.Is(err, task.ErrBadParams) || !strings.Contains(err.Error(), want) {
			t.Errorf("Start(%s) = %v, want ErrBadParams with %q", params, err, want)
		}
	}
}

// TestTypedTasksWithAPointer: the methods of what P points to count as those of P do.
func TestTypedTasksWithAPointer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := prepare(t, task.Options{})
		resize, err := task.Register(b.Service, task.Type{Name: "resize"}, func(_ context.Context, _ *task.Run, p *resizeParams) (int, error) {
			return p.Width, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		go func() { _ = b.Run(ctx) }()
		defer stop()
		for _, params := range []*resizeParams{nil, {Name: "a"}} {
			info, err := resize.Start(t.Context(), params)
			if err != nil {
				t.Fatal(err)
			}
			if width, err := resize.Wait(t.Context(), info.ID); err != nil || width != 100 {
				t.Errorf("Wait() = %d, %v; want the default, 100", width, err)
			}
		}
		if _, err := resize.Start(t.Context(), &resizeParams{Width: -1}); !errors.Is(err, task.ErrBadParams) {
			t.Errorf("Start with a width of -1 = %v, want ErrBadParams", err)
		}
	})
}

func TestTypedRegisterRefuses(t *testing.T) {
	t.Parallel()
	b := prepare(t, task.Options{})
	run := func(context.Context, *task.Run, struct{}) (int, error) { return 0, nil }
	if _, err := task.Register(b.Service, task.Type{}, run); err == nil {
		t.Error("a type without a name is registered")
	}
	if _, err := task.Register[struct{}, int](b.Service, task.Type{Name: "a"}, nil); err == nil {
		t.Error("a type without a function is registered")
	}
	if _, err := task.Register(b.Service, quick, run); err == nil {
		t.Error("a type with two functions is registered")
	}
	numbers, err := task.Register(b.Service, task.Type{Name: "numbers"}, func(context.Context, *task.Run, int) (int, error) { return 0, nil })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := numbers.Start(t.Context(), 1); !errors.Is(err, task.ErrBadParams) {
		t.Errorf("Start with a number = %v, want ErrBadParams", err)
	}
	functions, err := task.Register(b.Service, task.Type{Name: "functions"}, func(context.Context, *task.Run, func()) (int, error) { return 0, nil })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := functions.Start(t.Context(), nil); !errors.Is(err, task.ErrBadParams) {
		t.Errorf("Start with a function = %v, want ErrBadParams", err)
	}
}
