package topic_test

import (
	"fmt"
	"testing"
	"time"

	"tidegate/internal/topic"
)

// storedAt is an event as a store gives it. known says whether prev is right.
func storedAt(seq uint64, name, data string, number, prev uint64, known bool) topic.Stored {
	return topic.Stored{
		Entry: topic.Entry{Topic: name, HasEvent: true, Data: data, Number: number, Prev: prev},
		Seq:   seq, At: timeAt(seq), PrevKnown: known,
	}
}

// TestStreamsAreNotifiedOfWhatTheStoreDroppedBeforeTheyCouldHaveIt: this node was cut
// off while others published more than the topic keeps.
func TestStreamsAreNotifiedOfWhatTheStoreDroppedBeforeTheyCouldHaveIt(t *testing.T) {
	t.Parallel()
	for _, wide := range []int{1, 100} {
		for _, known := range []bool{true, false} {
			s := newFakeStore()
			h := s.start(durable, 0)
			h.FanOutOver(wide, 10)
			publish(t, h, "all:a", "1", "2")
			publish(t, h, "all:b", "3")
			a, _ := open(t, h, "", topic.FromDefault, "all:a")
			both, _ := open(t, h, storeID(h, 2), topic.FromDefault, "all:a", "all:b")
			b, _ := open(t, h, "", topic.FromDefault, "all:b")
			s.events = append(s.events, storedAt(11, "all:a", "11", 10, 10, known), storedAt(12, "all:a", "12", 11, 11, true))
			h.Apply(s.events[len(s.events)-2:])
			publish(t, h, "all:b", "13")
			for h.FanningOut() > 0 {
				h.Advance()
			}
			what := fmt.Sprintf("wide at %d, predecessor known: %v: ", wide, known)
			wantGot(t, what+"a stream at the topic", a, "1 2 reset 11 12")
			wantGot(t, what+"one at another one as well", both, "3 reset 11 12 13")
			wantGot(t, what+"one at another one", b, "3 13")
			if got := h.Stats().Resets; got != 2 {
				t.Errorf("%s%d resets were counted, want 2", what, got)
			}
			late, _ := open(t, h, storeID(h, 2), topic.FromDefault, "all:a")
			wantGot(t, what+"one that comes back from before", late, "reset 11 12")
			late, _ = open(t, h, storeID(h, 11), topic.FromDefault, "all:a")
			wantGot(t, what+"one that comes back from behind", late, "12")
		}
	}
}

// TestAStreamIsNotifiedOfWhatItsTopicHadFirst: the node had seen nothing of the topic.
func TestAStreamIsNotifiedOfWhatItsTopicHadFirst(t *testing.T) {
	t.Parallel()
	s := newFakeStore()
	h := s.start(durable, 0)
	publish(t, h, "all:b", "1")
	c, _ := open(t, h, "", topic.FromDefault, "all:a")
	h.Apply([]topic.Stored{storedAt(9, "all:a", "9", 5, 8, true)})
	wantGot(t, "the stream", c, "reset 9")
}

// TestNobodyIsNotifiedOfALossThatIsNone is about all that looks like a gap.
func TestNobodyIsNotifiedOfALossThatIsNone(t *testing.T) {
	t.Parallel()
	opts := durable
	opts.Namespaces = map[string]topic.Retention{
		"all":  durable.Namespaces["all"],
		"last": {Events: 1, Replay: topic.ReplayLast},
	}
	tests := []struct {
		name   string
		topic  string
		before []topic.Stored // in the store
		given  int            // of them, the newest, to the hub
		event  topic.Stored
	}{
		{"two nodes publish at once, and count the same", "all:a",
			[]topic.Stored{storedAt(1, "all:a", "", 1, 0, true), storedAt(2, "all:a", "", 2, 1, true)}, 2,
			storedAt(3, "all:a", "x", 2, 1, false)},
		{"a node that was started later counts less than others", "all:a",
			[]topic.Stored{storedAt(1, "all:a", "", 5, 0, false), storedAt(2, "all:b", "", 1, 0, true)}, 1,
			storedAt(3, "all:a", "x", 9, 1, false)},
		{"a publisher has not seen that the topic was deleted", "all:a",
			[]topic.Stored{
				storedAt(1, "all:a", "", 50, 0, true),
				{Entry: topic.Entry{Topic: "all:a", Delete: true, Age: time.Hour}, Seq: 2, At: timeAt(2), PrevKnown: true},
			}, 2,
			storedAt(3, "all:a", "x", 51, 1, false)},
		{"a publisher names what was lost, behind the event", "all:a",
			[]topic.Stored{storedAt(1, "all:a", "", 1, 0, true)}, 1,
			storedAt(3, "all:a", "x", 7, 1000, true)},
		{"a publisher names what was lost, where another topic's event is", "all:a",
			[]topic.Stored{storedAt(1, "all:a", "", 1, 0, true), storedAt(2, "all:b", "", 1, 0, true)}, 2,
			storedAt(3, "all:a", "x", 7, 2, true)},
		{"all that there was had expired when the stream came", "all:a",
			[]topic.Stored{storedAt(20, "all:b", "", 1, 0, true)}, 1,
			storedAt(21, "all:a", "x", 7, 12, true)},
		{"what was there before the node began is in the store", "all:a",
			[]topic.Stored{storedAt(1, "all:a", "", 1, 0, true), storedAt(2, "all:b", "", 1, 0, true)}, 1,
			storedAt(3, "all:a", "x", 2, 1, true)},
		{"the topic is a value", "last:a",
			[]topic.Stored{storedAt(1, "last:a", "", 1, 0, true)}, 1,
			storedAt(9, "last:a", "x", 5, 8, true)},
	}
	for _, tt := range tests {
		s := newFakeStore()
		s.events = tt.before
		h := s.start(opts, tt.given)
		c, _ := open(t, h, "", topic.FromLatest, tt.topic)
		id := c.lastID(t)
		s.events = append(s.events, tt.event)
		h.Apply([]topic.Stored{tt.event})
		wantGot(t, tt.name+": a stream", c, "x")
		again, _ := open(t, h, id, topic.FromDefault, tt.topic)
		wantGot(t, tt.name+": one that comes back", again, "x")
	}
}

// TestAnEventThatIsGivenAgainIsNotQueuedAgain: a follower that has lost its connection
// may begin a little earlier than it had to.
func TestAnEventThatIsGivenAgainIsNotQueuedAgain(t *testing.T) {
	t.Parallel()
	s := newFakeStore()
	h := s.start(durable, 0)
	publish(t, h, "all:b", "1")
	c, _ := open(t, h, "", topic.FromDefault, "all:a")
	first, second := storedAt(2, "all:a", "2", 1, 0, true), storedAt(3, "all:a", "3", 2, 2, true)
	h.Apply([]topic.Stored{first})
	h.Apply([]topic.Stored{first, second})
	h.Apply([]topic.Stored{second})
	wantGot(t, "the stream", c, "2 3")
	if info, err := h.Info(ctx, "all:a"); err != nil || info.Events != 2 {
		t.Errorf("the topic holds %d events, %v; want 2", info.Events, err)
	}
}
