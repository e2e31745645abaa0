package topic_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/internal/topic"
	"tidegate/internal/wire"

	"github.com/google/go-cmp/cmp"
)

func TestInfoDescribesATopic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub(topic.Retention{Events: 2})
		ids := publish(t, h, "a", "1", "2", "3")
		time.Sleep(1500 * time.Millisecond)
		ids = append(ids, publish(t, h, "a", "4")...)
		_, m := connect(t, h, "", "")
		infos, err := h.Attach(ctx, m, []string{"a", "new"}, topic.FromLatest)
		if err != nil {
			t.Fatal(err)
		}
		size := int64(len("id: "+ids[0]+"\ndata: 1\n\n") * 2)
		want := map[string]wire.TopicInfo{
			"a": {Topic: "a", Events: 2, Bytes: size, Appended: 4, FirstID: ids[2], LastID: ids[3], LastAt: "2000-01-01T00:00:01.5Z"},
			// It did not exist: nobody was there before.
			"new": {Topic: "new"},
		}
		if diff := cmp.Diff(want, infos); diff != "" {
			t.Errorf("Attach answers (-want +got):\n%s", diff)
		}
		closeTopic(t, h, "a")
		info, err := h.Info(ctx, "a")
		if err != nil || !info.Closed || info.Streams != 0 || info.Appended != 5 {
			t.Errorf("Info = %+v, %v; want it closed, without streams, 5 ever", info, err)
		}
		if info, err = h.Info(ctx, "new"); err != nil || info.Streams != 1 {
			t.Errorf("Info of new = %+v, %v; want one stream", info, err)
		}
		if _, err := h.Info(ctx, "unknown"); !errors.Is(err, topic.ErrNotFound) {
			t.Errorf("Info of an unknown topic: %v, want ErrNotFound", err)
		}
	})
}

func TestListGivesPagesByName(t *testing.T) {
	t.Parallel()
	h := newHub(keepAll)
	for _, i := range []int{3, 1, 4, 0, 2} {
		publish(t, h, fmt.Sprint("a:", i), "x")
		publish(t, h, fmt.Sprint("b:", i), "x")
	}
	closeTopic(t, h, "a:1")
	for _, tt := range []struct {
		filter topic.Filter
		want   string
		more   bool
	}{
		{topic.Filter{Limit: 100}, "a:0 a:1 a:2 a:3 a:4 b:0 b:1 b:2 b:3 b:4", false},
		{topic.Filter{Limit: 10}, "a:0 a:1 a:2 a:3 a:4 b:0 b:1 b:2 b:3 b:4", false},
		{topic.Filter{Limit: 9}, "a:0 a:1 a:2 a:3 a:4 b:0 b:1 b:2 b:3", true},
		{topic.Filter{Limit: 2, After: "a:1"}, "a:2 a:3", true},
		{topic.Filter{Limit: 9, Prefix: "b:", After: "b:2"}, "b:3 b:4", false},
		{topic.Filter{Limit: 9, Prefix: "a:", Open: true}, "a:0 a:2 a:3 a:4", false},
		{topic.Filter{Limit: 9, Prefix: "c"}, "", false},
	} {
		infos, more := h.List(ctx, tt.filter)
		var got []string
		for _, info := range infos {
			got = append(got, info.Topic)
		}
		if strings.Join(got, " ") != tt.want || more != tt.more {
			t.Errorf("List(%+v) = %q, %v; want %q, %v", tt.filter, got, more, tt.want, tt.more)
		}
	}
}

func TestEventsGivesPagesOfALog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub(topic.Retention{Events: 4})
		ids := publish(t, h, "a", "dropped", "one", "two\nlines", "")
		if _, err := h.Publish(ctx, topic.Publication{Topic: "a", HasEvent: true, Name: "message", Data: "event: x", Close: true}); err != nil {
			t.Fatal(err)
		}
		const at = "2000-01-01T00:00:00Z"
		want := []wire.EventInfo{
			{ID: ids[1], Data: "one", At: at},
			{ID: ids[2], Data: "two\nlines", At: at},
			{ID: ids[3], Data: "", At: at},
			{ID: h.ID(5, 0), Name: "message", Data: "event: x", At: at, Final: true},
		}
		got, more, err := h.Events(ctx, "a", "", 4)
		if diff := cmp.Diff(want, got); diff != "" || more || err != nil {
			t.Errorf("Events: more %v, %v (-want +got):\n%s", more, err, diff)
		}
		got, more, err = h.Events(ctx, "a", ids[1], 2)
		if diff := cmp.Diff(want[1:3], got); diff != "" || !more || err != nil {
			t.Errorf("Events after the first: more %v, %v (-want +got):\n%s", more, err, diff)
		}
		if _, _, err = h.Events(ctx, "a", "no id", 2); !errors.Is(err, topic.ErrFrom) {
			t.Errorf("after a word: %v, want ErrFrom", err)
		}
		if _, _, err = h.Events(ctx, "b", "", 2); !errors.Is(err, topic.ErrNotFound) {
			t.Errorf("of an unknown topic: %v, want ErrNotFound", err)
		}
	})
}

func TestEventsShowsAClosingWithoutEvent(t *testing.T) {
	t.Parallel()
	h := newHub(keepAll)
	closeTopic(t, h, "a")
	got, _, err := h.Events(ctx, "a", "", 10)
	if err != nil || len(got) != 1 || !got[0].Final || got[0].Data != "" || got[0].Name != "" {
		t.Errorf("Events = %+v, %v; want one final event without name or data", got, err)
	}
}

func TestEventsOfMaximalSizeAreShownWhole(t *testing.T) {
	t.Parallel()
	h := newHub(keepAll)
	data := strings.Repeat("x", 8<<20)
	publish(t, h, "a", data)
	if got, _, err := h.Events(ctx, "a", "", 1); err != nil || len(got) != 1 || got[0].Data != data {
		t.Errorf("%d events, %v; want the data of %d bytes whole", len(got), err, len(data))
	}
}

func TestMembersAreTheStreamsOfATopic(t *testing.T) {
	t.Parallel()
	h := newHub(keepAll)
	_, a := connect(t, h, "", topic.FromDefault, "x", "y")
	_, b := connect(t, h, "", topic.FromDefault, "x")
	connect(t, h, "", topic.FromDefault, "z")
	for name, want := range map[string][]*topic.Member{"x": {a, b}, "y": {a}} {
		got, err := h.Members(name)
		if err != nil || len(got) != len(want) || !slices.Contains(got, a) || !slices.Contains(got, want[len(want)-1]) {
			t.Errorf("Members(%q) = %v, %v; want %v", name, got, err, want)
		}
	}
	if _, err := h.Members("unknown"); !errors.Is(err, topic.ErrNotFound) {
		t.Errorf("Members of an unknown topic: %v, want ErrNotFound", err)
	}
	h.Detach(a, []string{"x"})
	if got := h.Topics(a); !slices.Equal(got, []string{"y"}) {
		t.Errorf("Topics = %q, want y", got)
	}
}

func TestStatsNameEveryReasonForADrop(t *testing.T) {
	t.Parallel()
	want := []topic.DropReason{"events", "bytes", "age", "memory", "idle", "deleted"}
	if got := topic.DropReasons(); !slices.Equal(got, want) {
		t.Errorf("DropReasons() = %q, want %q", got, want)
	}
}

func TestWhatIsReplayedIsNotDelivered(t *testing.T) {
	t.Parallel()
	h := newHub(keepAll)
	publish(t, h, "a", "1", "2")
	_, m := connect(t, h, "", "")
	if _, err := h.Attach(ctx, m, []string{"a"}, topic.FromEarliest); err != nil {
		t.Fatal(err)
	}
	if got := h.Delivered(); got != 0 {
		t.Errorf("%d events count that came before the stream", got)
	}
	publish(t, h, "a", "3")
	publish(t, h, "b", "1")
	if got := h.Delivered(); got != 1 {
		t.Errorf("%d events count, want the one that a stream waited for", got)
	}
}
