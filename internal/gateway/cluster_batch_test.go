package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/internal/gateway"
	"tidegate/internal/topic"
	"tidegate/internal/wire"
)

// slowStore is a [topic.Store] that takes its time for each event.
type slowStore struct {
	hub   *topic.Hub
	delay func(e topic.Entry) time.Duration // set before the first event
	fail  func(e topic.Entry) error

	mu     sync.Mutex
	stored []string // guarded by mu: data in the order in which it was stored
	calls  []int    // guarded by mu: entries of each call
}

// slow starts a gateway whose logs are in a slow store.
func slow(t testing.TB, s *slowStore) *rig {
	t.Helper()
	return cluster(t, pipes, func(o *gateway.Options) {
		s.hub = topic.New(topic.Options{
			Default: topic.Retention{Events: 1000, Replay: topic.ReplayAll}, Store: s, Generation: "slowstor",
		})
		s.hub.Begin(1, 0, "")
		o.Topics = s.hub
	}, nodeA)[0]
}

// AppendAll implements [topic.Store]: one event of a topic after the other.
func (s *slowStore) AppendAll(ctx context.Context, entries []topic.Entry) []topic.Result {
	s.mu.Lock()
	s.calls = append(s.calls, len(entries))
	s.mu.Unlock()
	results := make([]topic.Result, len(entries))
	var working sync.WaitGroup
	for _, e := range entries {
		if own := slices.IndexFunc(entries, func(o topic.Entry) bool { return o.Topic == e.Topic }); entries[own] != e {
			continue // not the first of its topic
		}
		working.Go(func() {
			var at []int
			var own []topic.Entry
			for i, o := range entries {
				if o.Topic == e.Topic {
					at, own = append(at, i), append(own, o)
				}
			}
			for i, r := range topic.OneByOne(ctx, own, s.append) {
				results[at[i]] = r
			}
		})
	}
	working.Wait()
	return results
}

func (s *slowStore) append(_ context.Context, e topic.Entry) (topic.Appended, error) {
	if s.delay != nil {
		time.Sleep(s.delay(e))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		if err := s.fail(e); err != nil {
			return topic.Appended{}, err
		}
	}
	s.stored = append(s.stored, e.Data)
	got := topic.Stored{Entry: e, Seq: uint64(len(s.stored)), At: int64(len(s.stored)), PrevKnown: true}
	a := s.hub.Apply([]topic.Stored{got})[0]
	return topic.Appended{Seq: got.Seq, At: got.At, Receivers: a.Receivers}, a.Err
}

// The rest of [topic.Store] is not needed: the hub has been given everything.
func (s *slowStore) Read(context.Context, string, uint64, uint64, func(topic.Stored) error) error {
	return errors.New("nothing has to be read back")
}
func (s *slowStore) Last(context.Context, string) (e topic.Stored, ok bool, err error) {
	return e, false, nil
}
func (s *slowStore) Find(context.Context, topic.Entry, uint64, uint64) (a topic.Appended, ok bool, err error) {
	return a, false, nil
}
func (s *slowStore) Time(context.Context, uint64) (at int64, exact bool, err error) {
	return 0, false, nil
}
func (s *slowStore) Trim(string, int)                            {}
func (s *slowStore) Discarded() uint64                           { return 0 }
func (s *slowStore) Lost(string) uint64                          { return 0 }
func (s *slowStore) Purge(context.Context, string, uint64) error { return nil }

func topicLine(name, data string) string {
	return `{"topic":` + quote(name) + `,"event":{"data":` + quote(data) + `}}`
}

func tokenLine(token, data string) string {
	return `{"token":` + quote(token) + `,"event":{"data":` + quote(data) + `}}`
}

// TestABatchIsAnsweredInOrderHoweverItWasStored: and different topics do not wait
// for each other.
func TestABatchIsAnsweredInOrderHoweverItWasStored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const topics, each = 10, 3
		s := &slowStore{delay: func(e topic.Entry) time.Duration { // the first topic is the slowest
			return time.Duration(topics-int(e.Topic[len(e.Topic)-1]-'0')) * time.Second
		}}
		r := slow(t, s)
		_, token := r.accepted("/x")
		var lines, want []string
		for i := range each {
			for j := range topics {
				lines = append(lines, topicLine(fmt.Sprint("x:", j), fmt.Sprint(j, "/", i)))
				want = append(want, "200 ok")
			}
			lines = append(lines, tokenLine(token, "x"), "no message", tokenLine("nobody", "x"))
			want = append(want, "200 ok", "400 INVALID_JSON", "404 TOKEN_NOT_FOUND")
		}
		begin := time.Now()
		_, answers := r.batch(strings.Join(lines, "\n"))
		if took := time.Since(begin); took != topics*each*time.Second {
			t.Errorf("took %s, want that of the slowest topic", took)
		}
		if got := outcomesOf(t, answers); !slices.Equal(got, want) {
			t.Errorf("answers\n got %v\nwant %v", got, want)
		}
		// Each topic's ids rise from line to line, as its events do.
		for j := range topics {
			var data []string
			for _, d := range s.stored {
				if strings.HasPrefix(d, fmt.Sprint(j, "/")) {
					data = append(data, d)
				}
			}
			if want := []string{fmt.Sprint(j, "/0"), fmt.Sprint(j, "/1"), fmt.Sprint(j, "/2")}; !slices.Equal(data, want) {
				t.Errorf("topic %d was stored as %v, want %v", j, data, want)
			}
			for i, d := range data {
				n := slices.Index(s.stored, d) + 1
				id := fmt.Sprintf("slowstor-%s-%[1]s", strconv.FormatInt(int64(n), 36))
				if got := fieldOf(t, answers[i*(topics+3)+j], "id"); got != id {
					t.Errorf("answer to %s has the id %s, want %s", d, got, id)
				}
			}
		}
	})
}

// TestLinesForTopicsAreStoredInFewCalls: of a bounded size each.
func TestLinesForTopicsAreStoredInFewCalls(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		lines, size int
		calls       []int
	}{{600, 1, []int{256, 256, 88}}, {5, 100_000, []int{3, 2}}} {
		synctest.Test(t, func(t *testing.T) {
			s := &slowStore{delay: func(topic.Entry) time.Duration { return time.Second }}
			r := slow(t, s)
			var lines []string
			for i := range c.lines {
				lines = append(lines, topicLine(fmt.Sprint("x:", i), strings.Repeat("x", c.size)))
			}
			if _, answers := r.batch(strings.Join(lines, "\n")); len(answers) != c.lines {
				t.Errorf("%d answers, want %d", len(answers), c.lines)
			}
			slices.Sort(s.calls)
			slices.Reverse(s.calls)
			if !slices.Equal(s.calls, c.calls) {
				t.Errorf("calls with %v entries, want %v", s.calls, c.calls)
			}
		})
	}
}

// TestALineIsPublishedWhileItsSenderPauses: nothing waits for the end of a body.
func TestALineIsPublishedWhileItsSenderPauses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := new(slowStore)
		r := slow(t, s)
		b := r.slowBatch(t, false)
		for i := range 3 {
			b.write(topicLine("x:1", fmt.Sprint(i)) + "\n" + topicLine("x:2", fmt.Sprint(i)) + "\n")
			time.Sleep(time.Second)
			s.mu.Lock()
			if got := len(s.stored); got != 2*(i+1) {
				t.Errorf("%d events are stored while the sender pauses, want %d", got, 2*(i+1))
			}
			s.mu.Unlock()
		}
		if got := b.end(); strings.Count(got, `"code":200`) != 6 {
			t.Errorf("answer %s, want 6 lines taken", got)
		}
	})
}

// TestNothingIsTakenBehindALineOfAnEarlierCall: what a call could not store refuses
// the lines of the next ones as well.
func TestNothingIsTakenBehindALineOfAnEarlierCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slowStore{
			delay: func(topic.Entry) time.Duration { return time.Millisecond },
			fail: func(e topic.Entry) error {
				if e.Data == "10" {
					return errors.New("no answer")
				}
				return nil
			},
		}
		r := slow(t, s)
		var lines []string
		for i := range 600 {
			lines = append(lines, topicLine("x:1", fmt.Sprint(i)), topicLine("x:2", "other"))
		}
		_, answers := r.batch(strings.Join(lines, "\n"))
		for i, got := range outcomesOf(t, answers) {
			want := "200 ok"
			if i%2 == 0 && i/2 >= 10 {
				want = "503 ENGINE_UNAVAILABLE"
			}
			if got != want {
				t.Fatalf("line %d: %s, want %s", i, got, want)
			}
		}
		if got := len(s.stored); got != 610 {
			t.Errorf("%d events stored, want 10 of one topic and 600 of the other", got)
		}
		if n := r.count(`tidegate_sends_total{code="ENGINE_UNAVAILABLE",target="topic"}`); n != "590" {
			t.Errorf("%s refused in the metrics, want 590", n)
		}
	})
}

// TestALineBehindOneThatMayBeStoredIsRefused: if it was taken and the other one is
// stored after all, or again, they would change places.
func TestALineBehindOneThatMayBeStoredIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slowStore{
			delay: func(topic.Entry) time.Duration { return time.Second },
			fail: func(e topic.Entry) error {
				if e.Data == "lost" {
					return errors.New("no answer")
				}
				return nil
			},
		}
		r := slow(t, s)
		_, answers := r.batch(strings.Join([]string{
			topicLine("x:1", "1"), topicLine("x:2", "a"), topicLine("x:1", "lost"), topicLine("x:1", "3"), topicLine("x:2", "b"), topicLine("x:1", "4"),
		}, "\n"))
		want := []string{"200 ok", "200 ok", "503 ENGINE_UNAVAILABLE", "503 ENGINE_UNAVAILABLE", "200 ok", "503 ENGINE_UNAVAILABLE"}
		if got := outcomesOf(t, answers); !slices.Equal(got, want) {
			t.Errorf("answers %v, want %v", got, want)
		}
		slices.Sort(s.stored)
		if got := strings.Join(s.stored, " "); got != "1 a b" {
			t.Errorf("stored %s, want 1 a b", got)
		}
		if n := r.count(`tidegate_sends_total{code="ENGINE_UNAVAILABLE",target="topic"}`); n != "3" {
			t.Errorf("%s refused in the metrics, want 3", n)
		}
		if _, answers := r.batch(topicLine("x:1", "next")); outcomesOf(t, answers)[0] != "200 ok" {
			t.Errorf("the next batch: %v, want it taken", answers)
		}
	})
}

// TestALineBehindOneThatFoundNoRoomIsRefused: its sender will send that again, and
// it would come behind what was sent after it.
func TestALineBehindOneThatFoundNoRoomIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slowStore{fail: func(e topic.Entry) error {
			if e.Data == "full" {
				return &wire.Error{Status: http.StatusServiceUnavailable, Code: wire.CodeEngineFull, Message: "full"}
			}
			return nil
		}}
		_, answers := slow(t, s).batch(strings.Join([]string{
			topicLine("x:1", "1"), topicLine("x:1", "full"), topicLine("x:2", "a"), topicLine("x:1", "3"), topicLine("x:2", "b"),
		}, "\n"))
		want := []string{"200 ok", "503 ENGINE_FULL", "200 ok", "503 ENGINE_FULL", "200 ok"}
		if got := outcomesOf(t, answers); !slices.Equal(got, want) {
			t.Errorf("answers %v, want %v", got, want)
		}
	})
}

// TestAMessageForAStreamDoesNotWaitForTheStore: wherever it is in a batch.
func TestAMessageForAStreamDoesNotWaitForTheStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slowStore{delay: func(topic.Entry) time.Duration { return time.Minute }}
		r := slow(t, s)
		c, token := r.accepted("/x")
		b := r.slowBatch(t, false)
		b.write(strings.Join([]string{tokenLine(token, "1"), topicLine("x:1", "slow"), tokenLine(token, "2"), ""}, "\n"))
		answer := make(chan string)
		go func() { answer <- b.end() }() // waited for below
		time.Sleep(time.Second)
		if got, want := c.text(), "data: 1\n\ndata: 2\n\n"; got != want {
			t.Errorf("stream %q while the store is waited for, want %q", got, want)
		}
		r.mustSend(token, "3", "ok")
		c.until("data: 3\n\n")
		if got := <-answer; strings.Count(got, `"code":200`) != 3 {
			t.Errorf("answer %s, want 3 lines taken", got)
		}
	})
}

// TestAMessageForAStreamDoesNotWaitForAnotherNode: nor do those for streams of
// that node, if they are for different ones.
func TestAMessageForAStreamDoesNotWaitForAnotherNode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := new(slowStore)
		r := slow(t, s)
		other := &member{all: r.member.all, name: nodeB, deaf: true}
		r.member.all.members[nodeB] = other
		c, token := r.accepted("/x")
		away := []string{strings.Repeat("A", 22) + nodeB, strings.Repeat("B", 21) + "A" + nodeB}
		begin := time.Now()
		b := r.slowBatch(t, false)
		b.write(strings.Join([]string{
			tokenLine(token, "1"), tokenLine(away[0], "x"), tokenLine(token, "2"), tokenLine(away[1], "x"), tokenLine(away[0], "y"), topicLine("x:1", "x"), "",
		}, "\n"))
		answer := make(chan string)
		go func() { answer <- b.end() }() // waited for below
		time.Sleep(time.Second)
		if got, want := c.text(), "data: 1\n\ndata: 2\n\n"; got != want {
			t.Errorf("stream %q while a node is waited for, want %q", got, want)
		}
		got := strings.Split(strings.TrimSpace(<-answer), "\n")
		want := []string{"200 ok", "503 ENGINE_UNAVAILABLE", "200 ok", "503 ENGINE_UNAVAILABLE", "503 ENGINE_UNAVAILABLE", "200 ok"}
		if outcomes := outcomesOf(t, got); !slices.Equal(outcomes, want) {
			t.Errorf("answers %v, want %v", outcomes, want)
		}
		if took := time.Since(begin); took != 5*time.Second {
			t.Errorf("took %s, want 5s: the time that a node has for an answer, once", took)
		}
		if n := r.member.asks(); n != 2 {
			t.Errorf("%d requests to the node, want 2: nothing goes behind a message that may have been taken", n)
		}
	})
}

func TestABatchForStreamsOfAllNodesIsAnsweredInOrder(t *testing.T) {
	t.Parallel()
	rigs := cluster(t, sockets, func(o *gateway.Options) {
		s := new(slowStore)
		s.hub = topic.New(topic.Options{Store: s, Generation: "faststor"})
		s.hub.Begin(1, 0, "")
		o.Topics = s.hub
	}, nodeA, nodeB, nodeC)
	var clients []*client
	var lines, want []string
	tokens := make([]string, 3)
	for i, r := range rigs {
		var c *client
		c, tokens[i] = r.accepted("/x")
		clients = append(clients, c)
	}
	var events strings.Builder
	for i := range 100 {
		for _, token := range tokens {
			lines, want = append(lines, tokenLine(token, fmt.Sprint(i))), append(want, "200 ok")
		}
		lines, want = append(lines, tokenLine(strings.Repeat("A", 22)+"nobody99", "x")), append(want, "404 TOKEN_NOT_FOUND")
		fmt.Fprintf(&events, "data: %d\n\n", i)
	}
	_, answers := rigs[1].batch(strings.Join(lines, "\n"))
	for i, got := range outcomesOf(t, answers) {
		if got != want[i] {
			t.Fatalf("answer %d: %s, want %s", i, got, want[i])
		}
	}
	for i, c := range clients {
		if got := c.until("data: 99\n\n"); got != events.String() {
			t.Errorf("stream of node %d: %q, want all in order", i, got)
		}
	}
}
