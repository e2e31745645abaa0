package eventlog

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"tidegate/internal/storage/natstest"
	"tidegate/internal/topic"
)

// stored is what the log has of a topic from a position on, as a client would be
// given it.
func stored(t testing.TB, l *Log, name string, from uint64) string {
	t.Helper()
	events, err := readAll(l, name, from, 1<<40)
	if err != nil {
		t.Fatalf("Read(%s) = %v", name, err)
	}
	var words []string
	for _, e := range events {
		words = append(words, e.Data)
	}
	return strings.Join(words, " ")
}

// TestALogThatWentBackAndWasFilledAgainIsServedAsItIs: a server comes back with an
// older folder, others publish before this node has looked at it, and this node's
// own publishers do. Streams get all events that they have not had, or a reset.
func TestALogThatWentBackAndWasFilledAgainIsServedAsItIs(t *testing.T) {
	t.Parallel()
	for _, newOnes := range []int{0, 2, 3, 7} {
		t.Run(fmt.Sprint(newOnes, " new ones for 3"), func(t *testing.T) {
			t.Parallel()
			dir, backup := t.TempDir(), t.TempDir()
			s, stop := natstest.Serve(t, dir, 0)
			port := s.Port(t)
			e := openURL(t, s.URL())
			n := runHub(t, e, makeEV(t, e, 1), Options{})
			for i := range 3 {
				n.publish(t, "a", fmt.Sprint("kept", i))
			}
			quiet := n.connect(t, "", "b")
			stop()
			copyDir(t, dir, backup)
			_, stop = natstest.Serve(t, dir, port)
			for i := range 3 {
				n.publish(t, "a", fmt.Sprint("lost", i))
			}
			saw, behind := n.connect(t, "", "a"), n.connect(t, "", "b")
			stop()
			publishTo(t, backup, newOnes) // to b
			natstest.Serve(t, backup, port)
			var publishers sync.WaitGroup
			for i := range 4 { // whose condition is of what was lost
				publishers.Go(func() {
					p := topic.Publication{Topic: "a", HasEvent: true, Data: fmt.Sprint("meanwhile", i)}
					_, _ = n.hub.Publish(t.Context(), p) // it may fail with an unknown outcome
				})
			}
			publishers.Wait()
			logBecomes(t, "a rewind", func() bool { return n.Stats().Rewinds > 0 })
			for _, name := range []string{"a", "b"} {
				n.publish(t, name, "after")
				if got, _ := n.connect(t, "", name).got(t); got != stored(t, n.Log, name, 1) {
					t.Errorf("a newcomer at %s is given %q, stored is %q", name, got, stored(t, n.Log, name, 1))
				}
			}
			all := []struct {
				what, topic, want string
				stream            *client
			}{
				{"that saw what was lost", "a", "kept0 kept1 kept2 lost0 lost1 lost2 reset " + stored(t, n.Log, "a", 4), saw},
				{"of another topic", "b", stored(t, n.Log, "b", 1), quiet},
				{"of another topic, that stood behind", "b", stored(t, n.Log, "b", 1), behind},
			}
			for _, tt := range all {
				got, id := tt.stream.got(t)
				if got != tt.want {
					t.Errorf("the stream %s was given %q, want %q", tt.what, got, tt.want)
				}
				if got, _ := n.connect(t, id, tt.topic).got(t); got != "" {
					t.Errorf("the stream %s comes back and is given %q, want nothing", tt.what, got)
				}
			}
			if got := n.Stats().Rewinds; got != 1 {
				t.Errorf("%d rewinds, want 1", got)
			}
		})
	}
}

// TestIDsHoldAfterTheGenerationWasDrawnAnew: also those of events that were in memory.
func TestIDsHoldAfterTheGenerationWasDrawnAnew(t *testing.T) {
	t.Parallel()
	s, _ := natstest.Serve(t, t.TempDir(), 0)
	e := openURL(t, s.URL())
	n := runHub(t, e, makeEV(t, e, 1), Options{})
	n.publish(t, "a", "1")
	n.publish(t, "a", "2")
	open := n.connect(t, "", "a")
	redraw(t, e, "abcd2345")
	logBecomes(t, "a rewind", func() bool { return n.Stats().Rewinds > 0 })
	if got, _ := open.got(t); got != "1 2 reset" {
		t.Errorf("a stream whose id is void was given %q, want a reset", got)
	}
	for _, c := range []*client{open, n.connect(t, "", "a")} {
		_, id := c.got(t)
		if got, _ := n.connect(t, id, "a").got(t); got != "" || !strings.HasPrefix(id, "abcd2345-") {
			t.Errorf("back with %q it was given %q, want nothing", id, got)
		}
	}
}

// TestALogThatWentBackTwiceIsRewoundTwice: before anything was applied since, and
// filled up to where it was each time.
func TestALogThatWentBackTwiceIsRewoundTwice(t *testing.T) {
	t.Parallel()
	dir, backup, backup2 := t.TempDir(), t.TempDir(), t.TempDir()
	s, stop := natstest.Serve(t, dir, 0)
	port := s.Port(t)
	e := openURL(t, s.URL())
	n := runHub(t, e, makeEV(t, e, 1), Options{})
	n.publish(t, "a", "1")
	stop()
	copyDir(t, dir, backup2)
	_, stop = natstest.Serve(t, dir, port)
	n.publish(t, "a", "2")
	stop()
	copyDir(t, dir, backup)
	_, stop = natstest.Serve(t, dir, port)
	n.publish(t, "a", "3")
	c := n.connect(t, "", "a")
	for i, folder := range []string{backup, backup2} {
		stop()
		publishTo(t, folder, i) // none, and then one in the place of 2
		_, stop = natstest.Serve(t, folder, port)
		logBecomes(t, "a rewind", func() bool { return n.Stats().Rewinds == uint64(i+1) })
	}
	n.publish(t, "a", "after")
	if got, _ := c.got(t); got != "1 2 3 reset reset after" {
		t.Errorf("the stream was given %q, want two resets", got)
	}
	if got, _ := n.connect(t, "", "a").got(t); got != "1 after" {
		t.Errorf("a newcomer is given %q, want what is there", got)
	}
}
