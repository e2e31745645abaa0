package taskstore

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/storage/nats"
	"tidegate/internal/storage/natstest"
	"tidegate/task"
)

// taskLog is the log of tasks: a Publisher that keeps each Key once, and takes
// nothing more for a task whose log is closed.
type taskLog struct {
	// on, if set, is asked before events are taken.
	on        func(ctx context.Context, id string, events []task.Event) error
	forgetful bool // it knows no keys
	open      bool // it takes events after its last one

	mu      sync.Mutex
	byID    map[string][]task.Event
	keys    map[string]bool
	changed chan struct{}
}

func newTaskLog() *taskLog {
	return &taskLog{byID: map[string][]task.Event{}, keys: map[string]bool{}, changed: make(chan struct{})}
}

func (l *taskLog) Publish(ctx context.Context, id string, events []task.Event) error {
	if l.on != nil {
		if err := l.on(ctx, id, events); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, ev := range events {
		log := l.byID[id]
		if !l.open && len(log) > 0 && log[len(log)-1].Close || l.keys[ev.Key] {
			continue
		}
		l.keys[ev.Key] = !l.forgetful
		l.byID[id] = append(log, ev)
	}
	close(l.changed)
	l.changed = make(chan struct{})
	return nil
}

func (l *taskLog) Ended(_ context.Context, id string) (terminal, closed bool, err error) {
	for _, ev := range l.of(id) {
		terminal = terminal || isTerminal(ev)
		closed = closed || ev.Close
	}
	return terminal, closed, nil
}

func (l *taskLog) of(id string) []task.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.byID[id])
}

// names returns the event_type of each event of a task.
func (l *taskLog) names(id string) (names []string) {
	for _, ev := range l.of(id) {
		names = append(names, eventName(ev))
	}
	return names
}

func eventName(ev task.Event) string {
	var data struct {
		EventType string `json:"event_type"`
		Reason    string `json:"reason"`
	}
	_ = json.Unmarshal(ev.Data, &data) // what is not JSON has no name
	if ev.Close {
		return "close " + data.Reason
	}
	return data.EventType
}

func isTerminal(ev task.Event) bool {
	return slices.Contains([]string{"task_completed", "task_failed", "task_cancelled"}, eventName(ev))
}

// waitFor waits until cond holds for the log of a task.
func (l *taskLog) waitFor(t testing.TB, id, what string, cond func(log []task.Event) bool) {
	t.Helper()
	timeout := time.After(natstest.Patience)
	for {
		l.mu.Lock()
		changed := l.changed
		ok := cond(l.byID[id])
		l.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("task %s: not %s in %v; log is %q", id, what, natstest.Patience, l.names(id))
		}
	}
}

// waitClosed waits until the log of a task is closed.
func (l *taskLog) waitClosed(t testing.TB, id string) {
	t.Helper()
	l.waitFor(t, id, "closed", func(log []task.Event) bool { return len(log) > 0 && log[len(log)-1].Close })
}

// makeTaskStreams makes them as a deployment has them.
func makeTaskStreams(t testing.TB, e *nats.Engine) nats.TaskStreams {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), natstest.Patience)
	defer cancel()
	var s nats.TaskStreams
	var errs [4]error
	s.Records, errs[0] = e.JetStream().CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: e.StreamName("TASKS"), Subjects: []string{e.Subject("tk.s.>")}, Storage: jetstream.FileStorage,
		MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew, MaxBytes: 1 << 30, AllowMsgTTL: true, AllowDirect: true,
	})
	s.Queue, errs[1] = e.JetStream().CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: e.StreamName("TASKQ"), Subjects: []string{e.Subject("tk.q.>")}, Storage: jetstream.FileStorage,
		Retention: jetstream.WorkQueuePolicy, MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew, DiscardNewPerSubject: true,
		MaxBytes: 256 << 20,
	})
	s.Leases, errs[2] = e.JetStream().CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: e.StreamName("LEASE"), LimitMarkerTTL: time.Minute})
	s.Results, errs[3] = e.JetStream().CreateOrUpdateObjectStore(ctx, jetstream.ObjectStoreConfig{Bucket: e.StreamName("RESULTS"), MaxBytes: 1 << 30})
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// testToken is what engines show that connect to another one's server.
const testToken = "token-of-the-tests"

// openEngine opens an engine with a server in this process, which others can reach.
func openEngine(t testing.TB, dir string) *nats.Engine {
	t.Helper()
	return openWith(t, nats.Options{Dir: dir, Listen: "127.0.0.1:0", Token: testToken})
}

// proxies are those in front of the engines that anotherTo made.
var proxies sync.Map // of *Engine to *natstest.Proxy

// cut takes the connection of a node's store away, and waits until it knows.
func (n *taskNode) cut(t testing.TB) {
	t.Helper()
	p, _ := proxies.Load(n.store.e)
	p.(*natstest.Proxy).Cut()
	natstest.Eventually(t, "disconnected", func() bool { return !n.store.e.Conn().IsConnected() })
}

// mend gives it back.
func (n *taskNode) mend(t testing.TB) {
	t.Helper()
	p, _ := proxies.Load(n.store.e)
	p.(*natstest.Proxy).Mend()
	natstest.Eventually(t, "connected", n.store.e.Conn().IsConnected)
}

// anotherTo returns an engine with a connection of its own to the server of e.
func anotherTo(t testing.TB, e *nats.Engine) *nats.Engine {
	t.Helper()
	p := natstest.NewProxy(t, "nats://"+e.ListenAddr())
	another := openWith(t, nats.Options{URLs: []string{p.URL}, Token: testToken})
	proxies.Store(another, p)
	t.Cleanup(func() { proxies.Delete(another) })
	return another
}

// taskNode is a service at work on a store.
type taskNode struct {
	*task.Service
	store *Store // nil if in memory
	stop  func() error
}

// serveTasks runs a service on a store, nil for memory, until the test ends.
func serveTasks(t testing.TB, store *Store, opts task.Options, types ...task.Type) *taskNode {
	t.Helper()
	if store != nil {
		opts.Store = store
	}
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
	n := &taskNode{Service: svc, store: store, stop: sync.OnceValue(func() error {
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

// newTasks makes a store on streams that are made if need be.
func newTasks(t testing.TB, e *nats.Engine, opts Options) *Store {
	t.Helper()
	return newStore(e, makeTaskStreams(t, e), opts)
}

func (n *taskNode) start(t testing.TB, typ, params string) string {
	t.Helper()
	info, err := n.Start(context.Background(), typ, json.RawMessage(params))
	if err != nil {
		t.Fatalf("Start(%q) = %v", typ, err)
	}
	return info.ID
}

func (n *taskNode) info(t testing.TB, id string) task.Info {
	t.Helper()
	info, err := n.Get(context.Background(), id)
	if err != nil {
		t.Fatalf("Get(%q) = %v", id, err)
	}
	return info
}

// TestX32TasksThatCannotBeServedSayThatTheyEnd: Run waited for what follows the
// store, which goes on, and nothing reported that it had failed.
func TestX32TasksThatCannotBeServedSayThatTheyEnd(t *testing.T) {
	t.Parallel()
	e := openWith(t, nats.Options{Dir: t.TempDir(), Needs: nats.NeedTasks})
	store, err := Open(natstest.Within(t), e, Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := task.New(task.Options{Store: store, Publisher: newTaskLog()})
	if err != nil {
		t.Fatal(err)
	}
	e.Conn().Close()
	ended := make(chan error, 1)
	go func() { ended <- s.Run(t.Context()) }()
	select {
	case err := <-ended:
		if !errors.Is(err, natsgo.ErrConnectionClosed) {
			t.Errorf("Run = %v", err)
		}
	case <-time.After(natstest.Patience):
		t.Error("Run goes on")
	}
}
