package eventlog

import (
	"errors"
	"testing"

	"tidegate/internal/storage/natstest"
	"tidegate/internal/topic"
)

// runHubAt is runHub for a node that is given the newest back events.
func runHubAt(t *testing.T, url string, back int) *hubNode {
	t.Helper()
	e := openURL(t, url)
	return runHub(t, e, makeEV(t, e, 1), Options{StartBack: back})
}

func (n *hubNode) mustPublish(t *testing.T, p topic.Publication) topic.Receipt {
	t.Helper()
	r, err := n.hub.Publish(t.Context(), p)
	if err != nil {
		t.Fatalf("Publish(%+v) = %v", p, err)
	}
	return r
}

func event(name, data, key string) topic.Publication {
	return topic.Publication{Topic: name, HasEvent: true, Data: data, Key: key}
}

// What was answered by one node is answered by another one, and by one that began
// later and has been given only the newest event.
func TestRepeatAtAClosedTopicGetsTheFirstIDFromAnyNode(t *testing.T) {
	t.Parallel()
	s, _ := natstest.Serve(t, t.TempDir(), 0)
	first := runHubAt(t, s.URL(), 0)
	other := runHubAt(t, s.URL(), 0)
	middle := event("a", "1", "middle")
	end := event("a", "2", "end")
	end.Close = true
	want := map[string]string{"middle": first.mustPublish(t, middle).ID, "end": first.mustPublish(t, end).ID}
	first.mustPublish(t, event("b", "1", ""))
	later := runHubAt(t, s.URL(), 1)
	for name, n := range map[string]*hubNode{"other": other, "later": later} {
		for _, p := range []topic.Publication{middle, end} {
			if got := n.mustPublish(t, p); got.ID != want[p.Key] {
				t.Errorf("%s: the repeat of %s has the id %s, want %s", name, p.Key, got.ID, want[p.Key])
			}
		}
		if _, err := n.hub.Publish(t.Context(), event("a", "3", "new")); !errors.Is(err, topic.ErrClosed) {
			t.Errorf("%s: Publish with another key = %v", name, err)
		}
	}
}

// The key of an event says which life of its topic it belongs to. A node that did not see the
// topic's deletion answers the same as one that did.
func TestRepeatAfterADeleteGetsTheFirstIDFromAnyNode(t *testing.T) {
	t.Parallel()
	s, _ := natstest.Serve(t, t.TempDir(), 0)
	n := runHubAt(t, s.URL(), 0)
	old := n.mustPublish(t, event("a", "1", "k"))
	if err := n.hub.Delete(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	first := n.mustPublish(t, event("a", "1", "k"))
	if first.ID == old.ID {
		t.Fatal("the key of the deleted topic swallowed an event of the new one")
	}
	n.mustPublish(t, event("b", "1", ""))
	for _, back := range []int{1, 2, 0} { // it knows the topic by a look, by its newest event, by all
		if got := runHubAt(t, s.URL(), back).mustPublish(t, event("a", "1", "k")); got.ID != first.ID {
			t.Errorf("a node that began %d events back answers %s, want %s", back, got.ID, first.ID)
		}
	}
}
