package sessions

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/storage/membership"
	"tidegate/internal/storage/nats"
	"tidegate/internal/storage/natstest"
)

// oftenScanned are options of a store that is scanned all the time.
var oftenScanned = Options{CheckEvery: 50 * time.Millisecond, ScanEvery: 50 * time.Millisecond}

// lose has storage forget of a node what is under these keys, all if there are
// none, but not its records. Watchers are not notified.
func (m *member) forget(t testing.TB, node string, keys ...string) {
	t.Helper()
	bucket, err := m.e.JetStream().Stream(t.Context(), "KV_"+m.e.StreamName("NODES"))
	if err != nil {
		t.Fatal(err)
	}
	if len(keys) == 0 {
		keys = []string{leaseKey, registrationKey}
	}
	for _, key := range keys {
		if err := bucket.Purge(t.Context(), jetstream.WithPurgeSubject("$KV."+m.e.StreamName("NODES")+"."+key+node)); err != nil {
			t.Fatal(err)
		}
	}
}

// orphan writes a record as a node does that is not registered.
func (m *member) orphan(t testing.TB, node string, i int) {
	t.Helper()
	record := fmt.Appendf(nil, `{"node":%q,"token":"token-%d-%s"}`, node, i, node)
	if _, err := m.e.JetStream().Publish(t.Context(), m.sessions.subject(keyOf(node, streamEntry(node, i).Token)), record); err != nil {
		t.Fatal(err)
	}
}

func TestRecordsOfADeadNodeThatStorageHasLostAreTakenOver(t *testing.T) {
	t.Parallel()
	url := natstest.ServeSmall(t)
	taken := newTally()
	dead := startMember(t, url, memberOptions{nodes: quickNodes})
	node := dead.nodes.Node()
	dead.putAll(t, node, 30)
	dead.kill()
	witness := newMember(t, memberEngine(t, url), memberOptions{nodes: quickNodes})
	witness.forget(t, node)
	for _, name := range []string{"b", "c"} {
		startMember(t, url, memberOptions{nodes: quickNodes, sessions: oftenScanned, takeOver: taken.takeOver(name)})
	}
	natstest.Eventually(t, "all streams are taken over", func() bool { return taken.count() == 30 && witness.records(t, node) == 0 })
	natstest.Eventually(t, "the dead node is drained", func() bool { return witness.registration(t, node) == drained })
	if again := taken.twice(); len(again) > 0 {
		t.Errorf("%d streams were taken over more than once", len(again))
	}
}

func TestRecordsThatAClusterHasNoNodeOfAreTakenOver(t *testing.T) {
	t.Parallel()
	taken := newTally()
	o := memberOptions{nodes: quickNodes, sessions: oftenScanned, takeOver: taken.takeOver("b")}
	o.nodes.CutOffAfter, o.nodes.RenewEvery = 1500*time.Millisecond, 300*time.Millisecond
	m := openMember(t, openWith(t, nats.Options{URLs: natstest.StartCluster(t, 3).URLs()}), o)
	for i := range 5 {
		m.orphan(t, "forgotte", i)
	}
	natstest.Eventually(t, "all streams are taken over", func() bool { return taken.count() == 5 && m.records(t, "forgotte") == 0 })
}

func TestNodeAloneFindsRecordsOfAnEarlierLifeThatStorageHasLost(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := openMember(t, openWith(t, nats.Options{Dir: dir}), memberOptions{nodes: membership.Options{Alone: true}})
	node := first.nodes.Node()
	first.putAll(t, node, 20)
	first.forget(t, node)
	first.e.Close() // dies
	first.end()

	taken := newTally()
	o := memberOptions{nodes: quickNodes, sessions: oftenScanned, takeOver: taken.takeOver("second")}
	o.nodes.Alone = true
	second := openMember(t, openWith(t, nats.Options{Dir: dir}), o)
	second.putAll(t, second.nodes.Node(), 20)
	natstest.Eventually(t, "all are taken over", func() bool { return taken.count() == 20 && second.records(t, node) == 0 })
	if n := second.records(t, second.nodes.Node()); n != 20 {
		t.Errorf("%d records of its own, want all 20", n)
	}
}

func TestNodeThatStorageHasLostEndsItsStreamsBeforeTheFailover(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string][]string{"all of it": nil, "its lease": {leaseKey}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkStreamsEndBeforeFailover(t, lost...)
		})
	}
}

func checkStreamsEndBeforeFailover(t *testing.T, lost ...string) {
	t.Helper()
	url := natstest.ServeSmall(t)
	p := natstest.NewProxy(t, url)
	taken := newTally()
	ended := make(chan time.Time, 1)
	o := memberOptions{nodes: quickNodes, takeOver: taken.takeOver("itself")}
	o.nodes.CutOff = func(string) { ended <- time.Now() }
	lone := startMember(t, p.URL, o)
	old := lone.nodes.Node()
	lone.putAll(t, old, 50)

	p.Freeze() // it does not learn that its lease is gone
	witness := newMember(t, memberEngine(t, url), memberOptions{})
	witness.forget(t, old, lost...)
	other := startMember(t, url, memberOptions{nodes: quickNodes, sessions: oftenScanned, takeOver: taken.takeOver("other")})
	natstest.Eventually(t, "it is registered", func() bool { return other.registration(t, old) != "" })
	at := <-ended
	natstest.Eventually(t, "the other one is done", func() bool { return taken.count() == 50 && other.records(t, old) == 0 })
	taken.mu.Lock()
	first := taken.first
	taken.mu.Unlock()
	if !at.Before(first) {
		t.Errorf("streams ended at %v, after the failover began at %v", at, first)
	}
	p.Thaw()
	natstest.Eventually(t, "it is back under its new name", func() bool { return slices.Contains(other.nodes.Others(), lone.nodes.Node()) })
	lone.putAll(t, lone.nodes.Node(), 5)
	if again := taken.twice(); len(again) > 0 || taken.count() != 50 {
		t.Errorf("took over %d streams, %d of them twice; want 50 once", taken.count(), len(again))
	}
}

func TestNodeTakesOverItsOldNameThatStorageHasLostAndNotItsNewOne(t *testing.T) {
	t.Parallel()
	taken := newTally()
	o := memberOptions{nodes: quickNodes, takeOver: taken.takeOver("itself")}
	o.sessions = Options{CheckEvery: 50 * time.Millisecond} // a scan for each name
	p := natstest.NewProxy(t, natstest.ServeSmall(t))
	o.nodes.LeaseTTL, o.nodes.CutOffAfter = 8*time.Second, 6*time.Second // or a busy machine cuts it off once more
	ended := make(chan time.Time, 1)
	o.nodes.CutOff = func(string) {
		p.Cut() // the bucket is read again when the connection is back, after it has been lost
		p.Mend()
		ended <- time.Now()
	}
	m := newMember(t, memberEngine(t, p.URL), o)
	m.run(t, o)
	old := m.nodes.Node()
	m.putAll(t, old, 20)
	m.forget(t, old)
	at := <-ended
	natstest.Eventually(t, "it has another name", func() bool { return m.nodes.Node() != old })
	m.putAll(t, m.nodes.Node(), 20)
	natstest.Eventually(t, "all of the old name are taken over", func() bool { return taken.count() == 20 && m.records(t, old) == 0 })
	taken.mu.Lock()
	first := taken.first
	taken.mu.Unlock()
	if !at.Before(first) {
		t.Errorf("streams ended at %v, after the failover began at %v", at, first)
	}
	if n := m.records(t, m.nodes.Node()); n != 20 || m.nodes.Stats().CutOffs != 1 {
		t.Errorf("%d records of the new name, want 20; stats = %+v, want one cut-off", n, m.nodes.Stats())
	}
}

// A scan by a node that knows of nobody takes all nodes for unknown ones.
func TestScanLeavesNodesThatAreAliveAlone(t *testing.T) {
	t.Parallel()
	url := natstest.ServeSmall(t)
	taken := newTally()
	startMember(t, url, memberOptions{nodes: quickNodes, takeOver: taken.takeOver("b")})
	scanner := newMember(t, memberEngine(t, url), memberOptions{nodes: quickNodes})
	ctx, stop := context.WithCancel(t.Context())
	var scans sync.WaitGroup
	var done int
	scans.Go(func() {
		for ctx.Err() == nil {
			if err := scanner.sessions.scan(ctx); err != nil && ctx.Err() == nil {
				t.Errorf("scan = %v", err)
			}
			done++
		}
	})
	defer scans.Wait()
	defer stop()
	for range 15 {
		m := startMember(t, url, memberOptions{nodes: quickNodes})
		node := m.nodes.Node()
		m.putAll(t, node, 10)
		for i := range 10 {
			m.sessions.Delete(node, streamEntry(node, i).Token)
		}
		natstest.Eventually(t, "its records are out", func() bool { return m.records(t, node) == 0 })
		if s := m.nodes.Stats(); s.CutOffs != 0 {
			t.Errorf("stats = %+v, want no cut-off", s)
		}
		m.end()
	}
	stop()
	scans.Wait()
	if done < 15 {
		t.Errorf("there were %d scans, want at least one for each node that started", done)
	}
	if n := taken.count(); n != 0 {
		t.Errorf("took over %d streams, want none", n)
	}
}

func TestScanTakesNoLeaseOfANodeThatHoldsIt(t *testing.T) {
	t.Parallel()
	url := natstest.ServeSmall(t)
	m := startMember(t, url, memberOptions{nodes: quickNodes})
	node := m.nodes.Node()
	scanner := newMember(t, memberEngine(t, url), memberOptions{nodes: quickNodes})
	scanner.orphan(t, node, 1) // it is not registered
	if found, err := scanner.sessions.unknownNodes(t.Context()); err != nil || !slices.Equal(found, []string{node}) {
		t.Fatalf("unknown nodes = %v, %v; want the node %s, that it does not know", found, err, node)
	}
	if err := scanner.sessions.scan(t.Context()); err != nil {
		t.Fatal(err)
	}
	entry, err := m.bucket(t).Get(t.Context(), leaseKey+node)
	if err != nil || !strings.HasPrefix(string(entry.Value()), "node:") {
		t.Errorf("its lease is %v, %v; want that it has it", entry, err)
	}
	if on := m.registration(t, node); on != "" {
		t.Errorf("it is registered as %q, want nothing", on)
	}
}

func TestScanIsBounded(t *testing.T) {
	t.Parallel()
	m := newMember(t, memberEngine(t, natstest.ServeSmall(t)), memberOptions{sessions: Options{Failovers: 3}})
	const nodes = 8
	for i := range 3*scanBatch + 7 {
		if _, err := m.e.JetStream().PublishAsync(m.sessions.subject(keyOf(fmt.Sprintf("node%04d", i%nodes), fmt.Sprint(i))), []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	<-m.e.JetStream().PublishAsyncComplete()
	m.orphan(t, "lastnode", 0)
	for _, strange := range []string{"st.alone", "st.too.many.parts"} {
		if _, err := m.e.JetStream().Publish(t.Context(), m.e.Subject(strange), nil); err != nil {
			t.Fatal(err)
		}
	}
	for i := range nodes {
		if err := m.nodes.Register(t.Context(), fmt.Sprintf("node%04d", i)); err != nil {
			t.Fatal(err)
		}
	}
	watching, stop := context.WithCancel(t.Context())
	var watch sync.WaitGroup
	watch.Go(func() { _ = m.nodes.Run(watching, nil) })
	defer func() { stop(); watch.Wait() }()
	natstest.Eventually(t, "all nodes but the last are known", func() bool {
		for i := range nodes {
			if m.nodes.Unknown(fmt.Sprintf("node%04d", i)) {
				return false
			}
		}
		return true
	})
	if found, err := m.sessions.unknownNodes(t.Context()); err != nil || !slices.Equal(found, []string{"lastnode"}) {
		t.Errorf("unknown nodes = %v, %v; want the one at the end of %d records", found, err, 3*scanBatch)
	}
	nobody := newMember(t, m.e, memberOptions{sessions: Options{Failovers: 3}}) // does not watch
	if found, err := nobody.sessions.unknownNodes(t.Context()); err != nil || len(found) != 3 {
		t.Errorf("unknown nodes = %v, %v; want as many as are taken over at once, 3", found, err)
	}
	for name := range m.st.ConsumerNames(t.Context()).Name() {
		t.Errorf("consumer %s is left", name)
	}
}
