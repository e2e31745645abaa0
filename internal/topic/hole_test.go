package topic_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tidegate/internal/topic"
)

var holed = topic.Options{Namespaces: map[string]topic.Retention{
	"all":   {Events: 1000, Replay: topic.ReplayAll},
	"held":  {Events: 1000, Replay: topic.ReplayHeld},
	"value": {Events: 10, Replay: topic.ReplayLast},
	"none":  {Events: 1000, Replay: topic.ReplayNone},
}}

// X36: events are gone that nothing has dropped. Who needs them gets a reset, and
// nobody else does.
func TestX36AHoleIsAResetForWhomItConcerns(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, topic string
		damaged     []uint64
		from        string
		at          uint64 // where the client stands, 0 for one that is new
		want        string
	}{
		{"before the hole", "all:a", []uint64{3}, "", 2, "reset 4 5"},
		{"behind the hole", "all:a", []uint64{3}, "", 3, "4 5"},
		{"new", "all:a", []uint64{3}, "", 0, "reset 1 2 4 5"},
		{"new, all that is held", "held:a", []uint64{3}, "", 0, "reset 1 2 4 5"},
		{"new, from the earliest", "all:a", []uint64{3}, "earliest", 0, "reset 1 2 4 5"},
		{"new, from the earliest, and the first is gone", "all:a", []uint64{1, 2}, "earliest", 0, "3 4 5"},
		{"new, all that is held, and the first is gone", "held:a", []uint64{1, 2}, "", 0, "3 4 5"},
		{"new, from the latest", "all:a", []uint64{3}, "latest", 0, ""},
		{"at the end", "all:a", []uint64{5}, "", 4, "reset"},
		{"at the end, behind it", "all:a", []uint64{5}, "", 5, ""},
		{"at the end, and new", "all:a", []uint64{4, 5}, "", 0, "reset 1 2 3"},
		{"all of it", "all:a", []uint64{1, 2, 3, 4, 5}, "", 4, "reset"},
		{"all of it, and new", "all:a", []uint64{1, 2, 3, 4, 5}, "", 0, "reset"},
		{"all of it, behind it", "all:a", []uint64{1, 2, 3, 4, 5}, "", 5, ""},
		{"a value that was superseded", "value:a", []uint64{3}, "", 2, "4 5"},
		{"a value that counts", "value:a", []uint64{5}, "", 4, "reset"},
		{"a value that counts, and new", "value:a", []uint64{5}, "", 0, "reset 4"},
		{"a client that wants no past", "none:a", []uint64{3}, "", 0, ""},
		{"one that does", "none:a", []uint64{3}, "", 1, "reset 2 4 5"},
	}
	for _, tt := range tests {
		for _, back := range []int{0, 1, 2} { // what of the store the hub is given at its start
			s := newFakeStore()
			h := s.start(holed, 0)
			publish(t, h, tt.topic, "1", "2", "3", "4", "5")
			publish(t, h, "all:other", "6", "7")
			for _, seq := range tt.damaged {
				s.damage(seq)
			}
			h = s.start(holed, back)
			id := ""
			if tt.at > 0 {
				id = storeID(h, tt.at)
			}
			c, _ := connect(t, h, id, tt.from, tt.topic)
			if got := c.got(t); got != tt.want {
				t.Errorf("%s, %d in memory: received %q, want %q", tt.name, back, got, tt.want)
			}
			c, _ = connect(t, h, storeID(h, 1), "", "all:other")
			if got := c.got(t); got != "6 7" {
				t.Errorf("%s: who is at another topic received %q, want 6 7", tt.name, got)
			}
		}
	}
}

// TestX36StreamsAreToldOfAHoleInWhatComes: of the log of which the hub is given all.
func TestX36StreamsAreToldOfAHoleInWhatComes(t *testing.T) {
	t.Parallel()
	s := newFakeStore()
	h := s.start(holed, 0)
	publish(t, h, "all:a", "1", "2")
	c, _ := open(t, h, "", topic.FromDefault, "all:a")
	for _, data := range []string{"3", "4", "5"} {
		s.elsewhere("all:a", data)
	}
	s.damage(4) // as if it could not be read
	h.Apply(s.events[2:])
	wantGot(t, "the stream", c, "1 2 3 reset 5")
	for from, want := range map[string]string{"earliest": "reset 1 2 3 5", "": "reset 1 2 3 5", "latest": ""} {
		late, _ := open(t, h, "", from, "all:a")
		wantGot(t, "a newcomer from "+from, late, want)
	}
	late, _ := open(t, h, storeID(h, 4), topic.FromDefault, "all:a")
	wantGot(t, "one that is behind the hole", late, "5")
}

func TestX36ADeletedTopicHasNoHole(t *testing.T) {
	t.Parallel()
	s := newFakeStore()
	h := s.start(holed, 0)
	publish(t, h, "all:a", "1", "2", "3")
	s.damage(2)
	s.damage(3)
	h = s.start(holed, 0)
	if err := h.Delete(ctx, "all:a"); err != nil {
		t.Fatal(err)
	}
	publish(t, h, "all:a", "5", "6")
	for _, back := range []int{0, 1, 2} {
		h = s.start(holed, back)
		c, _ := connect(t, h, "", "", "all:a")
		wantGot(t, fmt.Sprint(back, " in memory: a newcomer"), c, "5 6")
		c, _ = connect(t, h, storeID(h, 1), "", "all:a")
		wantGot(t, fmt.Sprint(back, " in memory: one from before"), c, "reset 5 6")
	}
}

// TestX36EveryEventOrAReset: over random histories with damage, each client that
// comes gets all that it has missed, or a reset; and no reset if it gets all.
func TestX36EveryEventOrAReset(t *testing.T) {
	t.Parallel()
	for seed := range uint64(400) {
		rng := rand.New(rand.NewPCG(seed, 36))
		opts := holed
		if opts.MaxBytes = 0; seed%2 == 1 {
			opts.MaxBytes = 400 // hardly anything stays in memory
		}
		s := newFakeStore()
		h := s.start(opts, 0)
		publish(t, h, "all:0", "1")
		names := []string{"all:0", "all:1", "held:0", "none:0"}
		ever := map[string][]uint64{"all:0": {1}}
		for range 80 {
			name := names[rng.IntN(len(names))]
			switch n := rng.IntN(100); {
			case n < 50:
				seq := s.head() + 1
				publish(t, h, name, fmt.Sprint(seq))
				ever[name] = append(ever[name], seq)
			case n < 58 && s.head() > 1:
				s.damage(1 + rng.Uint64N(s.head()-1)) // an id of what was the newest at a start is void without it
			case n < 64:
				h = s.start(opts, rng.IntN(max(1, len(s.events)-1)))
			default:
				checkReturn(t, rng, h, s, ever, fmt.Sprint("seed ", seed))
			}
			if t.Failed() {
				return
			}
		}
	}
}

// checkReturn has a client come back, or come, to some topics.
func checkReturn(t *testing.T, rng *rand.Rand, h *topic.Hub, s *fakeStore, ever map[string][]uint64, what string) {
	t.Helper()
	at, from, id := rng.Uint64N(s.head()+1), "", ""
	if rng.IntN(4) == 0 {
		at, from = 0, topic.FromEarliest
	}
	if at > 0 {
		id = storeID(h, at)
	}
	names := []string{"all:0", "all:1", "held:0"}
	if at > 0 {
		names = append(names, "none:0")
	}
	names = names[rng.IntN(len(names)):]
	names = names[:1+rng.IntN(len(names))]
	var want []uint64
	for _, name := range names {
		for _, seq := range ever[name] {
			if seq > at {
				want = append(want, seq)
			}
		}
	}
	slices.Sort(want)
	c, _ := connect(t, h, id, from, names...)
	text, reset := strings.CutPrefix(c.got(t), "reset")
	var got []uint64
	for word := range strings.FieldsSeq(text) {
		seq, err := strconv.ParseUint(word, 10, 64)
		if err != nil {
			t.Fatalf("%s: received %q", what, text)
		}
		got = append(got, seq)
	}
	all := slices.Equal(got, want)
	if at == 0 && !all && !reset { // a newcomer is not notified that the first events are gone
		all = true
		for _, name := range names {
			whole := from == "" && strings.HasPrefix(name, "all") // else the first events may be gone
			all = all && isEnd(ever[name], got, whole)
		}
	}
	if all == reset {
		t.Errorf("%s: a client of %v that stands at %d, from %q, received %v, reset: %v; there was %v", what, names, at, from, got, reset, want)
	}
}

// isEnd reports whether what was received of a topic is the newest of its events, or
// all of them.
func isEnd(all, got []uint64, whole bool) bool {
	missing := false
	for _, seq := range slices.Backward(all) {
		has := slices.Contains(got, seq)
		if has && missing || whole && !has {
			return false
		}
		missing = missing || !has
	}
	return true
}
