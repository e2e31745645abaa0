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

// oftenSurveyed is a ledger that is looked through all the time.
var oftenScanned = Options{CheckEvery: 50 * time.Millisecond, ScanEvery: 50 * time.Millisecond}

// lose has storage forget of a node what is under these keys, all if there are
// none, but not its records. Who watches is not told.
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

// orphan writes a record as a node does that is not on the roster.
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
	told := newTally()
	dead := startMember(t, url, memberOptions{nodes: quickNodes})
	node := dead.nodes.Node()
	dead.putAll(t, node, 30)
	dead.kill()
	witness := newMember(t, memberEngine(t, url), memberOptions{nodes: quickNodes})
	witness.forget(t, node)
	for _, name := range []string{"b", "c"} {
		startMember(t, url, memberOptions{nodes: quickNodes, sessions: oftenScanned, takeOver: told.takeOver(name)})
	}
	natstest.Eventually(t, "all streams are dealt with", func() bool { return told.count() == 30 && witness.records(t, node) == 0 })
	natstest.Eventually(t, "the dead is struck off", func() bool { return witness.registration(t, node) == drained })
	if again := told.twice(); len(again) > 0 {
		t.Errorf("%d streams were told of more than once", len(again))
	}
}

func TestRecordsThatAClusterHasNoNodeOfAreTakenOver(t *testing.T) {
	t.Parallel()
	told := newTally()
	o := memberOptions{nodes: quickNodes, sessions: oftenScanned, takeOver: told.takeOver("b")}
	o.nodes.CutOffAfter, o.nodes.RenewEvery = 1500*time.Millisecond, 300*time.Millisecond
	m := openMember(t, openWith(t, nats.Options{URLs: natstest.StartCluster(t, 3).URLs()}), o)
	for i := range 5 {
		m.orphan(t, "forgotte", i)
	}
	natstest.Eventually(t, "all streams are dealt with", func() bool { return told.count() == 5 && m.records(t, "forgotte") == 0 })
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

	told := newTally()
	o := memberOptions{nodes: quickNodes, sessions: oftenScanned, takeOver: told.takeOver("second")}
	o.nodes.Alone = true
	second := openMember(t, openWith(t, nats.Options{Dir: dir}), o)
	second.putAll(t, second.nodes.Node(), 20)
	natstest.Eventually(t, "all are dealt with", func() bool { return told.count() == 20 && second.records(t, node) == 0 })
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
	told := newTally()
	ended := make(chan time.Time, 1)
	o := memberOptions{nodes: quickNodes, takeOver: told.takeOver("itself")}
	o.nodes.CutOff = func(string) { ended <- time.Now() }
	lone := startMember(t, p.URL, o)
	old := lone.nodes.Node()
	lone.putAll(t, old, 50)

	p.Freeze() // it does not hear that its lease is gone
	witness := newMember(t, memberEngine(t, url), memberOptions{})
	witness.forget(t, old, lost...)
	heir := startMember(t, url, memberOptions{nodes: quickNodes, sessions: oftenScanned, takeOver: told.takeOver("other")})
	natstest.Eventually(t, "it is on the roster", func() bool { return heir.registration(t, old) != "" })
	at := <-ended
	natstest.Eventually(t, "the heir is done", func() bool { return told.count() == 50 && heir.records(t, old) == 0 })
	told.mu.Lock()
	first := told.first
	told.mu.Unlock()
	if !at.Before(first) {
		t.Errorf("streams ended at %v, after the heir's first act at %v", at, first)
	}
	p.Thaw()
	natstest.Eventually(t, "it is back under its new name", func() bool { return slices.Contains(heir.nodes.Others(), lone.nodes.Node()) })
	lone.putAll(t, lone.nodes.Node(), 5)
	if again := told.twice(); len(again) > 0 || told.count() != 50 {
		t.Errorf("told of %d streams, of %d twice; want 50 once", told.count(), len(again))
	}
}

func TestNodeTakesOverItsOldNameThatStorageHasLostAndNotItsNewOne(t *testing.T) {
	t.Parallel()
	told := newTally()
	o := memberOptions{nodes: quickNodes, takeOver: told.takeOver("itself")}
	o.sessions = Options{CheckEvery: 50 * time.Millisecond} // a survey for each name
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
	natstest.Eventually(t, "all of the old name are dealt with", func() bool { return told.count() == 20 && m.records(t, old) == 0 })
	told.mu.Lock()
	first := told.first
	told.mu.Unlock()
	if !at.Before(first) {
		t.Errorf("streams ended at %v, after the heir's first act at %v", at, first)
	}
	if n := m.records(t, m.nodes.Node()); n != 20 || m.nodes.Stats().CutOffs != 1 {
		t.Errorf("%d records of the new name, want 20; stats = %+v, want one cut-off", n, m.nodes.Stats())
	}
}

// A survey of one that knows of nobody takes all nodes for strangers.
func TestScanLeavesNodesThatAreAliveAlone(t *testing.T) {
	t.Parallel()
	url := natstest.ServeSmall(t)
	told := newTally()
	startMember(t, url, memberOptions{nodes: quickNodes, takeOver: told.takeOver("b")})
	surveyor := newMember(t, memberEngine(t, url), memberOptions{nodes: quickNodes})
	ctx, stop := context.WithCancel(t.Context())
	var surveys sync.WaitGroup
	var done int
	surveys.Go(func() {
		for ctx.Err() == nil {
			if err := surveyor.sessions.scan(ctx); err != nil && ctx.Err() == nil {
				t.Errorf("survey = %v", err)
			}
			done++
		}
	})
	defer surveys.Wait()
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
	surveys.Wait()
	if done < 15 {
		t.Errorf("there were %d surveys, want at least one for each node that started", done)
	}
	if n := told.count(); n != 0 {
		t.Errorf("told of %d streams, want none", n)
	}
}

func TestScanTakesNoLeaseOfANodeThatHoldsIt(t *testing.T) {
	t.Parallel()
	url := natstest.ServeSmall(t)
	m := startMember(t, url, memberOptions{nodes: quickNodes})
	node := m.nodes.Node()
	surveyor := newMember(t, memberEngine(t, url), memberOptions{nodes: quickNodes})
	surveyor.orphan(t, node, 1) // it is not on the roster
	if found, err := surveyor.sessions.unknownNodes(t.Context()); err != nil || !slices.Equal(found, []string{node}) {
		t.Fatalf("strangers = %v, %v; want the node %s, that it has not heard of", found, err, node)
	}
	if err := surveyor.sessions.scan(t.Context()); err != nil {
		t.Fatal(err)
	}
	entry, err := m.bucket(t).Get(t.Context(), leaseKey+node)
	if err != nil || !strings.HasPrefix(string(entry.Value()), "node:") {
		t.Errorf("its lease is %v, %v; want that it has it", entry, err)
	}
	if on := m.registration(t, node); on != "" {
		t.Errorf("the roster has it as %q, want nothing", on)
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
		t.Errorf("strangers = %v, %v; want the one at the end of %d records", found, err, 3*scanBatch)
	}
	nobody := newMember(t, m.e, memberOptions{sessions: Options{Failovers: 3}}) // does not watch
	if found, err := nobody.sessions.unknownNodes(t.Context()); err != nil || len(found) != 3 {
		t.Errorf("strangers = %v, %v; want as many as are dealt with at once, 3", found, err)
	}
	for name := range m.st.ConsumerNames(t.Context()).Name() {
		t.Errorf("consumer %s is left", name)
	}
}
