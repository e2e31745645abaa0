package sessions

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/gateway"
	"tidegate/internal/storage/membership"
	"tidegate/internal/storage/nats"
	"tidegate/internal/storage/natstest"
	"tidegate/internal/wire"
)

// The gateway has the interface, and does not know of this package.
var _ gateway.SessionStore = (*Store)(nil)

// Keys of the bucket of nodes, and a value.
const (
	leaseKey        = "lease."
	registrationKey = "roster."
	drained         = "drained"
)

// quickNodes are the times of nodes that die during a test.
var quickNodes = membership.Options{LeaseTTL: 2 * time.Second, RenewEvery: 100 * time.Millisecond, CutOffAfter: 1200 * time.Millisecond, AskTimeout: time.Second}

// member is a process of a cluster, as far as this part is concerned.
type member struct {
	e        *nats.Engine
	nodes    *membership.Nodes
	sessions *Store
	st       jetstream.Stream
	stop     context.CancelFunc
	ended    chan struct{}
}

// memberOptions say what a member does.
type memberOptions struct {
	nodes    membership.Options
	sessions Options
	handler  func(context.Context, wire.PeerRequest) wire.PeerAnswer
	takeOver func(context.Context, wire.SessionRecord) error
}

func memberEngine(t testing.TB, url string) *nats.Engine {
	t.Helper()
	return openWith(t, nats.Options{URLs: []string{url}, MaxBody: 32 << 10})
}

// newMember makes a member that does not run.
func newMember(t testing.TB, e *nats.Engine, o memberOptions) *member {
	t.Helper()
	m := &member{e: e, ended: make(chan struct{})}
	var err error
	if m.nodes, err = membership.Open(natstest.Within(t), e, o.nodes); err != nil {
		t.Fatal(err)
	}
	st, err := e.JetStream().CreateOrUpdateStream(t.Context(), jetstream.StreamConfig{Name: e.StreamName("ST"), Subjects: []string{e.Subject("st.>")}, MaxMsgsPerSubject: 1})
	if err != nil {
		t.Fatal(err)
	}
	m.st = st
	m.sessions = newStore(e, st, m.nodes, o.sessions)
	return m
}

// run runs a member until the test ends, or it is stopped or killed before. The
// node ends after its store, as in the program.
func (m *member) run(t testing.TB, o memberOptions) {
	t.Helper()
	if o.handler == nil {
		o.handler = func(context.Context, wire.PeerRequest) wire.PeerAnswer { return wire.PeerAnswer{Status: 204} }
	}
	if o.takeOver == nil {
		o.takeOver = func(context.Context, wire.SessionRecord) error { return nil }
	}
	ctx, stop := context.WithCancel(context.Background())
	m.stop = stop
	var store, nodes sync.WaitGroup
	presence, leave := context.WithCancel(context.Background())
	nodes.Go(func() {
		if err := m.nodes.Run(presence, o.handler); err != nil && !m.e.Conn().IsClosed() {
			t.Errorf("Nodes.Run = %v", err)
		}
	})
	store.Go(func() { _ = m.sessions.Run(ctx, o.takeOver) })
	go func() { // ends in end, for which the test waits
		store.Wait()
		leave()
		nodes.Wait()
		close(m.ended)
	}()
	t.Cleanup(m.end)
}

// startMember runs a member of the cluster at url.
func startMember(t testing.TB, url string, o memberOptions) *member {
	t.Helper()
	m := newMember(t, memberEngine(t, url), o)
	m.run(t, o)
	natstest.Eventually(t, "the node has joined", func() bool { return m.nodes.MayRecord(m.nodes.Node()) })
	return m
}

// end stops a member and waits for it.
func (m *member) end() {
	m.stop()
	<-m.ended
}

// kill cuts a member off for good, without a clean stop.
func (m *member) kill() { m.e.Conn().Close() }

// bucket is where nodes have their leases and registrations.
func (m *member) bucket(t testing.TB) jetstream.KeyValue {
	t.Helper()
	kv, err := m.e.NodeBucket(natstest.Within(t))
	if err != nil {
		t.Fatal(err)
	}
	return kv
}

// records counts the records of a node.
func (m *member) records(t testing.TB, node string) int {
	t.Helper()
	info, err := m.st.Info(context.Background(), jetstream.WithSubjectFilter(m.sessions.records(node)+"*"))
	if err != nil {
		t.Fatal(err)
	}
	return len(info.State.Subjects)
}

func streamEntry(node string, i int) wire.SessionRecord {
	return wire.SessionRecord{Node: node, Token: fmt.Sprintf("token-%d-%s", i, node), OpenedAt: 1, Request: []byte(`{"method":"GET"}`)}
}

// enterAll records n streams of a node.
func (m *member) putAll(t testing.TB, node string, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), natstest.Patience)
	defer cancel()
	var put sync.WaitGroup
	for i := range n {
		put.Go(func() { m.sessions.Put(ctx, streamEntry(node, i)) })
	}
	put.Wait()
	if ctx.Err() != nil {
		t.Fatal("entering took too long")
	}
}

// tally counts which streams were taken over, and by whom.
type tally struct {
	mu    sync.Mutex
	taken map[string]int // guarded by mu: by token
	by    map[string]int // guarded by mu: by who took over
	first time.Time      // guarded by mu
}

func newTally() *tally { return &tally{taken: map[string]int{}, by: map[string]int{}} }

func (a *tally) note(by string, e wire.SessionRecord) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.taken) == 0 {
		a.first = time.Now()
	}
	a.taken[e.Token]++
	a.by[by]++
}

func (a *tally) takeOver(by string) func(context.Context, wire.SessionRecord) error {
	return func(_ context.Context, e wire.SessionRecord) error {
		a.note(by, e)
		return nil
	}
}

func (a *tally) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.taken)
}

// twice lists the tokens that were taken over more than once.
func (a *tally) twice() (tokens []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for token, n := range a.taken {
		if n > 1 {
			tokens = append(tokens, token)
		}
	}
	return tokens
}

func (a *tally) takers() map[string]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.by)
}
