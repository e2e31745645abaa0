package sessions

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/storage/membership"
	"tidegate/internal/storage/nats"
	"tidegate/internal/storage/natstest"
	"tidegate/internal/wire"
)

func TestOneNodeTakesOverEachRecordOfADeadNodeOnce(t *testing.T) {
	t.Parallel()
	const streams = 1000
	url := natstest.ServeSmall(t)
	taken := newTally()
	dead := startMember(t, url, memberOptions{nodes: quickNodes})
	others := quickNodes
	others.LeaseTTL, others.CutOffAfter = natstest.Patience, natstest.Patience/2 // or a busy machine makes one take over from the other
	for _, name := range []string{"b", "c"} {
		startMember(t, url, memberOptions{nodes: others, takeOver: taken.takeOver(name)})
	}
	witness := newMember(t, memberEngine(t, url), memberOptions{nodes: quickNodes})
	node := dead.nodes.Node()
	dead.putAll(t, node, streams)
	dead.kill()
	natstest.Eventually(t, "all streams are taken over", func() bool { return taken.count() == streams && witness.records(t, node) == 0 })
	natstest.Eventually(t, "the dead node is drained", func() bool { return witness.registration(t, node) == drained })
	if again := taken.twice(); len(again) > 0 {
		t.Errorf("%d streams were taken over more than once", len(again))
	}
	if by := taken.takers(); len(by) != 1 {
		t.Errorf("taken over by %v, want one of them", by)
	}
}

// registration is the value of a node's registration; "" is none.
func (m *member) registration(t testing.TB, node string) string {
	t.Helper()
	entry, err := m.bucket(t).Get(context.Background(), registrationKey+node)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(entry.Value())
}

func TestRecordsOfANodeThatStopsAreTakenOverAtOnce(t *testing.T) {
	t.Parallel()
	url := natstest.ServeSmall(t)
	taken := newTally()
	long := membership.Options{LeaseTTL: 5 * natstest.Patience} // until a lease runs out
	other := startMember(t, url, memberOptions{takeOver: taken.takeOver("b"), nodes: long})
	stops := startMember(t, url, memberOptions{nodes: long})
	node := stops.nodes.Node()
	stops.putAll(t, node, 5)
	natstest.Eventually(t, "the other one sees it", func() bool { return len(other.nodes.Others()) == 1 })
	stops.end()
	natstest.Eventually(t, "all streams are taken over", func() bool { return taken.count() == 5 })
	if others := other.nodes.Others(); len(others) != 0 {
		t.Errorf("others = %v after the only one has stopped", others)
	}
}

func TestTakingOverIsTriedAgainUntilItSucceeds(t *testing.T) {
	t.Parallel()
	const streams, stubborn = 200, 40
	url := natstest.ServeSmall(t)
	taken := newTally()
	var calls atomic.Int64
	var mu sync.Mutex
	var freed bool
	other := func(_ context.Context, e wire.SessionRecord) error {
		mu.Lock()
		defer mu.Unlock()
		var i int
		if _, err := fmt.Sscanf(e.Token, "token-%d-", &i); err != nil {
			return err
		}
		if calls.Add(1) <= 100 || (i < stubborn && !freed) {
			return errors.New("the backend is away")
		}
		taken.note("b", e)
		return nil
	}
	m := startMember(t, url, memberOptions{takeOver: other, sessions: Options{FirstPause: time.Millisecond, MaxPause: 20 * time.Millisecond}})
	stops := startMember(t, url, memberOptions{})
	node := stops.nodes.Node()
	stops.putAll(t, node, streams)
	stops.end()
	natstest.Eventually(t, "those that fail do not hide the others", func() bool { return taken.count() == streams-stubborn })
	natstest.Eventually(t, "those that succeeded are out", func() bool { return m.records(t, node) == stubborn })
	mu.Lock()
	freed = true
	mu.Unlock()
	natstest.Eventually(t, "all are taken over", func() bool { return taken.count() == streams && m.registration(t, node) == drained })
	if again := taken.twice(); len(again) > 0 {
		t.Errorf("took over %d streams again after it had succeeded", len(again))
	}
	if s := m.sessions.Stats(); s.TakenOver != streams || s.TakeOverFailures < 100 {
		t.Errorf("stats = %+v, want %d inherited and at least 100 failures", s, streams)
	}
}

func TestAnotherNodeGoesOnWhenOneDiesDuringAFailover(t *testing.T) {
	t.Parallel()
	const streams, half = 300, 150
	url := natstest.ServeSmall(t)
	taken := newTally()
	reached := make(chan struct{})
	dies := func(ctx context.Context, e wire.SessionRecord) error {
		if taken.count() >= half {
			select {
			case reached <- struct{}{}:
			default:
			}
			<-ctx.Done() // the backend is not notified any more
			return ctx.Err()
		}
		taken.note("first", e)
		return nil
	}
	first := startMember(t, url, memberOptions{nodes: quickNodes, takeOver: dies})
	stops := startMember(t, url, memberOptions{})
	node := stops.nodes.Node()
	stops.putAll(t, node, streams)
	stops.end()
	<-reached
	second := startMember(t, url, memberOptions{nodes: quickNodes, takeOver: taken.takeOver("second")})
	// As when the process dies between a call and a deletion, 16 are taken over twice
	// at most.
	first.kill()
	natstest.Eventually(t, "all are taken over", func() bool { return taken.count() == streams && second.registration(t, node) == drained })
	if again := taken.twice(); len(again) > 16 {
		t.Errorf("%d streams were taken over twice, want 16 at most", len(again))
	}
	if by := taken.takers(); by["first"] < half || by["second"] < streams-half-16 {
		t.Errorf("taken over by %v, want about half each", by)
	}
}

func TestRecordThatArrivesAfterAFailoverIsFound(t *testing.T) {
	t.Parallel()
	url := natstest.ServeSmall(t)
	taken := newTally()
	other := startMember(t, url, memberOptions{takeOver: taken.takeOver("b"), sessions: Options{CheckEvery: 50 * time.Millisecond}})
	stops := startMember(t, url, memberOptions{})
	node := stops.nodes.Node()
	stops.putAll(t, node, 1)
	stops.end()
	natstest.Eventually(t, "the dead node is drained", func() bool { return other.registration(t, node) == drained })

	// What was on its way when the process died.
	late, err := stops.e.JetStream().Publish(t.Context(), stops.sessions.subject(keyOf(node, "late")), []byte(`{"node":"`+node+`","token":"late"}`))
	if err != nil {
		t.Fatal(err, late)
	}
	natstest.Eventually(t, "the late one is taken over", func() bool { return taken.count() == 2 && other.records(t, node) == 0 })
}

func TestRecordOfAnOldNameIsFoundThoughItsRegistrationIsGone(t *testing.T) {
	t.Parallel()
	url := natstest.ServeSmall(t)
	taken := newTally()
	startMember(t, url, memberOptions{takeOver: taken.takeOver("b")})
	zombie := startMember(t, url, memberOptions{takeOver: taken.takeOver("zombie")})
	const old = "oldname1" // it had this name, and it is not registered any more
	zombie.putAll(t, old, 3)
	natstest.Eventually(t, "they are taken over", func() bool { return taken.count() == 3 && zombie.records(t, old) == 0 })
	natstest.Eventually(t, "it is drained", func() bool { return zombie.registration(t, old) == drained })
	// Again, while the others think that it is done.
	zombie.sessions.mu.Lock()
	clear(zombie.sessions.registered) // a minute later
	zombie.sessions.mu.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), natstest.Patience)
	defer cancel()
	zombie.sessions.Put(ctx, streamEntry(old, 7))
	natstest.Eventually(t, "the fourth is taken over", func() bool { return taken.count() == 4 && zombie.records(t, old) == 0 })
}

func TestUnreadableRecordsDoNotStay(t *testing.T) {
	t.Parallel()
	m := startMember(t, natstest.ServeSmall(t), memberOptions{})
	const dead = "deadnode"
	for _, subject := range []string{m.sessions.subject(keyOf(dead, "x")), m.sessions.records(dead) + "short", m.sessions.records(dead) + "00ff", m.sessions.subject(keyOf(dead, "y")) + "ff"} {
		if _, err := m.e.JetStream().Publish(t.Context(), subject, []byte("{")); err != nil {
			t.Fatal(err)
		}
	}
	m.putAll(t, dead, 1)
	natstest.Eventually(t, "they are out", func() bool {
		return m.records(t, dead) == 0 && m.sessions.Stats().Unreadable == 4 && m.sessions.Stats().TakenOver == 1
	})
}

func TestNodeThatIsCutOffEndsItsStreamsBeforeTheFailover(t *testing.T) {
	t.Parallel()
	url := natstest.ServeSmall(t)
	p := natstest.NewProxy(t, url)
	taken := newTally()
	type cut struct {
		node string
		at   time.Time
	}
	cuts := make(chan cut, 1)
	o := memberOptions{nodes: quickNodes, takeOver: taken.takeOver("itself")}
	o.nodes.CutOff = func(node string) { cuts <- cut{node, time.Now()} }
	lone := startMember(t, p.URL, o)
	startMember(t, url, memberOptions{nodes: quickNodes, takeOver: taken.takeOver("other")})
	asker := startMember(t, url, memberOptions{nodes: quickNodes, takeOver: taken.takeOver("asker")})
	old := lone.nodes.Node()
	lone.putAll(t, old, 100)

	p.Freeze()
	c := <-cuts
	if c.node != old {
		t.Errorf("CutOff(%q), want the name that it had, %q", c.node, old)
	}
	if taken.count() > 0 {
		t.Error("others took over before the streams had ended")
	}
	natstest.Eventually(t, "it has another name", func() bool { return lone.nodes.Node() != old })
	if others := lone.nodes.Others(); slices.Contains(others, old) {
		t.Errorf("others = %v, with the name that it had itself, %s", others, old)
	}
	natstest.Eventually(t, "the other one is done", func() bool { return taken.count() == 100 })
	taken.mu.Lock()
	first := taken.first
	taken.mu.Unlock()
	if !c.at.Before(first) {
		t.Errorf("streams ended at %v, after the failover began at %v", c.at, first)
	}
	t.Logf("others took over %v after the streams had ended", first.Sub(c.at))
	natstest.Eventually(t, "the others are out of its sight", func() bool { return len(lone.nodes.Others()) == 0 })

	p.Thaw()
	natstest.Eventually(t, "it is back under its new name", func() bool { return slices.Contains(asker.nodes.Others(), lone.nodes.Node()) })
	if answer, err := asker.nodes.Ask(t.Context(), lone.nodes.Node(), wire.PeerRequest{}); err != nil || answer.Status != 204 {
		t.Errorf("asking the new name: %v, %v", answer, err)
	}
	if _, err := asker.nodes.Ask(t.Context(), old, wire.PeerRequest{}); !errors.Is(err, wire.ErrNoNode) {
		t.Errorf("asking the old name: %v, want ErrNoNode", err)
	}
	lone.putAll(t, lone.nodes.Node(), 1)
	if s := lone.nodes.Stats(); s.CutOffs != 1 {
		t.Errorf("stats = %+v, want one cut-off: an identity without a lease is not cut off", s)
	}
	if again := taken.twice(); len(again) > 0 {
		t.Errorf("%d streams were taken over twice", len(again))
	}
}

func TestNodeAloneTakesOverFromItsEarlierLifeAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open := func() *nats.Engine {
		e, err := nats.Open(t.Context(), nats.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.Close)
		return e
	}
	o := memberOptions{nodes: membership.Options{Alone: true, RenewEvery: 50 * time.Millisecond, LeaseTTL: 5 * natstest.Patience}}
	first := newMember(t, open(), o)
	first.run(t, o)
	node := first.nodes.Node()
	first.putAll(t, node, 20)
	first.e.Close() // dies
	first.end()

	taken := newTally()
	o.takeOver = taken.takeOver("second")
	second := newMember(t, open(), o)
	second.run(t, o)
	natstest.Eventually(t, "all are taken over, though the lease has not run out", func() bool { return taken.count() == 20 && second.records(t, node) == 0 })
	// Nobody can take its place: losing the lease is no reason to end streams.
	self := second.nodes.Node()
	if err := second.bucket(t).Purge(t.Context(), leaseKey+self); err != nil {
		t.Fatal(err)
	}
	natstest.Eventually(t, "it has its lease again", func() bool {
		_, err := second.bucket(t).Get(context.Background(), leaseKey+self)
		return err == nil
	})
	if second.nodes.Node() != self || second.nodes.Stats().CutOffs != 0 {
		t.Error("a node that is alone has been cut off")
	}
}
