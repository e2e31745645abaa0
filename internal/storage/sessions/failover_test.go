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
	told := newTally()
	dead := startMember(t, url, memberOptions{nodes: quickNodes})
	heirs := quickNodes
	heirs.LeaseTTL, heirs.CutOffAfter = natstest.Patience, natstest.Patience/2 // or a busy machine makes one an heir of the other
	for _, name := range []string{"b", "c"} {
		startMember(t, url, memberOptions{nodes: heirs, takeOver: told.takeOver(name)})
	}
	witness := newMember(t, memberEngine(t, url), memberOptions{nodes: quickNodes})
	node := dead.nodes.Node()
	dead.putAll(t, node, streams)
	dead.kill()
	natstest.Eventually(t, "all streams are dealt with", func() bool { return told.count() == streams && witness.records(t, node) == 0 })
	natstest.Eventually(t, "the dead is struck off", func() bool { return witness.registration(t, node) == drained })
	if again := told.twice(); len(again) > 0 {
		t.Errorf("%d streams were told of more than once", len(again))
	}
	if by := told.takers(); len(by) != 1 {
		t.Errorf("told by %v, want one of them", by)
	}
}

// rosterValue is what the roster says of a node; "" is nothing.
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
	told := newTally()
	long := membership.Options{LeaseTTL: 5 * natstest.Patience} // until a lease runs out
	heir := startMember(t, url, memberOptions{takeOver: told.takeOver("b"), nodes: long})
	stops := startMember(t, url, memberOptions{nodes: long})
	node := stops.nodes.Node()
	stops.putAll(t, node, 5)
	natstest.Eventually(t, "the heir sees it", func() bool { return len(heir.nodes.Others()) == 1 })
	stops.end()
	natstest.Eventually(t, "all streams are dealt with", func() bool { return told.count() == 5 })
	if others := heir.nodes.Others(); len(others) != 0 {
		t.Errorf("others = %v after the only one has stopped", others)
	}
}

func TestTakingOverIsTriedAgainUntilItSucceeds(t *testing.T) {
	t.Parallel()
	const streams, stubborn = 200, 40
	url := natstest.ServeSmall(t)
	told := newTally()
	var calls atomic.Int64
	var mu sync.Mutex
	var freed bool
	heir := func(_ context.Context, e wire.SessionRecord) error {
		mu.Lock()
		defer mu.Unlock()
		var i int
		if _, err := fmt.Sscanf(e.Token, "token-%d-", &i); err != nil {
			return err
		}
		if calls.Add(1) <= 100 || (i < stubborn && !freed) {
			return errors.New("the backend is away")
		}
		told.note("b", e)
		return nil
	}
	m := startMember(t, url, memberOptions{takeOver: heir, sessions: Options{FirstPause: time.Millisecond, MaxPause: 20 * time.Millisecond}})
	stops := startMember(t, url, memberOptions{})
	node := stops.nodes.Node()
	stops.putAll(t, node, streams)
	stops.end()
	natstest.Eventually(t, "those that fail do not hide the others", func() bool { return told.count() == streams-stubborn })
	natstest.Eventually(t, "those that succeeded are out", func() bool { return m.records(t, node) == stubborn })
	mu.Lock()
	freed = true
	mu.Unlock()
	natstest.Eventually(t, "all are dealt with", func() bool { return told.count() == streams && m.registration(t, node) == drained })
	if again := told.twice(); len(again) > 0 {
		t.Errorf("told of %d streams again after it had succeeded", len(again))
	}
	if s := m.sessions.Stats(); s.TakenOver != streams || s.TakeOverFailures < 100 {
		t.Errorf("stats = %+v, want %d inherited and at least 100 failures", s, streams)
	}
}

func TestAnotherNodeGoesOnWhenOneDiesDuringAFailover(t *testing.T) {
	t.Parallel()
	const streams, half = 300, 150
	url := natstest.ServeSmall(t)
	told := newTally()
	reached := make(chan struct{})
	dies := func(ctx context.Context, e wire.SessionRecord) error {
		if told.count() >= half {
			select {
			case reached <- struct{}{}:
			default:
			}
			<-ctx.Done() // the backend is not told any more
			return ctx.Err()
		}
		told.note("first", e)
		return nil
	}
	first := startMember(t, url, memberOptions{nodes: quickNodes, takeOver: dies})
	stops := startMember(t, url, memberOptions{})
	node := stops.nodes.Node()
	stops.putAll(t, node, streams)
	stops.end()
	<-reached
	second := startMember(t, url, memberOptions{nodes: quickNodes, takeOver: told.takeOver("second")})
	// As when the process dies between telling and taking out, 16 are told twice
	// at most.
	first.kill()
	natstest.Eventually(t, "all are dealt with", func() bool { return told.count() == streams && second.registration(t, node) == drained })
	if again := told.twice(); len(again) > 16 {
		t.Errorf("%d streams were told of twice, want 16 at most", len(again))
	}
	if by := told.takers(); by["first"] < half || by["second"] < streams-half-16 {
		t.Errorf("told by %v, want about half each", by)
	}
}

func TestRecordThatArrivesAfterAFailoverIsFound(t *testing.T) {
	t.Parallel()
	url := natstest.ServeSmall(t)
	told := newTally()
	heir := startMember(t, url, memberOptions{takeOver: told.takeOver("b"), sessions: Options{CheckEvery: 50 * time.Millisecond}})
	stops := startMember(t, url, memberOptions{})
	node := stops.nodes.Node()
	stops.putAll(t, node, 1)
	stops.end()
	natstest.Eventually(t, "the dead is struck off", func() bool { return heir.registration(t, node) == drained })

	// What was on its way when the process died.
	late, err := stops.e.JetStream().Publish(t.Context(), stops.sessions.subject(keyOf(node, "late")), []byte(`{"node":"`+node+`","token":"late"}`))
	if err != nil {
		t.Fatal(err, late)
	}
	natstest.Eventually(t, "the late one is dealt with", func() bool { return told.count() == 2 && heir.records(t, node) == 0 })
}

func TestRecordOfAnOldNameIsFoundThoughItsRegistrationIsGone(t *testing.T) {
	t.Parallel()
	url := natstest.ServeSmall(t)
	told := newTally()
	startMember(t, url, memberOptions{takeOver: told.takeOver("b")})
	zombie := startMember(t, url, memberOptions{takeOver: told.takeOver("zombie")})
	const old = "oldname1" // it had this name, and it is on no roster any more
	zombie.putAll(t, old, 3)
	natstest.Eventually(t, "they are dealt with", func() bool { return told.count() == 3 && zombie.records(t, old) == 0 })
	natstest.Eventually(t, "it is struck off", func() bool { return zombie.registration(t, old) == drained })
	// Again, while the heirs think that it is done.
	zombie.sessions.mu.Lock()
	clear(zombie.sessions.registered) // a minute later
	zombie.sessions.mu.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), natstest.Patience)
	defer cancel()
	zombie.sessions.Put(ctx, streamEntry(old, 7))
	natstest.Eventually(t, "the fourth is dealt with", func() bool { return told.count() == 4 && zombie.records(t, old) == 0 })
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
	told := newTally()
	type cut struct {
		node string
		at   time.Time
	}
	cuts := make(chan cut, 1)
	o := memberOptions{nodes: quickNodes, takeOver: told.takeOver("itself")}
	o.nodes.CutOff = func(node string) { cuts <- cut{node, time.Now()} }
	lone := startMember(t, p.URL, o)
	startMember(t, url, memberOptions{nodes: quickNodes, takeOver: told.takeOver("other")})
	asker := startMember(t, url, memberOptions{nodes: quickNodes, takeOver: told.takeOver("asker")})
	old := lone.nodes.Node()
	lone.putAll(t, old, 100)

	p.Freeze()
	c := <-cuts
	if c.node != old {
		t.Errorf("CutOff(%q), want the name that it had, %q", c.node, old)
	}
	if told.count() > 0 {
		t.Error("heirs acted before the streams had ended")
	}
	natstest.Eventually(t, "it has another name", func() bool { return lone.nodes.Node() != old })
	if others := lone.nodes.Others(); slices.Contains(others, old) {
		t.Errorf("others = %v, with the name that it had itself, %s", others, old)
	}
	natstest.Eventually(t, "the heir is done", func() bool { return told.count() == 100 })
	told.mu.Lock()
	first := told.first
	told.mu.Unlock()
	if !c.at.Before(first) {
		t.Errorf("streams ended at %v, after the heir's first act at %v", c.at, first)
	}
	t.Logf("the heir acted %v after the streams had ended", first.Sub(c.at))
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
	if again := told.twice(); len(again) > 0 {
		t.Errorf("%d streams were told of twice", len(again))
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

	told := newTally()
	o.takeOver = told.takeOver("second")
	second := newMember(t, open(), o)
	second.run(t, o)
	natstest.Eventually(t, "all are dealt with, though the lease has not run out", func() bool { return told.count() == 20 && second.records(t, node) == 0 })
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
