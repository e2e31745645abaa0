package eventlog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"tidegate/internal/storage/nats"
	"tidegate/internal/storage/natstest"
	"tidegate/internal/topic"
)

// feed gives events one by one, as WriteLog asks for them.
func feed(events []topic.Stored) func() (topic.Stored, bool, error) {
	return func() (topic.Stored, bool, error) {
		if len(events) == 0 {
			return topic.Stored{}, false, nil
		}
		s := events[0]
		events = events[1:]
		return s, true, nil
	}
}

func readLog(t testing.TB, e *nats.Engine) (events []topic.Stored) {
	t.Helper()
	info, ok, err := ReadInfo(natstest.Within(t), e)
	if err != nil || !ok {
		t.Fatalf("log there: %v, %v", ok, err)
	}
	unreadable, err := ReadAll(natstest.Within(t), e, info.Last, func(s topic.Stored, _ string) error {
		events = append(events, s)
		return nil
	})
	if err != nil || unreadable > 0 {
		t.Fatalf("read: %v, %d unreadable", err, unreadable)
	}
	return events
}

// TestALogIsCopied: events keep their order, their content and their predecessors,
// which are elsewhere in the copy.
func TestALogIsCopied(t *testing.T) {
	t.Parallel()
	const n = 3000
	var events []topic.Stored
	last, count := map[string]uint64{}, map[string]uint64{}
	for i := range n {
		name := fmt.Sprintf("t:%d", i%7)
		count[name]++
		s := topic.Stored{Seq: uint64(10*i + 5), At: time.Now().UnixNano(), PrevKnown: i%11 != 0, Entry: topic.Entry{
			Topic: name, Name: "n", Data: fmt.Sprint(i), HasEvent: true, Number: count[name], Prev: last[name], Age: time.Hour, Close: i >= n-7,
		}}
		last[name] = s.Seq
		events = append(events, s)
	}
	events[100].At -= int64(2 * time.Hour) // it has expired
	e := openEmbedded(t)
	written, err := WriteAll(natstest.Within(t), e, feed(events))
	if err != nil || written != n-1 {
		t.Fatalf("written %d, %v", written, err)
	}
	got := readLog(t, e)
	want := slices.Delete(slices.Clone(events), 100, 101)
	if len(got) != len(want) {
		t.Fatalf("%d events, want %d", len(got), len(want))
	}
	last = map[string]uint64{}
	for i, s := range got {
		w := want[i]
		if s.Topic != w.Topic || s.Data != w.Data || s.Number != w.Number || s.Close != w.Close || s.PrevKnown != w.PrevKnown || s.Age > w.Age || s.Prev != last[s.Topic] && w.Prev > 0 {
			t.Fatalf("event %d is %+v, want %+v behind %d", i, s, w, last[s.Topic])
		}
		last[s.Topic] = s.Seq
	}
	if _, err := WriteAll(natstest.Within(t), e, feed(events)); !errors.Is(err, ErrNotEmpty) {
		t.Errorf("written twice: %v", err)
	}
}

// TestACopyThatFailsLeavesNothing: it can be tried again.
func TestACopyThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	e := openEmbedded(t)
	broken := errors.New("broken")
	many := slices.Repeat([]topic.Stored{{PrevKnown: true, Entry: topic.Entry{Topic: "a", HasEvent: true}}}, 2000)
	give := feed(many)
	n := 0
	_, err := WriteAll(natstest.Within(t), e, func() (topic.Stored, bool, error) {
		if n++; n == 1500 {
			return topic.Stored{}, false, broken
		}
		return give()
	})
	if !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	// Another client writes to the log meanwhile.
	n, give = 0, feed(many)
	_, err = WriteAll(natstest.Within(t), e, func() (topic.Stored, bool, error) {
		if n++; n == 1000 {
			if _, err := e.JetStream().Publish(natstest.Within(t), topicSubject(e, "other"), appendEnvelope(nil, topic.Entry{}, true)); err != nil {
				t.Fatal(err)
			}
		}
		return give()
	})
	if err == nil {
		t.Error("no error although another client wrote")
	}
	if info, _, err := ReadInfo(natstest.Within(t), e); err != nil || info.Events > 0 {
		t.Errorf("%d events are left, %v", info.Events, err)
	}
}

// TestALogIsReadWhileItExpires ends, and gives keys.
func TestALogIsReadWhileItExpires(t *testing.T) {
	t.Parallel()
	e := openEmbedded(t)
	if _, err := WriteAll(natstest.Within(t), e, feed(slices.Repeat([]topic.Stored{{Entry: topic.Entry{Topic: "a", HasEvent: true}}}, 100))); err != nil {
		t.Fatal(err)
	}
	entry := topic.Entry{Topic: "a", HasEvent: true, Key: "k", Number: 101, Prev: 100}
	try := newTry(entry, appendRef{"node", 1})
	if _, err := e.JetStream().PublishMsg(natstest.Within(t), try.message(e)); err != nil {
		t.Fatal(err)
	}
	var keys []string
	_, err := ReadAll(natstest.Within(t), e, 1000, func(s topic.Stored, key string) error { // of which most never come
		keys = append(keys, key)
		return nil
	})
	id := topic.KeyID(entry)
	if err != nil || len(keys) != 101 || keys[0] != "" || keys[100] != string(id[:]) {
		t.Errorf("%d events, %v, the last key %q", len(keys), err, keys[len(keys)-1])
	}
	stream, err := e.JetStream().Stream(natstest.Within(t), e.StreamName("EV"))
	if err != nil {
		t.Fatal(err)
	}
	if left, err := leftOf(natstest.Within(t), stream, 101, 1000); left || err != nil {
		t.Errorf("left %v, %v", left, err)
	}
	ctx, cancel := context.WithCancel(natstest.Within(t))
	if _, err := ReadAll(ctx, e, 101, func(topic.Stored, string) error { cancel(); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
