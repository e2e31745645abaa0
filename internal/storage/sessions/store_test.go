package sessions

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/storage/membership"
	"tidegate/internal/storage/natstest"
	"tidegate/internal/wire"
)

func TestLedgerHoldsWhatIsEnteredUntilItIsStruck(t *testing.T) {
	t.Parallel()
	m := startMember(t, natstest.ServeSmall(t), memberOptions{})
	node := m.nodes.Node()
	m.enterAll(t, node, 3)
	if n := m.records(t, node); n != 3 {
		t.Fatalf("%d records after 3 were entered", n)
	}
	for i := range 3 {
		m.ledger.Delete(node, streamEntry(node, i).Token)
	}
	natstest.Eventually(t, "the records are out", func() bool { return m.records(t, node) == 0 })
	natstest.Eventually(t, "both are counted", func() bool {
		s := m.ledger.Stats()
		return s.Entered == 3 && s.Struck == 3 && s.WaitingEnters+s.WaitingStrikes == 0
	})
}

func TestLedgerLeavesNoRecordWhenStruckBeforeItIsWritten(t *testing.T) {
	t.Parallel()
	const streams = 2000
	m := startMember(t, natstest.ServeSmall(t), memberOptions{})
	node := m.nodes.Node()
	var enter, strike sync.WaitGroup
	for i := range streams {
		begun := make(chan struct{})
		enter.Go(func() {
			ctx, cancel := context.WithCancel(context.Background())
			if i%3 == 0 { // whoever waited for the record has left
				cancel()
			}
			defer cancel()
			close(begun)
			m.ledger.Put(ctx, streamEntry(node, i))
			if i%2 == 0 {
				m.ledger.Delete(node, streamEntry(node, i).Token)
			}
		})
		strike.Go(func() {
			<-begun
			if i%5 == 0 { // while it is being written
				natstest.Eventually(t, "it is in the queue or has left", func() bool {
					c := changeOf(m.ledger.queue, keyOf(node, streamEntry(node, i).Token))
					return c == nil || c.busy
				})
			}
			m.ledger.Delete(node, streamEntry(node, i).Token)
		})
	}
	enter.Wait()
	strike.Wait()
	for i := range streams { // those whose strike came before the enter
		m.ledger.Delete(node, streamEntry(node, i).Token)
	}
	natstest.Eventually(t, "nothing waits", func() bool { s := m.ledger.Stats(); return s.WaitingEnters+s.WaitingStrikes == 0 })
	if n := m.records(t, node); n != 0 {
		t.Errorf("%d records are left, want none", n)
	}
}

// changeOf copies the change of a record that is on its way.
func changeOf(q *queue, key recordKey) *change {
	q.mu.Lock()
	defer q.mu.Unlock()
	if c := q.changes[key]; c != nil {
		return new(*c)
	}
	return nil
}

func TestLedgerWritesNothingOfANodeWithoutALease(t *testing.T) {
	t.Parallel()
	m := newMember(t, memberEngine(t, natstest.ServeSmall(t)), memberOptions{})
	node := m.nodes.Node()
	ctx, cancel := context.WithCancel(t.Context())
	var ledger, nodes sync.WaitGroup
	ledger.Go(func() { _ = m.ledger.Run(ctx, nil) })
	entered := make(chan struct{})
	go func() { // entered waits for it
		m.ledger.Put(context.Background(), streamEntry(node, 0))
		close(entered)
	}()
	natstest.Eventually(t, "writing was tried", func() bool {
		m.ledger.queue.mu.Lock()
		defer m.ledger.queue.mu.Unlock()
		return m.ledger.queue.entering.misses > 1
	})
	if n := m.records(t, node); n != 0 {
		t.Errorf("%d records of a node that has no lease", n)
	}
	nodes.Go(func() {
		_ = m.nodes.Run(ctx, func(context.Context, wire.PeerRequest) wire.PeerAnswer { return wire.PeerAnswer{} })
	})
	<-entered
	if n := m.records(t, node); n != 1 {
		t.Errorf("%d records after the node has joined, want 1", n)
	}
	cancel()
	ledger.Wait()
	nodes.Wait()
}

func TestLedgerCatchesUpAfterAnOutage(t *testing.T) {
	t.Parallel()
	p := natstest.NewProxy(t, natstest.ServeSmall(t))
	m := startMember(t, p.URL, memberOptions{nodes: membership.Options{RenewEvery: 100 * time.Millisecond}, ledger: Options{WriteTimeout: 200 * time.Millisecond}})
	node := m.nodes.Node()
	m.enterAll(t, node, 10)
	p.Freeze()
	waited, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	var enter sync.WaitGroup
	for i := range 10 {
		enter.Go(func() { m.ledger.Put(waited, streamEntry(node, 10+i)) })
	}
	enter.Wait() // Enter ends with its context
	for i := range 15 {
		m.ledger.Delete(node, streamEntry(node, i).Token)
	}
	if s := m.ledger.Stats(); s.WaitingStrikes < 10 {
		t.Errorf("stats = %+v, want strikes waiting", s)
	}
	p.Thaw()
	natstest.Eventually(t, "nothing waits", func() bool { s := m.ledger.Stats(); return s.WaitingEnters+s.WaitingStrikes == 0 })
	if n := m.records(t, node); n != 5 {
		t.Errorf("%d records, want the 5 that were not struck", n)
	}
}

func TestLedgerIsBoundedWhileTheEngineIsAway(t *testing.T) {
	t.Parallel()
	m := newMember(t, memberEngine(t, natstest.ServeSmall(t)), memberOptions{ledger: Options{MaxEnters: 2, MaxStrikes: 3}})
	node := m.nodes.Node()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for i := range 5 { // nobody writes
		m.ledger.Put(gone, streamEntry(node, i))
	}
	for i := range 7 {
		m.ledger.Delete("somebody", streamEntry(node, i).Token)
	}
	s := m.ledger.Stats()
	if s.WaitingEnters != 2 || s.DroppedEnters != 3 || s.WaitingStrikes != 3 || s.DroppedStrikes != 4 {
		t.Errorf("stats = %+v, want 2 and 3 waiting, 3 and 4 dropped", s)
	}
	// One that waits for room gets it.
	entered := make(chan struct{})
	go func() { // entered waits for it
		ctx, cancel := context.WithTimeout(context.Background(), natstest.Patience)
		defer cancel()
		m.ledger.Put(ctx, streamEntry(node, 9))
		close(entered)
	}()
	natstest.Eventually(t, "it waits for room", func() bool {
		m.ledger.queue.mu.Lock()
		defer m.ledger.queue.mu.Unlock()
		return m.ledger.queue.room != nil
	})
	m.run(t, memberOptions{})
	<-entered
	natstest.Eventually(t, "all is written", func() bool { return m.records(t, node) == 3 })
}

func TestLedgerGivesUpWhatTheEngineRefuses(t *testing.T) {
	t.Parallel()
	m := startMember(t, natstest.ServeSmall(t), memberOptions{}) // takes 64 KiB
	node := m.nodes.Node()
	large := streamEntry(node, 0)
	large.Token = string(make([]byte, 70_000))
	ctx, cancel := context.WithTimeout(t.Context(), natstest.Patience)
	defer cancel()
	m.ledger.Put(ctx, large)
	if s := m.ledger.Stats(); ctx.Err() != nil || s.DroppedEnters != 1 || s.WaitingEnters != 0 {
		t.Errorf("stats = %+v (%v), want 1 dropped at once", s, ctx.Err())
	}
	m.enterAll(t, node, 1)
}

func TestLedgerKnowsWhatIsFinal(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]bool{
		natsgo.ErrMaxPayload: true, natsgo.ErrTimeout: false, natsgo.ErrConnectionClosed: false, context.DeadlineExceeded: false, errNotJoined: false,
		&jetstream.APIError{Code: 400, ErrorCode: 10054}:                                      true,
		&jetstream.APIError{Code: 400, ErrorCode: jetstream.JSErrCodeStreamWrongLastSequence}: false,
		&jetstream.APIError{Code: 503, ErrorCode: 10008}:                                      false,
		fmt.Errorf("wrapped: %w", &jetstream.APIError{Code: 400, ErrorCode: 10054}):           true,
	} {
		if got := finalRefusal(err); got != want {
			t.Errorf("finalRefusal(%v) = %v, want %v", err, got, want)
		}
	}
}

func TestLedgerStopsWithoutAnEngine(t *testing.T) {
	t.Parallel()
	m := startMember(t, natstest.ServeSmall(t), memberOptions{ledger: Options{StopPatience: 50 * time.Millisecond}})
	m.kill()
	m.ledger.Delete(m.nodes.Node(), "a stream")
	begun := time.Now()
	m.end()
	if took := time.Since(begun); took > natstest.Patience {
		t.Errorf("it took %v", took)
	}
	if s := m.ledger.Stats(); s.WaitingStrikes != 1 {
		t.Errorf("stats = %+v, want the strike waiting", s)
	}
}

func TestRunsCanBeStartedAndStopped(t *testing.T) {
	t.Parallel()
	url := natstest.ServeSmall(t)
	for range 50 {
		m := newMember(t, memberEngine(t, url), memberOptions{})
		m.run(t, memberOptions{})
		m.end()
		m.e.Close()
	}
}

func BenchmarkLedger(b *testing.B) {
	m := startMember(b, natstest.ServeSmall(b), memberOptions{})
	node := m.nodes.Node()
	b.ReportAllocs()
	const streams = 5000
	for b.Loop() {
		m.enterAll(b, node, streams)
		for i := range streams {
			m.ledger.Delete(node, streamEntry(node, i).Token)
		}
		natstest.Eventually(b, "all is struck", func() bool { return m.ledger.Stats().WaitingStrikes == 0 })
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/streams, "ns/stream")
}
