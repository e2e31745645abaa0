package storetest

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/internal/topic"
)

// bubbleCases are about time.
var bubbleCases = []testCase{
	{"AKeyIsDroppedInTime", inBubble(func(t *testing.T, c Config) {
		p, n := open(t, c)
		first := n.publish(keyed("a", "1", "0.k"))[0]
		time.Sleep(topic.KeyLife - time.Second)
		n.repeats(keyed("a", "1", "0.k"), first)
		n = n.again(p)
		n.repeats(keyed("a", "1", "0.k"), first)
		time.Sleep(2 * time.Second)
		second := n.publish(keyed("a", "1", "0.k"))[0]
		if second.Repeat || second.Seq == first.Seq {
			t.Errorf("after %v a key is answered %+v, want a new event", topic.KeyLife+time.Second, second)
		}
		n.finds(keyed("a", "1", "0.k"), 1, everything, second.Seq, nil)
		n.finds(keyed("a", "1", "0.k"), 1, second.Seq, first.Seq, nil)
		n = n.again(p)
		n.repeats(keyed("a", "1", "0.k"), second)
		time.Sleep(topic.KeyLife)
		n = n.again(p)
		if r := n.publish(keyed("a", "2", "0.k"))[0]; r.Repeat {
			t.Errorf("answered %+v, want a new event", r)
		}
	})},
	{"AgesOfHours", inBubble(func(t *testing.T, c Config) {
		p, n := open(t, c)
		for i := range 10 {
			e := text("a", fmt.Sprint(i))
			e.Age = time.Duration(i) * time.Hour // the first one never expires
			n.each(e)
		}
		n.each(text("b", "kept"))
		for passed := 1; passed <= 9; passed++ {
			time.Sleep(time.Hour)
			left := []string{"0"}
			for i := passed + 1; i < 10; i++ {
				left = append(left, fmt.Sprint(i))
			}
			want := strings.Join(left, " ")
			eventually(t, "expired events are not given", func() bool { return data(n.read("a")) == want })
			if passed%3 == 0 {
				n = n.again(p)
			}
			n.wantData("a", want)
		}
		n.wantData("b", "kept")
		n.each(text("a", "new"))
		n.wantData("a", "0 new")
		n.chain("b")
	})},
	{"TimesAreOfTheClock", inBubble(func(t *testing.T, c Config) {
		_, n := open(t, c)
		for range 3 {
			before := time.Now().UnixNano()
			r := n.publish(text("a", "1"))[0]
			if after := time.Now().UnixNano(); r.At < before || r.At > after+int64(time.Second) {
				t.Errorf("stored at %d, and it was between %d and %d", r.At, before, after)
			}
			time.Sleep(time.Hour)
		}
	})},
	{"AnIdleLogOfDays", inBubble(func(t *testing.T, c Config) {
		p, n := open(t, c)
		n.each(texts("a", "1", "2")...)
		time.Sleep(72 * time.Hour)
		n.wantData("a", "1 2")
		n.each(texts("a", "3")...)
		n = n.again(p)
		n.wantData("a", "1 2 3")
	})},
}

func inBubble(run func(t *testing.T, c Config)) func(*testing.T, Config) {
	return func(t *testing.T, c Config) {
		if !c.Bubble {
			t.Skip("the log does not run in a bubble")
		}
		synctest.Test(t, func(t *testing.T) { run(t, c) })
	}
}
