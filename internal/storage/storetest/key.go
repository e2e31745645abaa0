package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"tidegate/internal/topic"
)

func keyed(name, data, key string) topic.Entry {
	e := text(name, data)
	e.Key = key
	return e
}

var keyCases = []testCase{
	{"ARepeatIsAnsweredAsTheFirst", func(t *testing.T, c Config) {
		p, n := open(t, c)
		first := n.publish(keyed("a", "1", "0.k"))[0]
		n.each(texts("a", "2")...)
		n.repeats(keyed("a", "1", "0.k"), first)
		n = n.again(p)
		n.repeats(keyed("a", "1", "0.k"), first)
		if got := data(n.read("a")); got != "1 2" {
			t.Errorf("stored is %q, want 1 2", got)
		}
		n.chain("a")
	}},
	{"OtherContentIsAMismatch", func(t *testing.T, c Config) {
		p, n := open(t, c)
		n.publish(keyed("a", "1", "0.k"))
		end := keyed("a", "1", "0.k")
		end.Close = true
		named := keyed("a", "1", "0.k")
		named.Name = "other"
		for range 2 {
			for _, other := range []topic.Entry{keyed("a", "2", "0.k"), keyed("a", "", "0.k"), end, named} {
				if r := n.try(other)[0]; !errors.Is(r.Err, topic.ErrMismatch) {
					t.Errorf("%+v: %+v, want ErrMismatch", other, r)
				}
			}
			n = n.again(p)
		}
		if got := data(n.read("a")); got != "1" {
			t.Errorf("stored is %q, want 1", got)
		}
	}},
	{"KeysAreOfOneTopic", func(t *testing.T, c Config) {
		_, n := open(t, c)
		pairs := [][2]string{{"a", "k"}, {"b", "k"}, {"a", "kk"}, {"ak", "k"}, {"a:", "k"}, {"a", ":k"}}
		for i, p := range pairs {
			if r := n.publish(keyed(p[0], fmt.Sprint(i), p[1]))[0]; r.Repeat {
				t.Errorf("the key %q at %q is taken for another one", p[1], p[0])
			}
		}
	}},
	{"TwiceInOneBatch", func(t *testing.T, c Config) {
		_, n := open(t, c)
		results := n.try(keyed("a", "1", "0.k"), text("a", "2"), keyed("a", "1", "0.k"), keyed("a", "other", "0.k"), text("a", "3"))
		switch {
		case results[0].Err != nil || results[1].Err != nil || results[4].Err != nil:
			t.Errorf("results %+v", results)
		case results[2].Err != nil || !results[2].Repeat || results[2].Seq != results[0].Seq || results[2].At != results[0].At:
			t.Errorf("the repeat was answered %+v, the first %+v", results[2], results[0])
		case !errors.Is(results[3].Err, topic.ErrMismatch):
			t.Errorf("other content was answered %+v, want ErrMismatch", results[3])
		}
		n.verify("a")
		n.chain("a")
		n.counted("a", 3)
		if got := data(n.read("a")); got != "1 2 3" {
			t.Errorf("stored is %q, want 1 2 3", got)
		}
	}},
	{"AtTheSameTime", func(t *testing.T, c Config) {
		_, n := open(t, c)
		const callers = 16
		var all sync.WaitGroup
		answers := make(chan topic.Result, callers)
		for range callers {
			all.Go(func() { answers <- n.try(keyed("a", "1", "0.k"))[0] })
		}
		all.Wait()
		close(answers)
		firsts, seqs := 0, make(map[uint64]bool)
		for r := range answers {
			if r.Err != nil {
				t.Errorf("a repeat failed: %v", r.Err)
				continue
			}
			if seqs[r.Seq] = true; !r.Repeat {
				firsts++
			}
		}
		if firsts > 1 || len(seqs) != 1 || len(n.read("a")) != 1 {
			t.Errorf("%d firsts, positions %v, %d events; want one", firsts, seqs, len(n.read("a")))
		}
	}},
	{"ADeletedTopicIsGivenOtherKeys", func(t *testing.T, c Config) {
		_, n := open(t, c)
		first := n.publish(keyed("a", "1", "0.k"))[0]
		gone := n.publish(topic.Entry{Topic: "a", Delete: true})[0]
		if err := n.store.Purge(within(t), "a", gone.Seq); err != nil {
			t.Fatalf("Purge = %v", err)
		}
		again := n.publish(keyed("a", "1", "x.k"))[0]
		if again.Repeat || again.Seq <= gone.Seq {
			t.Errorf("answered %+v, want a new event behind %d", again, gone.Seq)
		}
		old := n.try(keyed("a", "1", "0.k"))[0] // of a hub that has not seen the deletion
		if old.Err == nil && old.Repeat && (old.Seq != first.Seq || old.At != 0 && old.At != first.At) {
			t.Errorf("the key of before was answered %+v, want %d or a new event", old, first.Seq)
		}
	}},
	{"FindByKey", func(t *testing.T, c Config) {
		p, n := open(t, c)
		n.each(texts("a", "0")...)
		first := n.publish(keyed("a", "1", "0.k"))[0]
		n.publish(keyed("a", "2", "0.l"))
		for range 2 {
			n.finds(keyed("a", "1", "0.k"), 1, everything, first.Seq, nil)
			n.finds(keyed("a", "1", "0.k"), first.Seq, first.Seq+1, first.Seq, nil)
			n.finds(keyed("a", "1", "0.k"), first.Seq+1, everything, 0, nil)
			n.finds(keyed("a", "1", "0.k"), 1, first.Seq, 0, nil)
			n.finds(keyed("a", "other", "0.k"), 1, everything, 0, topic.ErrMismatch)
			n.finds(keyed("a", "1", "0.other"), 1, everything, 0, nil)
			n.finds(keyed("b", "1", "0.k"), 1, everything, 0, nil)
			n = n.again(p)
		}
	}},
}

// repeats checks that an event is answered as its first was.
func (n *node) repeats(e topic.Entry, first topic.Result) {
	n.t.Helper()
	switch r := n.try(e)[0]; {
	case r.Err != nil:
		n.t.Errorf("a repeat failed: %v", r.Err)
	case !r.Repeat || r.Seq != first.Seq || r.At != first.At:
		n.t.Errorf("a repeat was answered %+v, the first %+v", r.Appended, first.Appended)
	}
}

// finds checks what Find says; 0 is nothing.
func (n *node) finds(e topic.Entry, from, before, want uint64, wantErr error) {
	n.t.Helper()
	got, ok, err := n.store.Find(within(n.t), e, from, before)
	if !errors.Is(err, wantErr) || ok != (want > 0) || ok && (got.Seq != want || !got.Repeat || got.At == 0) {
		n.t.Errorf("Find(%q, %q, %q) in [%d, %d) = %+v, %v, %v; want %d, %v", e.Topic, e.Key, e.Data, from, before, got, ok, err, want, wantErr)
	}
}
