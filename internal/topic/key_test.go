package topic_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/internal/topic"
)

func TestARepeatedKeyGetsTheFirstAnswer(t *testing.T) {
	t.Parallel()
	h := newHub(keepAll)
	s, _ := connect(t, h, "", topic.FromDefault, "a")
	p := topic.Publication{Topic: "a", HasEvent: true, Data: "1", Key: "k"}
	first, err := h.Publish(ctx, p)
	if err != nil || first.Receivers != 1 {
		t.Fatalf("first: %+v, %v", first, err)
	}
	connect(t, h, "", topic.FromDefault, "a")
	again, err := h.Publish(ctx, p)
	if err != nil || again != first {
		t.Errorf("repeat: %+v, %v; want %+v", again, err, first)
	}
	if got := s.got(t); got != "1" {
		t.Errorf("got %q, want the event once", got)
	}
	p.Topic = "b"
	if other, _ := h.Publish(ctx, p); other.ID == first.ID {
		t.Error("the same key with another topic is another key")
	}
	p.Topic, p.Key = "a", "K"
	if other, _ := h.Publish(ctx, p); other.ID == first.ID {
		t.Error("another key got the first answer")
	}
	if st := h.Stats(); st.Keys != 3 {
		t.Errorf("%d keys remembered, want 3", st.Keys)
	}
}

func TestTopicAndKeyDoNotRunIntoEachOther(t *testing.T) {
	t.Parallel()
	h := newHub(keepAll)
	one, _ := h.Publish(ctx, topic.Publication{Topic: "ab", HasEvent: true, Key: "c"})
	two, _ := h.Publish(ctx, topic.Publication{Topic: "a", HasEvent: true, Key: "bc"})
	if one.ID == two.ID {
		t.Error("(ab, c) and (a, bc) are taken for one key")
	}
}

func TestARepeatedCloseGetsTheFirstAnswer(t *testing.T) {
	t.Parallel()
	h := newHub(keepAll)
	p := topic.Publication{Topic: "a", HasEvent: true, Data: "last", Close: true, Key: "end"}
	first, err := h.Publish(ctx, p)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := h.Publish(ctx, p); err != nil || again != first {
		t.Errorf("repeat: %+v, %v; want %+v and no ErrClosed", again, err, first)
	}
}

func TestKeysAreForgottenAfterKeyLife(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub(keepAll)
		run(t, h)
		p := topic.Publication{Topic: "a", HasEvent: true, Key: "k"}
		first, _ := h.Publish(ctx, p)
		time.Sleep(topic.KeyLife - time.Nanosecond)
		if again, _ := h.Publish(ctx, p); again != first {
			t.Error("forgotten before its time")
		}
		time.Sleep(time.Nanosecond)
		second, _ := h.Publish(ctx, p)
		if second == first {
			t.Error("remembered beyond its time")
		}
		time.Sleep(topic.KeyLife - time.Nanosecond)
		if again, _ := h.Publish(ctx, p); again != second {
			t.Error("the new answer was forgotten before its time")
		}
		time.Sleep(2 * time.Second)
		if st := h.Stats(); st.Keys != 0 || st.KeysEarly != 0 {
			t.Errorf("Stats() = %+v, want no key left, though nobody asked", st)
		}
	})
}

func TestKeysAreBoundedAndTheOldestGive(t *testing.T) {
	t.Parallel()
	h := topic.New(topic.Options{Default: keepAll, MaxKeys: 1000})
	publishKey := func(i int) string {
		r, err := h.Publish(ctx, topic.Publication{Topic: "a", HasEvent: true, Key: fmt.Sprint(i)})
		if err != nil {
			t.Fatal(err)
		}
		return r.ID
	}
	ids := make([]string, 5000)
	for i := range ids {
		ids[i] = publishKey(i)
	}
	if st := h.Stats(); st.Keys != 1000 || st.KeysEarly != 4000 {
		t.Errorf("Stats() = %+v, want 1000 keys and 4000 forgotten early", st)
	}
	for i := 4000; i < 5000; i++ {
		if publishKey(i) != ids[i] {
			t.Fatalf("key %d was forgotten; want the newest 1000 remembered", i)
		}
	}
	if publishKey(3999) == ids[3999] {
		t.Error("key 3999 is remembered beyond the bound")
	}
}

func TestAMessageWithoutEventAppendsNothing(t *testing.T) {
	t.Parallel()
	h := newHub(keepAll)
	connect(t, h, "", topic.FromDefault, "a")
	r, err := h.Publish(ctx, topic.Publication{Topic: "a", Key: "k"}) // which wire refuses
	if err != nil || r.ID != "" || r.Receivers != 1 {
		t.Errorf("no event, no close: %+v, %v; want no id and one receiver", r, err)
	}
	if _, err := h.Publish(ctx, topic.Publication{Topic: "nobody"}); err != nil {
		t.Error(err)
	}
	if st := h.Stats(); st.Topics != 1 || st.Published != 0 || st.Keys != 0 {
		t.Errorf("Stats() = %+v, want nothing appended, made or remembered", st)
	}
}

// TestX45AKeyThatIsUsedWithOtherContentIsRefused: to answer as if that had been
// taken would lose it.
func TestX45AKeyThatIsUsedWithOtherContentIsRefused(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]*topic.Hub{"memory": newHub(keepAll), "store": newFakeStore().start(durable, 0)} {
		first := topic.Publication{Topic: "all:a", HasEvent: true, Name: "n", Data: "1", Key: "k"}
		got, err := h.Publish(ctx, first)
		if err != nil {
			t.Fatal(err)
		}
		for what, change := range map[string]func(*topic.Publication){
			"data":           func(p *topic.Publication) { p.Data = "2" },
			"name":           func(p *topic.Publication) { p.Name = "m" },
			"no name":        func(p *topic.Publication) { p.Name = "" },
			"name and data":  func(p *topic.Publication) { p.Name, p.Data = "", "n1" },
			"close":          func(p *topic.Publication) { p.Close = true },
			"close alone":    func(p *topic.Publication) { p.HasEvent, p.Name, p.Data, p.Close = false, "", "", true },
			"other and open": func(p *topic.Publication) { p.Data = "" },
		} {
			p := first
			change(&p)
			if r, err := h.Publish(ctx, p); !errors.Is(err, topic.ErrMismatch) || r.ID != "" {
				t.Errorf("%s: other %s: %+v, %v; want ErrMismatch", name, what, r, err)
			}
		}
		if again, err := h.Publish(ctx, first); err != nil || again.ID != got.ID {
			t.Errorf("%s: the same again: %+v, %v; want the first answer", name, again, err)
		}
		if info, err := h.Info(ctx, "all:a"); err != nil || info.Appended != 1 || info.Closed {
			t.Errorf("%s: %+v, %v; want one event", name, info, err)
		}
	}
}

// TestX45TheStoreKnowsWhatAKeyWasUsedFor: the first one came by another node, or
// before a restart, also where it closed the topic.
func TestX45TheStoreKnowsWhatAKeyWasUsedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // in whose time what the store has is new
		for _, end := range []bool{false, true} {
			s := newFakeStore()
			h := s.start(durable, 0)
			first := topic.Publication{Topic: "all:a", HasEvent: true, Data: "1", Close: end, Key: "k"}
			got, err := h.Publish(ctx, first)
			if err != nil {
				t.Fatal(err)
			}
			h = s.start(durable, 1)
			other := first
			other.Data = "2"
			if _, err := h.Publish(ctx, other); !errors.Is(err, topic.ErrMismatch) {
				t.Errorf("closed %v: other content: %v, want ErrMismatch", end, err)
			}
			if again, err := h.Publish(ctx, first); err != nil || again.ID != got.ID {
				t.Errorf("closed %v: the same again: %+v, %v; want %+v", end, again, err, got)
			}
		}
	})
}
