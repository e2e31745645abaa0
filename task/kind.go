package task

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
)

// Kind is a type of task whose parameters are a P and whose result is an R, both
// in Go. [Register] makes one. It may be used concurrently.
type Kind[P, R any] struct {
	service *Service
	name    string
}

// Register makes a type known, as [Service.Register] does, whose function takes its
// parameters decoded and returns a result that is encoded as JSON. t has the name
// and the settings of the type; its Run must be nil.
//
// Parameters decode strictly, when a task is started and again when it runs. An unknown
// key or a value of the wrong type is [ErrBadParams] with a text that names it.
//
//   - A method SetDefaults() of *P is called before: missing keys keep what it sets.
//   - A method Validate() error of P or *P is called after, also after an error, so that
//     all that is wrong is reported. Its error is ErrBadParams, too.
//   - t.Check is called last, if nothing was wrong.
//
// P must encode to a JSON object: a struct, a pointer to one, or a map.
func Register[P, R any](s *Service, t Type, run func(ctx context.Context, run *Run, params P) (R, error)) (*Kind[P, R], error) {
	if t.Run != nil {
		return nil, fmt.Errorf("task: register %q: the function is given twice", t.Name)
	}
	if run != nil {
		t = typed(t, run)
	}
	if err := s.Register(t); err != nil {
		return nil, err
	}
	return &Kind[P, R]{s, t.Name}, nil
}

// typed completes t with a function that takes decoded parameters.
func typed[P, R any](t Type, run func(context.Context, *Run, P) (R, error)) Type {
	check := t.Check
	t.Check = func(raw json.RawMessage) error {
		if _, err := decode[P](raw); err != nil || check == nil {
			return err
		}
		return check(raw)
	}
	t.Run = func(ctx context.Context, r *Run) (any, error) {
		params, err := decode[P](r.Params())
		if err != nil { // another version of the program has started the task
			return nil, Permanent(fmt.Errorf("%w: %w", ErrBadParams, err))
		}
		return run(ctx, r, params)
	}
	return t
}

// decode decodes parameters between the two methods that a P may have.
func decode[P any](raw json.RawMessage) (P, error) {
	var params P
	target := any(&params) // *P has the methods of P
	if t := reflect.TypeFor[P](); t.Kind() == reflect.Pointer {
		target = reflect.New(t.Elem()).Interface() // a **T would have none
		params = target.(P)
	}
	if p, ok := target.(interface{ SetDefaults() }); ok {
		p.SetDefaults()
	}
	err := DecodeParams(raw, target)
	if p, ok := target.(interface{ Validate() error }); ok {
		err = errors.Join(err, p.Validate())
	}
	return params, err
}

// Name is the name of the type.
func (k *Kind[P, R]) Name() string { return k.name }

// Start is [Service.Start] with parameters that are still to be encoded. A field
// that is zero counts as given, and SetDefaults does not change it, unless its JSON
// tag has omitzero or omitempty.
func (k *Kind[P, R]) Start(ctx context.Context, params P) (Info, error) {
	return k.StartWith(ctx, params, StartOptions{})
}

// StartWith is [Kind.Start] with options.
func (k *Kind[P, R]) StartWith(ctx context.Context, params P, o StartOptions) (Info, error) {
	raw, err := encodeJSON(params)
	if err != nil {
		return Info{}, fmt.Errorf("%w: %w", ErrBadParams, err)
	}
	return k.service.StartWith(ctx, k.name, raw, o)
}

// Wait is [Service.Wait] for a task of this type, and decodes its result. Keys that
// R does not have are ignored.
func (k *Kind[P, R]) Wait(ctx context.Context, id string) (R, error) {
	var result R
	info, err := k.service.Wait(ctx, id)
	switch {
	case err != nil:
		return result, err
	case info.Type != k.name:
		return result, fmt.Errorf("%w: task %s is of type %q, not %q", ErrNotFound, id, info.Type, k.name)
	case info.Result == nil:
		return result, nil
	}
	if err := json.Unmarshal(info.Result, &result); err != nil {
		return result, fmt.Errorf("task: decode the result of %s %s: %w", k.name, id, err)
	}
	return result, nil
}
