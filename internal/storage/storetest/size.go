package storetest

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"tidegate/internal/topic"
	"tidegate/internal/wire"
)

var sizeCases = []testCase{
	{"LargeEvents", func(t *testing.T, c Config) {
		p, n := open(t, c)
		size := 1 << 20
		if c.MaxEvent > 0 {
			size = c.MaxEvent - 1
		}
		names := []string{"one", "of a batch"}
		large := strings.Repeat("0123456789abcdef", size/16+1)[:size]
		n.each(text("one", large), text("one", "small"))
		n.publish(text("of a batch", "small"), text("of a batch", large), text("of a batch", "small"))
		n.verify(names...)
		n = n.again(p)
		if got := n.read("one"); len(got) != 2 || got[0].Data != large {
			t.Error("a large event is not what it was after the log was opened again")
		}
		if got := n.read("of a batch"); len(got) != 3 || got[1].Data != large {
			t.Error("a large event of a batch is not what it was after the log was opened again")
		}
	}},
	{"TooLargeEvents", func(t *testing.T, c Config) {
		if c.MaxEvent == 0 {
			t.Skip("there is no bound on events")
		}
		p, n := open(t, c)
		n.each(texts("a", "1")...)
		for range 2 {
			wantTooLarge(t, n.try(text("a", strings.Repeat("x", 2*c.MaxEvent)))[0])
			named := text("a", "x")
			named.Name = strings.Repeat("n", 2*c.MaxEvent)
			wantTooLarge(t, n.try(named)[0])
			n = n.again(p)
		}
		n.each(texts("a", "2")...)
		n.wantData("a", "1 2")
		n.counted("a", 2)
		n.chain("a")
	}},
	{"EmptyEvents", func(t *testing.T, c Config) {
		p, n := open(t, c)
		empty := topic.Entry{Topic: "a", HasEvent: true}
		n.each(empty, empty)
		n.publish(empty, empty)
		n = n.again(p)
		for _, e := range n.read("a") {
			if e.Data != "" || e.Name != "" || !e.HasEvent {
				t.Errorf("stored is %s, want an empty event", show(e))
			}
		}
		n.counted("a", 4)
	}},
	{"NamesOfTopics", func(t *testing.T, c Config) {
		p, n := open(t, c)
		names := []string{
			"a", "A", "a ", " a", "a.b", "a.b.c", ".", "..", "a/b", "../a", "a*", "*", ">", "a.>", "a\\b", "=", "=YQ", "a:b", ":", "a:", "%41",
			"ü", "u\u0308", "日本", "\U0001F30A", "CON", "nul", "-", "--a", strings.Repeat("x", 200), strings.Repeat("日", 66), "a\tb", "~",
		}
		for i, name := range names {
			n.publish(text(name, fmt.Sprint(i)))
		}
		for range 2 {
			for i, name := range names {
				n.wantData(name, fmt.Sprint(i))
			}
			n = n.again(p)
		}
	}},
	{"ManyTopics", func(t *testing.T, c Config) {
		p, n := open(t, c)
		const topics, step = 10_000, 500
		for i := 0; i < topics; i += step {
			var batch []topic.Entry
			for j := range step {
				batch = append(batch, text(fmt.Sprint("t:", i+j), fmt.Sprint(i+j)))
			}
			n.tryMany(batch)
		}
		for range 2 {
			for i := 0; i < topics; i += 487 {
				n.wantData(fmt.Sprint("t:", i), fmt.Sprint(i))
			}
			n = n.again(p)
		}
	}},
}

// tryMany publishes events that are the first of their topics.
func (n *node) tryMany(batch []topic.Entry) {
	n.t.Helper()
	for i := range batch {
		batch[i].Number = 1
	}
	for i, r := range n.tryIn(within(n.t), batch...) {
		if r.Err != nil {
			n.t.Fatalf("entry %d: %v", i, r.Err)
		}
	}
}

func wantTooLarge(t *testing.T, r topic.Result) {
	t.Helper()
	e, ok := errors.AsType[*wire.Error](r.Err)
	if !ok || e.Status != http.StatusRequestEntityTooLarge {
		t.Errorf("an event that is too large was answered %+v, %v; want an error with status 413", r.Appended, r.Err)
	}
}
