package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"

	"tidegate/task"
)

// service is a task service at work on a store.
type service struct {
	*task.Service
	log  *eventLog
	stop func() error // ends Run and returns what that returned
}

// serve runs a service on a store until the test ends.
func serve(t *testing.T, store task.Store, opts task.Options, types ...task.Type) *service {
	t.Helper()
	log, ok := opts.Publisher.(*eventLog)
	if !ok {
		log = newEventLog()
	}
	opts.Publisher, opts.Store = log, store
	svc, err := task.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	for _, typ := range types {
		if err := svc.Register(typ); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- svc.Run(ctx) }()
	n := &service{svc, log, sync.OnceValue(func() error {
		cancel()
		return <-ended
	})}
	t.Cleanup(func() {
		if err := n.stop(); err != nil {
			t.Errorf("Run() = %v", err)
		}
	})
	return n
}

func (n *service) start(t testing.TB, typ, params string) string {
	t.Helper()
	info, err := n.Start(within(t), typ, json.RawMessage(params))
	if err != nil {
		t.Fatalf("Start(%q) = %v", typ, err)
	}
	return info.ID
}

func (n *service) info(t testing.TB, id string) task.Info {
	t.Helper()
	info, err := n.Get(within(t), id)
	if err != nil {
		t.Fatalf("Get(%q) = %v", id, err)
	}
	return info
}

// waitState waits until a task is in a state, of which nothing is notified if it is
// not the last.
func (n *service) waitState(t testing.TB, id string, want task.State) {
	t.Helper()
	eventually(t, fmt.Sprintf("a task is %s", want), func() bool {
		info, err := n.Get(context.Background(), id)
		return err == nil && info.Status == want
	})
}

// waiting is a type that runs until its context ends.
var waiting = task.Type{Name: "waiting", Run: func(ctx context.Context, run *task.Run) (any, error) {
	if err := run.Progress(task.Progress{Text: "here", Value: new(0.5)}); err != nil {
		return nil, err
	}
	<-ctx.Done()
	return nil, context.Cause(ctx)
}}
