package storetest

import (
	"fmt"
	"testing"

	"tidegate/internal/topic"
)

var batchCases = []testCase{
	{"AnEmptyBatch", func(t *testing.T, c Config) {
		_, n := open(t, c)
		if got := n.try(); len(got) != 0 {
			t.Errorf("%d results", len(got))
		}
	}},
	{"EachEntryHasItsAnswer", func(t *testing.T, c Config) {
		_, n := open(t, c)
		var batch []topic.Entry
		for i := range 300 {
			batch = append(batch, text(fmt.Sprint("t:", i%7), fmt.Sprint(i)))
		}
		last := make(map[string]uint64)
		for i, r := range n.publish(batch...) {
			e, ok := n.rec.at(r.Seq)
			if !ok || e.Data != batch[i].Data || e.Topic != batch[i].Topic || e.At != r.At {
				t.Errorf("entry %d was answered %+v, where the hub was given %s", i, r.Appended, show(e))
			}
			if r.Seq <= last[e.Topic] {
				t.Errorf("entry %d of %q is at %d, the one before at %d", i, e.Topic, r.Seq, last[e.Topic])
			}
			last[e.Topic] = r.Seq
		}
		for i := range 7 {
			name := fmt.Sprint("t:", i)
			n.verify(name)
			n.chain(name)
		}
	}},
	{"BatchesOfOneTopicComeBehindEachOther", func(t *testing.T, c Config) {
		p, n := open(t, c)
		for i := range 10 {
			n.publish(texts("a", numbered(fmt.Sprint(i, "."), 30)...)...)
		}
		n.verify("a")
		n.chain("a")
		n = n.again(p)
		for i, e := range n.read("a") {
			if want := fmt.Sprintf("%d.%d", i/30, i%30); e.Data != want || e.Number != uint64(i+1) {
				t.Fatalf("event %d is %q with the number %d, want %q", i, e.Data, e.Number, want)
			}
		}
	}},
	{"TheCallersEntriesAreLeftAlone", func(t *testing.T, c Config) {
		_, n := open(t, c)
		batch := n.entries(texts("a", "1", "2", "3")...)
		before := fmt.Sprint(batch)
		n.tryIn(within(t), batch...)
		if got := fmt.Sprint(batch); got != before {
			t.Errorf("entries are %s after the call, %s before", got, before)
		}
		for i := range batch { // the log must not look at them any more
			batch[i] = text("other", "other")
		}
		n.verify("a")
		if got := data(n.read("a")); got != "1 2 3" {
			t.Errorf("Read = %q", got)
		}
	}},
	{"ABadEntrySpoilsOnlyItself", func(t *testing.T, c Config) {
		if c.MaxEvent == 0 {
			t.Skip("there is no bound on events")
		}
		p, n := open(t, c)
		large := string(make([]byte, 2*c.MaxEvent))
		results := n.try(text("a", "1"), text("a", large), text("a", "2"), text("b", "3"))
		for i, r := range results {
			switch {
			case i == 1:
				wantTooLarge(t, r)
			case r.Err != nil:
				t.Errorf("entry %d: %v", i, r.Err)
			}
		}
		n.verify("a", "b")
		n.chain("a")
		n = n.again(p)
		if got := data(n.read("a")) + ", " + data(n.read("b")); got != "1 2, 3" {
			t.Errorf("stored is %q, want 1 2, 3", got)
		}
		n.chain("a")
	}},
	{"ThousandsOfEntries", func(t *testing.T, c Config) {
		_, n := open(t, c)
		n.publish(texts("a", numbered("", 500)...)...)
		var batch []topic.Entry
		for i := range 5000 {
			batch = append(batch, text(fmt.Sprint("t:", i/10), fmt.Sprint(i%10)))
		}
		n.publish(batch...)
		for i := range 500 {
			if got := data(n.rec.of(fmt.Sprint("t:", i))); got != "0 1 2 3 4 5 6 7 8 9" {
				t.Fatalf("topic %d was given %q", i, got)
			}
		}
		n.verify("a", "t:0", "t:499")
	}},
}
