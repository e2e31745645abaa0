package membership

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"tidegate/internal/gateway"
	"tidegate/internal/storage/nats"
	"tidegate/internal/storage/natstest"
	"tidegate/internal/wire"
)

// The gateway has the interface, and does not know of this package.
var _ gateway.Peers = (*Nodes)(nil)

func TestMain(m *testing.M) { natstest.Main(m) }

// quickTimes are the times of nodes that die during a test.
var quickTimes = Options{LeaseTTL: 2 * time.Second, RenewEvery: 100 * time.Millisecond, CutOffAfter: 1200 * time.Millisecond, AskTimeout: time.Second}

// testNode is the node of one process.
type testNode struct {
	*Nodes
	e *nats.Engine
}

// newTestNode makes a node that does not run.
func newTestNode(t testing.TB, url string, opts Options) *testNode {
	t.Helper()
	e := natstest.Open(t, func(ctx context.Context) (*nats.Engine, error) {
		return nats.Open(ctx, nats.Options{URLs: []string{url}, MaxBody: 32 << 10})
	})
	nodes, err := Open(natstest.Within(t), e, opts)
	if err != nil {
		t.Fatal(err)
	}
	return &testNode{Nodes: nodes, e: e}
}

// answerHandler answers requests of other nodes.
type answerHandler = func(context.Context, wire.PeerRequest) wire.PeerAnswer

// startTestNode runs a node until the test ends. handler may be nil.
func startTestNode(t testing.TB, url string, opts Options, handler answerHandler) *testNode {
	t.Helper()
	if handler == nil {
		handler = func(context.Context, wire.PeerRequest) wire.PeerAnswer { return wire.PeerAnswer{Status: 204} }
	}
	n := newTestNode(t, url, opts)
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := n.Run(ctx, handler); err != nil && !n.e.Conn().IsClosed() {
			t.Errorf("Run = %v", err)
		}
	})
	t.Cleanup(func() { stop(); running.Wait() })
	natstest.Eventually(t, "the node has joined", func() bool { return n.MayRecord(n.Node()) })
	return n
}

func TestNodeThatLostItsLeaseTakesAnotherName(t *testing.T) {
	t.Parallel()
	cuts := make(chan string, 1)
	m := startTestNode(t, natstest.ServeSmall(t), Options{RenewEvery: 50 * time.Millisecond, CutOff: func(node string) { cuts <- node }}, nil)
	old := m.Node()
	// As after a standstill, during which it ran out and another node claimed it.
	if _, err := m.bucket.kv.PutString(t.Context(), leaseKeys+old, heldBySuccessor); err != nil {
		t.Fatal(err)
	}
	if node := <-cuts; node != old {
		t.Errorf("CutOff(%q), want %q", node, old)
	}
	natstest.Eventually(t, "it has joined under another name", func() bool { return m.Node() != old && m.MayRecord(m.Node()) })
}

func TestNodeWithoutAnAnswerToItsRenewalKeepsItsLease(t *testing.T) {
	t.Parallel()
	m := newTestNode(t, natstest.ServeSmall(t), Options{})
	b := m.bucket
	first, err := b.create(t.Context(), "lease.x", "mine")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := b.create(t.Context(), "lease.x", "mine"); err != nil || again != first {
		t.Errorf("create again = %d, %v; want what it is, %d", again, err, first)
	}
	if _, err := b.create(t.Context(), "lease.x", "yours"); !errors.Is(err, errHeld) {
		t.Errorf("create by another = %v, want errHeld", err)
	}
	if _, err := b.renew(t.Context(), "lease.x", "mine", first); err != nil {
		t.Fatal(err)
	}
	third, err := b.renew(t.Context(), "lease.x", "mine", first) // the second's answer was lost
	if err != nil || third <= first {
		t.Errorf("renew = %d, %v; want a revision after %d", third, err, first)
	}
	if _, err := b.renew(t.Context(), "lease.x", "yours", first); !errors.Is(err, errLost) {
		t.Errorf("renew by another = %v, want errLost", err)
	}
	if err := b.release(t.Context(), "lease.x", third); err != nil {
		t.Fatal(err)
	}
	if _, err := b.renew(t.Context(), "lease.x", "mine", third); !errors.Is(err, errLost) {
		t.Errorf("renew after the release = %v, want errLost", err)
	}
	if _, err := b.create(t.Context(), "lease.x", "yours"); err != nil {
		t.Errorf("create after the release = %v", err)
	}
}

func TestAliveListsLeasesAndNothingElse(t *testing.T) {
	t.Parallel()
	n := newTestNode(t, natstest.ServeSmall(t), Options{})
	for _, key := range []string{"lease.bbbbbbbb", "lease.aaaaaaaa", "roster.cccccccc"} {
		if _, err := n.bucket.kv.Create(t.Context(), key, nil); err != nil {
			t.Fatal(err)
		}
	}
	got, err := n.Alive(t.Context())
	if want := []string{"aaaaaaaa", "bbbbbbbb"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("Alive = %v, %v; want %v", got, err, want)
	}
	n.e.Close()
	if got, err := n.Alive(t.Context()); err == nil {
		t.Errorf("Alive without NATS = %v, want an error", got)
	}
}
