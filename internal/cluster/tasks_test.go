package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

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
	timeout := time.After(patience)
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
			t.Fatalf("task %s: not %s in %v; log is %q", id, what, patience, l.names(id))
		}
	}
}

// waitClosed waits until the log of a task is closed.
func (l *taskLog) waitClosed(t testing.TB, id string) {
	t.Helper()
	l.waitFor(t, id, "closed", func(log []task.Event) bool { return len(log) > 0 && log[len(log)-1].Close })
}

// taskStreams are the streams and buckets of the tasks.
type taskStreams struct {
	tasks, taskq jetstream.Stream
	lease        jetstream.KeyValue
	results      jetstream.ObjectStore
}

// makeTaskStreams makes them as a deployment has them.
func makeTaskStreams(t testing.TB, e *Engine) taskStreams {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var s taskStreams
	var errs [4]error
	s.tasks, errs[0] = e.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: e.stream("TASKS"), Subjects: []string{e.subject("tk.s.>")}, Storage: jetstream.FileStorage,
		MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew, MaxBytes: 1 << 30, AllowMsgTTL: true, AllowDirect: true,
	})
	s.taskq, errs[1] = e.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: e.stream("TASKQ"), Subjects: []string{e.subject("tk.q.>")}, Storage: jetstream.FileStorage,
		Retention: jetstream.WorkQueuePolicy, MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew, DiscardNewPerSubject: true,
		MaxBytes: 256 << 20,
	})
	s.lease, errs[2] = e.js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: e.stream("LEASE"), LimitMarkerTTL: time.Minute})
	s.results, errs[3] = e.js.CreateOrUpdateObjectStore(ctx, jetstream.ObjectStoreConfig{Bucket: e.stream("RESULTS"), MaxBytes: 1 << 30})
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// openEngine opens an engine with a server in this process.
func openEngine(t testing.TB, dir string) *Engine {
	t.Helper()
	e, err := Open(context.Background(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// cable connects a client to a server in this process, until it is cut.
type cable struct {
	server *server.Server

	mu    sync.Mutex
	conns []net.Conn
	isCut bool
}

// InProcessConn implements [natsgo.InProcessConnProvider].
func (c *cable) InProcessConn() (net.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isCut {
		return nil, errors.New("cable is cut")
	}
	conn, err := c.server.InProcessConn()
	c.conns = append(c.conns, conn)
	return conn, err
}

func (c *cable) set(isCut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.isCut = isCut
	if isCut {
		for _, conn := range c.conns {
			_ = conn.Close() // the client may have closed it
		}
		c.conns = nil
	}
}

// cables are those of the engines that anotherTo made.
var cables sync.Map // of *Engine to *cable

// cut takes the connection of a node's store away, and waits until it knows.
func (n *taskNode) cut(t testing.TB) {
	t.Helper()
	c, _ := cables.Load(n.store.e)
	c.(*cable).set(true)
	eventually(t, "disconnected", func() bool { return !n.store.e.nc.IsConnected() })
}

// mend gives it back.
func (n *taskNode) mend(t testing.TB) {
	t.Helper()
	c, _ := cables.Load(n.store.e)
	c.(*cable).set(false)
	eventually(t, "connected", n.store.e.nc.IsConnected)
}

// anotherTo returns an engine with a connection of its own to the server of e.
func anotherTo(t testing.TB, e *Engine) *Engine {
	t.Helper()
	c := &cable{server: e.embedded.current()}
	nc, err := natsgo.Connect("", natsgo.InProcessServer(c), natsgo.MaxReconnects(-1), natsgo.ReconnectBufSize(-1),
		natsgo.ReconnectWait(10*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	another := &Engine{opts: e.opts, log: e.log, nc: nc, js: js}
	cables.Store(another, c)
	t.Cleanup(func() { cables.Delete(another) })
	return another
}

// taskNode is a service at work on a store.
type taskNode struct {
	*task.Service
	store *Tasks // nil if in memory
	stop  func() error
}

// serveTasks runs a service on a store, nil for memory, until the test ends.
func serveTasks(t testing.TB, store *Tasks, opts task.Options, types ...task.Type) *taskNode {
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
func newTasks(t testing.TB, e *Engine, opts TasksOptions) *Tasks {
	t.Helper()
	s := makeTaskStreams(t, e)
	return NewTasks(e, s.tasks, s.taskq, s.lease, s.results, opts)
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
// store, which goes on, and nobody heard that it had failed.
func TestX32TasksThatCannotBeServedSayThatTheyEnd(t *testing.T) {
	t.Parallel()
	e := openWith(t, Options{Dir: t.TempDir(), Needs: NeedTasks})
	store, err := e.OpenTasks(within(t), TasksOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := task.New(task.Options{Store: store, Publisher: newTaskLog()})
	if err != nil {
		t.Fatal(err)
	}
	e.nc.Close()
	ended := make(chan error, 1)
	go func() { ended <- s.Run(t.Context()) }()
	select {
	case err := <-ended:
		if !errors.Is(err, natsgo.ErrConnectionClosed) {
			t.Errorf("Run = %v", err)
		}
	case <-time.After(patience):
		t.Error("Run goes on")
	}
}
