package topic_test

import (
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
	p.Data = "2" // whatever it says now
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
	r, err := h.Publish(ctx, topic.Publication{Topic: "a", Key: "k"})
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
