package topic_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"tidegate/internal/longtest"
	"tidegate/internal/topic"
)

// TestAfterTheStoreWentBackStreamsHaveWhatIsThereOrAReset compares, over many
// random histories, what streams have with what is in the store at the end.
func TestAfterTheStoreWentBackStreamsHaveWhatIsThereOrAReset(t *testing.T) {
	t.Parallel()
	seeds := longtest.Number(100, 300)
	if testing.Short() {
		seeds = 100
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := &rewindModel{t: t, rng: rand.New(rand.NewPCG(uint64(seed), 0)), store: newFakeStore()}
			opts := durable
			if seed%3 == 0 {
				opts.MaxBytes = 300 // hardly anything stays in memory
			}
			w.hub = w.store.start(opts, 0)
			if seed%2 == 0 {
				w.hub.FanOutOver(1+w.rng.IntN(3), 1+w.rng.IntN(8))
			}
			for range 150 {
				w.step()
			}
			w.judge()
		})
	}
}

// rewindModel is a store that goes back now and then, and streams.
type rewindModel struct {
	t       *testing.T
	rng     *rand.Rand
	store   *fakeStore
	hub     *topic.Hub
	count   int // events ever
	streams []*observed
}

// observed is a stream: what is in its topics above base it must have been given since
// its last reset.
type observed struct {
	sink   *sink
	topics []string
	base   uint64
	resets int
}

func (w *rewindModel) name() string { return "all:" + string(rune('a'+w.rng.IntN(4))) }

func (w *rewindModel) data() string {
	w.count++
	return fmt.Sprint(w.count)
}

func (w *rewindModel) step() {
	switch n := w.rng.IntN(100); {
	case n < 60:
		publish(w.t, w.hub, w.name(), w.data())
	case n < 80:
		w.connect()
	case n < 85:
		w.goBack()
	default:
		w.hub.Advance()
	}
}

func (w *rewindModel) connect() {
	names := []string{w.name()}
	if other := w.name(); other != names[0] {
		names = append(names, other)
	}
	from, base := topic.FromDefault, uint64(0)
	if w.rng.IntN(2) == 0 {
		from, base = topic.FromLatest, w.store.head()
	}
	s, _ := open(w.t, w.hub, "", from, names...)
	w.streams = append(w.streams, &observed{sink: s, topics: names, base: base})
}

// goBack loses some of the newest events, and others come.
func (w *rewindModel) goBack() {
	s := w.store
	s.lose(s.head() - min(s.head(), w.rng.Uint64N(20)))
	for range w.rng.IntN(30) {
		s.elsewhere(w.name(), w.data())
	}
	position, anew := s.rewind(w.t, "")
	w.t.Logf("back to %d, then up to %d; anew: %v", position, s.head(), anew)
	w.finishFanOut()
	for i, c := range w.streams {
		resets := strings.Count(c.sink.got(w.t), "reset")
		switch resets - c.resets {
		case 0:
			if anew {
				w.t.Fatalf("stream %d has no reset, and all is lost", i)
			}
			c.base = min(c.base, position) // it had nothing of what was lost, and gets what is there now
		case 1:
			c.resets, c.base = resets, position
		default:
			w.t.Fatalf("stream %d has %d resets for one loss", i, resets-c.resets)
		}
	}
}

func (w *rewindModel) finishFanOut() {
	for w.hub.FanningOut() > 0 {
		w.hub.Advance()
	}
}

// stored is what is in topics above a position.
func (w *rewindModel) stored(topics []string, above uint64) string {
	var words []string
	for _, e := range w.store.events {
		if e.Seq > above && slices.Contains(topics, e.Topic) {
			words = append(words, e.Data)
		}
	}
	return strings.Join(words, " ")
}

func (w *rewindModel) judge() {
	publish(w.t, w.hub, w.name(), w.data())
	w.finishFanOut()
	for i, c := range w.streams {
		got := c.sink.got(w.t)
		if at := strings.LastIndex(got, "reset"); at >= 0 {
			got = strings.TrimSpace(got[at+len("reset"):])
		}
		if want := w.stored(c.topics, c.base); got != want {
			w.t.Fatalf("stream %d at %q got %q since its reset number %d, want %q", i, c.topics, got, c.resets, want)
		}
		again, _ := open(w.t, w.hub, c.sink.lastID(w.t), topic.FromDefault, c.topics...)
		wantGot(w.t, "with its last id", again, "")
		newcomer, _ := open(w.t, w.hub, "", topic.FromDefault, c.topics...)
		wantGot(w.t, "a newcomer", newcomer, w.stored(c.topics, 0))
	}
}
