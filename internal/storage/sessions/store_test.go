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

func TestStoreKeepsARecordUntilItIsDeleted(t *testing.T) {
	t.Parallel()
	m := startMember(t, natstest.ServeSmall(t), memberOptions{})
	node := m.nodes.Node()
	m.putAll(t, node, 3)
	if n := m.records(t, node); n != 3 {
		t.Fatalf("%d records after 3 were put", n)
	}
	for i := range 3 {
		m.sessions.Delete(node, streamEntry(node, i).Token)
	}
	natstest.Eventually(t, "the records are out", func() bool { return m.records(t, node) == 0 })
	natstest.Eventually(t, "both are counted", func() bool {
		s := m.sessions.Stats()
		return s.Written == 3 && s.Deleted == 3 && s.WaitingPuts+s.WaitingDeletes == 0
	})
}

func TestStoreLeavesNoRecordThatIsDeletedBeforeItIsWritten(t *testing.T) {
	t.Parallel()
	const streams = 2000
	m := startMember(t, natstest.ServeSmall(t), memberOptions{})
	node := m.nodes.Node()
	var put, remove sync.WaitGroup
	for i := range streams {
		begun := make(chan struct{})
		put.Go(func() {
			ctx, cancel := context.WithCancel(context.Background())
			if i%3 == 0 { // whoever waited for the record has left
				cancel()
			}
			defer cancel()
			close(begun)
			m.sessions.Put(ctx, streamEntry(node, i))
			if i%2 == 0 {
				m.sessions.Delete(node, streamEntry(node, i).Token)
			}
		})
		remove.Go(func() {
			<-begun
			if i%5 == 0 { // while it is being written
				natstest.Eventually(t, "it is in the queue or has left", func() bool {
					c := changeOf(m.sessions.queue, keyOf(node, streamEntry(node, i).Token))
					return c == nil || c.busy
				})
			}
			m.sessions.Delete(node, streamEntry(node, i).Token)
		})
	}
	put.Wait()
	remove.Wait()
	for i := range streams { // those whose delete came before the put
		m.sessions.Delete(node, streamEntry(node, i).Token)
	}
	natstest.Eventually(t, "nothing waits", func() bool { s := m.sessions.Stats(); return s.WaitingPuts+s.WaitingDeletes == 0 })
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

func TestStoreWritesNothingOfANodeWithoutALease(t *testing.T) {
	t.Parallel()
	m := newMember(t, memberEngine(t, natstest.ServeSmall(t)), memberOptions{})
	node := m.nodes.Node()
	ctx, cancel := context.WithCancel(t.Context())
	var store, nodes sync.WaitGroup
	store.Go(func() { _ = m.sessions.Run(ctx, nil) })
	written := make(chan struct{})
	go func() { // written waits for it
		m.sessions.Put(context.Background(), streamEntry(node, 0))
		close(written)
	}()
	natstest.Eventually(t, "writing was tried", func() bool {
		m.sessions.queue.mu.Lock()
		defer m.sessions.queue.mu.Unlock()
		return m.sessions.queue.putLine.misses > 1
	})
	if n := m.records(t, node); n != 0 {
		t.Errorf("%d records of a node that has no lease", n)
	}
	nodes.Go(func() {
		_ = m.nodes.Run(ctx, func(context.Context, wire.PeerRequest) wire.PeerAnswer { return wire.PeerAnswer{} })
	})
	<-written
	if n := m.records(t, node); n != 1 {
		t.Errorf("%d records after the node has joined, want 1", n)
	}
	cancel()
	store.Wait()
	nodes.Wait()
}

func TestStoreCatchesUpAfterAnOutage(t *testing.T) {
	t.Parallel()
	p := natstest.NewProxy(t, natstest.ServeSmall(t))
	m := startMember(t, p.URL, memberOptions{nodes: membership.Options{RenewEvery: 100 * time.Millisecond}, sessions: Options{WriteTimeout: 200 * time.Millisecond}})
	node := m.nodes.Node()
	m.putAll(t, node, 10)
	p.Freeze()
	waited, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	var put sync.WaitGroup
	for i := range 10 {
		put.Go(func() { m.sessions.Put(waited, streamEntry(node, 10+i)) })
	}
	put.Wait() // Put ends with its context
	for i := range 15 {
		m.sessions.Delete(node, streamEntry(node, i).Token)
	}
	if s := m.sessions.Stats(); s.WaitingDeletes < 10 {
		t.Errorf("stats = %+v, want deletes waiting", s)
	}
	p.Thaw()
	natstest.Eventually(t, "nothing waits", func() bool { s := m.sessions.Stats(); return s.WaitingPuts+s.WaitingDeletes == 0 })
	if n := m.records(t, node); n != 5 {
		t.Errorf("%d records, want the 5 that were not deleted", n)
	}
}

func TestStoreIsBoundedWhileTheEngineIsAway(t *testing.T) {
	t.Parallel()
	m := newMember(t, memberEngine(t, natstest.ServeSmall(t)), memberOptions{sessions: Options{MaxPuts: 2, MaxDeletes: 3}})
	node := m.nodes.Node()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for i := range 5 { // nobody writes
		m.sessions.Put(gone, streamEntry(node, i))
	}
	for i := range 7 {
		m.sessions.Delete("somebody", streamEntry(node, i).Token)
	}
	s := m.sessions.Stats()
	if s.WaitingPuts != 2 || s.DroppedPuts != 3 || s.WaitingDeletes != 3 || s.DroppedDeletes != 4 {
		t.Errorf("stats = %+v, want 2 and 3 waiting, 3 and 4 dropped", s)
	}
	// One that waits for room gets it.
	written := make(chan struct{})
	go func() { // written waits for it
		ctx, cancel := context.WithTimeout(context.Background(), natstest.Patience)
		defer cancel()
		m.sessions.Put(ctx, streamEntry(node, 9))
		close(written)
	}()
	natstest.Eventually(t, "it waits for room", func() bool {
		m.sessions.queue.mu.Lock()
		defer m.sessions.queue.mu.Unlock()
		return m.sessions.queue.room != nil
	})
	m.run(t, memberOptions{})
	<-written
	natstest.Eventually(t, "all is written", func() bool { return m.records(t, node) == 3 })
}

func TestStoreGivesUpWhatTheEngineRefuses(t *testing.T) {
	t.Parallel()
	m := startMember(t, natstest.ServeSmall(t), memberOptions{}) // takes 64 KiB
	node := m.nodes.Node()
	large := streamEntry(node, 0)
	large.Token = string(make([]byte, 70_000))
	ctx, cancel := context.WithTimeout(t.Context(), natstest.Patience)
	defer cancel()
	m.sessions.Put(ctx, large)
	if s := m.sessions.Stats(); ctx.Err() != nil || s.DroppedPuts != 1 || s.WaitingPuts != 0 {
		t.Errorf("stats = %+v (%v), want 1 dropped at once", s, ctx.Err())
	}
	m.putAll(t, node, 1)
}

func TestStoreKnowsWhatIsFinal(t *testing.T) {
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

func TestStoreStopsWithoutAnEngine(t *testing.T) {
	t.Parallel()
	m := startMember(t, natstest.ServeSmall(t), memberOptions{sessions: Options{StopPatience: 50 * time.Millisecond}})
	m.kill()
	m.sessions.Delete(m.nodes.Node(), "a stream")
	begun := time.Now()
	m.end()
	if took := time.Since(begun); took > natstest.Patience {
		t.Errorf("it took %v", took)
	}
	if s := m.sessions.Stats(); s.WaitingDeletes != 1 {
		t.Errorf("stats = %+v, want the delete waiting", s)
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

func BenchmarkStore(b *testing.B) {
	m := startMember(b, natstest.ServeSmall(b), memberOptions{})
	node := m.nodes.Node()
	b.ReportAllocs()
	const streams = 5000
	for b.Loop() {
		m.putAll(b, node, streams)
		for i := range streams {
			m.sessions.Delete(node, streamEntry(node, i).Token)
		}
		natstest.Eventually(b, "all is deleted", func() bool { return m.sessions.Stats().WaitingDeletes == 0 })
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/streams, "ns/stream")
}
