package topic

import (
	"strings"
	"testing"
)

// A key that outlived its topic would swallow the first event of the new one,
// and whoever is attached to that would wait for ever.
func TestKeysOfADeletedTopicDoNotCount(t *testing.T) {
	t.Parallel()
	h := New(Options{Default: Retention{Events: 10, Replay: ReplayAll}})
	p := Publication{Topic: "t", HasEvent: true, Data: "x", Close: true, Key: "k"}
	first := mustPublish(t, h, p)
	if again := mustPublish(t, h, p); again.ID != first.ID {
		t.Fatalf("a repeat got id %s, want that of the first, %s", again.ID, first.ID)
	}
	if err := h.Delete(t.Context(), "t"); err != nil {
		t.Fatal(err)
	}
	anew := mustPublish(t, h, p)
	if anew.ID == first.ID {
		t.Fatal("the key of a deleted topic swallowed an event of the new one")
	}
	if again := mustPublish(t, h, p); again.ID != anew.ID {
		t.Errorf("a repeat in the new topic got id %s, want %s", again.ID, anew.ID)
	}
}

func TestKeysOfATopicThatGaveWayDoNotCount(t *testing.T) {
	t.Parallel()
	h := New(Options{Default: Retention{Events: 10, Replay: ReplayAll}, MaxBytes: 1000})
	p := Publication{Topic: "t", HasEvent: true, Data: "x", Close: true, Key: "k"}
	first := mustPublish(t, h, p)
	mustPublish(t, h, Publication{Topic: "large", HasEvent: true, Data: strings.Repeat("x", 2000)})
	if _, err := h.Info(t.Context(), "t"); err == nil {
		t.Fatal("the topic is still there: the test is of no use")
	}
	if anew := mustPublish(t, h, p); anew.ID == first.ID {
		t.Error("the key of a topic that gave way swallowed an event of the new one")
	}
}

func mustPublish(t *testing.T, h *Hub, p Publication) Receipt {
	t.Helper()
	r, err := h.Publish(t.Context(), p)
	if err != nil {
		t.Fatalf("publish to %s: %v", p.Topic, err)
	}
	return r
}

// A key that is published, forgotten with its topic and published again leaves
// its old place in the order behind; those places are bounded as well.
func TestKeysThatAreMadeAnewAreBounded(t *testing.T) {
	t.Parallel()
	h := New(Options{Default: Retention{Events: 10, Replay: ReplayAll}, MaxKeys: 100})
	mustPublish(t, h, Publication{Topic: "other", HasEvent: true, Key: "k"})
	for range 5000 {
		mustPublish(t, h, Publication{Topic: "t", HasEvent: true, Key: "k"})
		if err := h.Delete(t.Context(), "t"); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(h.keys.order) - h.keys.head; n != 100 || len(h.keys.records) > 100 {
		t.Errorf("%d places for %d keys, want 100 at most", n, len(h.keys.records))
	}
	last := mustPublish(t, h, Publication{Topic: "t", HasEvent: true, Key: "k"})
	if again := mustPublish(t, h, Publication{Topic: "t", HasEvent: true, Key: "k"}); again.ID != last.ID {
		t.Error("the newest key was forgotten with an old place of its")
	}
}
