package task_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"tidegate/task"
)

// logs is a Publisher that keeps what it is given, each Key once.
type logs struct {
	// on, if set, decides how many of the events are taken and what is returned.
	on func(ctx context.Context, id string, events []task.Event) (int, error)

	mu    sync.Mutex
	byID  map[string][]task.Event
	keys  map[string]bool
	calls [][]task.Event // of Publish, in the order in which they ended
	busy  map[string]bool
	wrong []string // breaches of what the Publisher was promised
}

func (l *logs) Publish(ctx context.Context, id string, events []task.Event) error {
	l.enter(id)
	defer l.leave(id, events)
	n, err := len(events), error(nil)
	if l.on != nil {
		n, err = l.on(ctx, id, events)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, ev := range events[:n] {
		if !l.keys[ev.Key] {
			l.keys[ev.Key] = true
			l.byID[id] = append(l.byID[id], ev)
		}
	}
	return err
}

func (l *logs) enter(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byID == nil {
		l.byID, l.keys, l.busy = map[string][]task.Event{}, map[string]bool{}, map[string]bool{}
	}
	if l.busy[id] {
		l.wrong = append(l.wrong, "two calls at once for "+id)
	}
	l.busy[id] = true
}

func (l *logs) leave(id string, events []task.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy[id] = false
	l.calls = append(l.calls, slices.Clone(events))
}

// of returns the log of a task.
func (l *logs) of(id string) []task.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.byID[id])
}

// names returns the event_type of each event of a task; connection_close has the
// reason after it.
func (l *logs) names(t *testing.T, id string) []string {
	t.Helper()
	var names []string
	for _, ev := range l.of(id) {
		names = append(names, nameOf(t, ev))
	}
	return names
}

func nameOf(t *testing.T, ev task.Event) string {
	t.Helper()
	var data struct {
		EventType string `json:"event_type"`
		Reason    string `json:"reason"`
	}
	if err := json.Unmarshal(ev.Data, &data); err != nil {
		t.Fatalf("event %s is not JSON: %v", ev.Data, err)
	}
	if ev.Close != (ev.Name == task.EventClose) {
		t.Errorf("event %s has Close %v", ev.Name, ev.Close)
	}
	if ev.Close {
		return ev.Name + " " + data.Reason
	}
	return data.EventType
}

// valve is in front of a Publisher: while it is closed, nothing is taken.
type valve struct{ open atomic.Bool }

func (g *valve) on(_ context.Context, _ string, events []task.Event) (int, error) {
	if !g.open.Load() {
		return 0, errAway
	}
	return len(events), nil
}

// gated returns a Publisher behind a valve that is closed.
func gated() (*valve, *logs) {
	g := &valve{}
	return g, &logs{on: g.on}
}

// bundle is a service at work in a bubble.
type bundle struct {
	*task.Service
	logs *logs
	stop func() error // ends Run and returns what it returned
}

// serve runs a service with the given types until the test ends.
func serve(t *testing.T, opts task.Options, types ...task.Type) *bundle {
	t.Helper()
	b := prepare(t, opts, types...)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	b.stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() {
		if err := b.stop(); err != nil {
			t.Errorf("Run() = %v", err)
		}
		for _, w := range b.logs.wrong {
			t.Error(w)
		}
	})
	return b
}

// prepare makes a service that does not run yet.
func prepare(t *testing.T, opts task.Options, types ...task.Type) *bundle {
	t.Helper()
	b := &bundle{}
	switch p := opts.Publisher.(type) {
	case nil:
		b.logs = &logs{}
		opts.Publisher = b.logs
	case *logs:
		b.logs = p
	default:
		b.logs = &logs{}
	}
	var err error
	if b.Service, err = task.New(opts); err != nil {
		t.Fatal(err)
	}
	for _, typ := range types {
		if err := b.Register(typ); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// start starts a task and returns its id.
func (b *bundle) start(t *testing.T, typ, params string) string {
	t.Helper()
	info, err := b.Start(t.Context(), typ, json.RawMessage(params))
	if err != nil {
		t.Fatalf("Start(%q, %s) = %v", typ, params, err)
	}
	return info.ID
}

// info returns what Get returns.
func (b *bundle) info(t *testing.T, id string) task.Info {
	t.Helper()
	info, err := b.Get(t.Context(), id)
	if err != nil {
		t.Fatalf("Get(%q) = %v", id, err)
	}
	return info
}

// bubble runs f in a synctest bubble, which starts at midnight on 1 January 2000.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, f)
}

// typeOf makes a type of a function.
func typeOf(name string, f task.Func) task.Type { return task.Type{Name: name, Run: f} }

// obedient waits for the end of its context.
var obedient = typeOf("obedient", func(ctx context.Context, _ *task.Run) (any, error) {
	<-ctx.Done()
	return nil, context.Cause(ctx)
})

// stubborn ignores its context and returns when release is closed.
func stubborn(release <-chan struct{}) task.Type {
	return typeOf("stubborn", func(context.Context, *task.Run) (any, error) {
		<-release
		return "late", nil
	})
}

// quick completes at once.
var quick = typeOf("quick", func(context.Context, *task.Run) (any, error) { return nil, nil })

// wantNames fails unless the log of a task is as given.
func (b *bundle) wantNames(t *testing.T, id string, want ...string) {
	t.Helper()
	if got := b.logs.names(t, id); !slices.Equal(got, want) {
		t.Errorf("log of the task:\n got %q\nwant %q", got, want)
	}
}

// wantState fails unless a task is in the given state.
func (b *bundle) wantState(t *testing.T, id string, want task.State) {
	t.Helper()
	if got := b.info(t, id).Status; got != want {
		t.Errorf("state is %s, want %s", got, want)
	}
}

// long is a text of n bytes.
func long(n int) string { return string(bytes.Repeat([]byte{'x'}, n)) }

// wantKeys fails unless the keys in the log of a task that ran once say what the
// events are.
func (b *bundle) wantKeys(t *testing.T, id string) {
	t.Helper()
	reports := 0
	for i, ev := range b.logs.of(id) {
		want := id + ":end"
		switch name := nameOf(t, ev); {
		case name == "task_started":
			want = id + ":started"
		case name == "progress_update":
			reports++
			want = fmt.Sprintf("%s:1:%d", id, reports)
		case ev.Close:
			want = id + ":close"
		}
		if ev.Key != want {
			t.Errorf("event %d has key %q, want %q", i, ev.Key, want)
		}
	}
}
