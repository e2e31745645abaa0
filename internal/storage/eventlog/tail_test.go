package eventlog

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/storage/natstest"
)

func TestTailBeginsSomeEventsBack(t *testing.T) {
	t.Parallel()
	s, _ := natstest.Serve(t, t.TempDir(), 0)
	e := openURL(t, s.URL())
	ev := makeEV(t, e, 1)
	n := runLog(t, e, ev, Options{})
	for i := range 20 {
		n.mustAppend(t, "a", fmt.Sprint(i))
	}
	if n.hub.floor != 1 || n.hub.floorAt != 0 {
		t.Errorf("an empty log begins at %d, behind what was stored at %d", n.hub.floor, n.hub.floorAt)
	}
	late := runLog(t, e, ev, Options{StartBack: 5})
	if h := late.hub; h.floor != 16 || h.floorAt != n.hub.all()[14].At || h.begun != 1 || len(h.all()) != 5 {
		t.Errorf("5 back from 20: from %d, behind what was stored at %d, %d events", h.floor, h.floorAt, len(h.all()))
	}
}

// What was dropped at the log's end never comes. It is not waited for.
func TestCaughtPassesWhatWasDropped(t *testing.T) {
	t.Parallel()
	s, _ := natstest.Serve(t, t.TempDir(), 0)
	e := openURL(t, s.URL())
	ev := makeEV(t, e, 1)
	n := runLog(t, e, ev, Options{})
	n.mustAppend(t, "a", "1")
	n.mustAppend(t, "b", "1")
	last := n.mustAppend(t, "b", "2")
	if err := n.Purge(t.Context(), "b", last.Seq+1); err != nil {
		t.Fatal(err)
	}
	some := runLog(t, e, ev, Options{})
	if got := len(some.hub.all()); got != 1 {
		t.Errorf("%d events", got)
	}
	if err := n.Purge(t.Context(), "a", last.Seq+1); err != nil {
		t.Fatal(err)
	}
	none := runLog(t, e, ev, Options{})
	if h := none.hub; h.floor != last.Seq+1 || h.floorAt != 0 {
		t.Errorf("an emptied log begins at %d, behind what was stored at %d", h.floor, h.floorAt)
	}
	for _, n := range []*logNode{n, some, none} {
		n.mustAppend(t, "c", "on")
	}
}

// TestMessageThatIsNoEventIsAHole: at its topic, if it has one.
func TestMessageThatIsNoEventIsAHole(t *testing.T) {
	t.Parallel()
	n := soloLog(t)
	n.mustAppend(t, "a", "1")
	for _, subject := range []string{"ev.a", "ev.=YQ", "ev.a.b"} {
		if _, err := n.e.JetStream().Publish(t.Context(), n.e.Subject(subject), []byte("hello")); err != nil {
			t.Fatal(err)
		}
	}
	n.mustAppend(t, "a", "2")
	if got := n.hub.data("a"); len(got) != 2 {
		t.Errorf("the hub was given %q", got)
	}
	if got := n.Stats().Unreadable; got != 3 {
		t.Errorf("%d could not be read, want 3", got)
	}
	if e := n.hub.all()[1]; len(n.hub.all()) != 3 || !e.Unreadable || e.Topic != "a" {
		t.Errorf("the hub was given %+v, want one of its topic that cannot be read", n.hub.all())
	}
	events, err := readAll(n.Log, "a", 1, 9)
	if err != nil || len(events) != 3 || !events[1].Unreadable {
		t.Errorf("read %+v, %v, want one that cannot be read", events, err)
	}
}

func TestTailOutlivesItsConsumer(t *testing.T) {
	t.Parallel()
	n := soloLog(t)
	n.mustAppend(t, "a", "1")
	for name := range n.ev.ConsumerNames(t.Context()).Name() {
		if err := n.ev.DeleteConsumer(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	n.mustAppend(t, "a", "2")
	if got := n.hub.data("a"); len(got) != 2 || n.Stats().TailStarts != 2 {
		t.Errorf("the hub was given %q, %+v", got, n.Stats())
	}
}

// A server is stopped and started with its folder while two nodes publish.
func TestRestartLosesAndRepeatsNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, stop := natstest.Serve(t, dir, 0)
	port := s.Port(t)
	var nodes []*logNode
	for range 2 {
		e := openURL(t, s.URL())
		nodes = append(nodes, runLog(t, e, makeEV(t, e, 1), Options{}))
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for round := range 3 {
			nodes[0].hub.until(t, "some events", func(h *fakeHub) bool { return len(h.events) >= (round+1)*100 })
			stop()
			_, stop = natstest.Serve(t, dir, port)
		}
	})
	answered := hammer(t, nodes, 4, 4, 100, nil)
	wg.Wait()
	for i, n := range nodes {
		n.hub.until(t, "all events", func(h *fakeHub) bool { return len(h.events) >= len(answered) })
		checkOrder(t, fmt.Sprint("node", i), n.hub.all(), answered)
		if len(n.hub.rewound) > 0 {
			t.Errorf("node %d was rewound to %v", i, n.hub.rewound)
		}
	}
}

// TestIDsAreOfTheGenerationThatTheLogBeginsWith: it may have been drawn anew since
// the node has opened the log.
func TestIDsAreOfTheGenerationThatTheLogBeginsWith(t *testing.T) {
	t.Parallel()
	s, _ := natstest.Serve(t, t.TempDir(), 0)
	e := openURL(t, s.URL())
	ev := makeEV(t, e, 1)
	redraw(t, e, "abcd2345")
	n := runHub(t, e, ev, Options{})
	if got := n.publish(t, "a", "1"); !strings.HasPrefix(got, "abcd2345-") {
		t.Errorf("the id %q is not of the log's generation", got)
	}
	if got, _ := n.connect(t, "formerly-0", "a").got(t); got != "reset 1" {
		t.Errorf("with an id of the generation before received %q, want a reset", got)
	}
}

// F12: a node whose link to the others is dead must not say that it is healthy.
func TestF12LagSaysThatTheLinkIsDead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, stop := natstest.Serve(t, dir, 0)
	port := s.Port(t)
	e := openURL(t, s.URL())
	ev := makeEV(t, e, 1)
	if got := newLog(e, ev, Options{}).Lag(); got.Connected || got.String() != "the event log has not been connected yet" {
		t.Errorf("before Run: %v", got)
	}
	n := runLog(t, e, ev, Options{})
	n.mustAppend(t, "a", "1")
	if got := n.Lag(); !got.Connected || got.Behind > 0 {
		t.Errorf("connected: %v", got)
	}
	stop()
	logBecomes(t, "not connected", func() bool { return !n.Lag().Connected })
	natstest.Serve(t, dir, port)
	logBecomes(t, "connected", func() bool { return n.Lag().Connected })
}

// logBecomes polls a state that nothing reports.
func logBecomes(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for late := time.Now().Add(natstest.Patience); !ok(); <-tick.C {
		if time.Now().After(late) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s, _ := natstest.Serve(t, t.TempDir(), 0)
	e := openURL(t, s.URL())
	ev := makeEV(t, e, 1)
	for i := range 50 {
		n := startLog(t, e, ev, Options{})
		if i%2 == 0 {
			n.caught(t)
		}
		n.stop()
	}
	// One whose making was interrupted ends by itself.
	logBecomes(t, "no consumers are left", func() bool {
		for range ev.ConsumerNames(t.Context()).Name() {
			return false
		}
		return true
	})
	running := openURL(t, s.URL())
	n := newLog(running, ev, Options{})
	result := make(chan error, 1)
	go func() { result <- n.Run(context.Background(), newFakeHub()) }() // ends with the connection
	if err := n.Caught(t.Context()); err != nil {
		t.Fatal(err)
	}
	running.Close()
	if err := <-result; err == nil {
		t.Error("Run whose connection is closed returns no error")
	}
	closed := openURL(t, s.URL())
	n = newLog(closed, makeEV(t, closed, 1), Options{})
	closed.Close()
	if err := n.Run(t.Context(), newFakeHub()); err == nil {
		t.Error("Run without a connection is no error")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.Caught(ctx); err == nil {
		t.Error("Caught of a log that never began is no error")
	}
}

// While there is no leader nobody answers. Publishers wait for the tail as soon as
// there is one, so it asks more than once a second.
func TestTailAsksOftenWhileThereIsNoLeader(t *testing.T) {
	t.Parallel()
	s, _ := natstest.Serve(t, t.TempDir(), 0)
	e := openURL(t, s.URL())
	makeEV(t, e, 1)
	name, asked := e.StreamName("EV"), make(chan time.Time, 100)
	var leads atomic.Bool
	leads.Store(true)
	sub, err := e.Conn().Subscribe("PLAYED.STREAM.INFO."+name, func(msg *natsgo.Msg) {
		if !leads.Load() {
			asked <- time.Now()
		} else if answer, err := e.Conn().Request("$JS.API.STREAM.INFO."+name, msg.Data, natstest.Patience); err == nil {
			_ = msg.Respond(answer.Data)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer unsubscribe(sub)
	js, err := jetstream.NewWithAPIPrefix(e.Conn(), "PLAYED")
	if err != nil {
		t.Fatal(err)
	}
	ev, err := js.Stream(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	leads.Store(false)
	n := &logNode{Log: newLog(e, ev, Options{}), hub: newFakeHub()}
	n.run(t, n.hub)
	before := <-asked
	var pauses []time.Duration
	for range 3 {
		at := <-asked
		pauses = append(pauses, at.Sub(before))
		before = at
	}
	slices.Sort(pauses)
	if pauses[1] > 900*time.Millisecond {
		t.Errorf("it asks again after %v, want less than a second", pauses)
	}
}
