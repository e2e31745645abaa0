package topic_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"tidegate/internal/topic"
	"tidegate/internal/wire"
)

// pickyStore fails where an event says so, and notes what it is asked.
type pickyStore struct {
	*fakeStore
	mu    sync.Mutex // a hub looks up and appends at the same time
	calls [][]topic.Entry
}

func (s *pickyStore) Read(ctx context.Context, name string, from, before uint64, yield func(topic.Stored) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fakeStore.Read(ctx, name, from, before, yield)
}

func (s *pickyStore) Last(ctx context.Context, name string) (topic.Stored, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fakeStore.Last(ctx, name)
}

func (s *pickyStore) Find(ctx context.Context, e topic.Entry, from, before uint64) (topic.Appended, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fakeStore.Find(ctx, e, from, before)
}

func (s *pickyStore) AppendAll(ctx context.Context, entries []topic.Entry) []topic.Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, slices.Clone(entries))
	return topic.OneByOne(ctx, entries, func(ctx context.Context, e topic.Entry) (topic.Appended, error) {
		if text, fails := strings.CutPrefix(e.Data, "fail "); fails {
			return topic.Appended{}, failures[text]
		}
		return s.append(ctx, e)
	})
}

var failures = map[string]error{
	"away":  errAway,
	"full":  &wire.Error{Status: http.StatusServiceUnavailable, Code: wire.CodeEngineFull, Message: "full"},
	"large": wire.Errorf(http.StatusRequestEntityTooLarge, wire.CodeBodyTooLarge, "large"),
}

func newPicky(back int) (*pickyStore, *topic.Hub) {
	s := &pickyStore{fakeStore: newFakeStore()}
	return s, s.restart(back)
}

func (s *pickyStore) restart(back int) *topic.Hub {
	opts := durable
	opts.Store, opts.Generation = s, "teststor"
	s.hub = topic.New(opts)
	tail := s.events[max(0, len(s.events)-back):]
	floor := s.head() + 1
	if len(tail) > 0 {
		floor = tail[0].Seq
	}
	s.hub.Begin(floor, 0, "")
	s.hub.Apply(slices.Clone(tail))
	return s.hub
}

// outcomes are answers with ids by what came first.
func outcomes(answers []topic.Published, seen map[string]int) (words []string) {
	for _, a := range answers {
		if a.Err != nil {
			words = append(words, fmt.Sprint(wire.ErrorOf(a.Err).Code, "/", a.ID, a.Receivers))
			continue
		}
		if _, ok := seen[a.ID]; a.ID != "" && !ok {
			seen[a.ID] = len(seen) + 1
		}
		words = append(words, fmt.Sprint(seen[a.ID], "/", a.Receivers))
	}
	return words
}

func somePublications(rng *rand.Rand) (ps []topic.Publication) {
	for range 1 + rng.IntN(150) { // more than one step
		p := topic.Publication{
			Topic: fmt.Sprint("all:", rng.IntN(8)), HasEvent: rng.IntN(20) > 0, Data: fmt.Sprint(rng.IntN(3)),
		}
		switch rng.IntN(30) {
		case 0:
			p.Close = true
		case 1:
			p.Name = "no\nname"
		}
		if rng.IntN(4) == 0 {
			p.Key = fmt.Sprint("k", rng.IntN(6))
		}
		ps = append(ps, p)
	}
	return ps
}

// TestPublishAllAnswersAsPublishDoes: over random batches, in memory and with a
// store, which the hub has lost sight of now and then.
func TestPublishAllAnswersAsPublishDoes(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		withStore := seed%2 == 1
		one, all := topic.New(durable), topic.New(durable)
		var oneStore, allStore *pickyStore
		if withStore {
			oneStore, one = newPicky(0)
			allStore, all = newPicky(0)
		}
		seenOne, seenAll := map[string]int{}, map[string]int{}
		for range 5 {
			if withStore && rng.IntN(2) == 0 {
				back := rng.IntN(20)
				one, all = oneStore.restart(back), allStore.restart(back)
			}
			a, _ := connect(t, one, "", topic.FromEarliest, "all:1", "all:2")
			b, _ := connect(t, all, "", topic.FromEarliest, "all:1", "all:2")
			ps := somePublications(rng)
			var want []topic.Published
			for _, p := range ps {
				r, err := one.Publish(ctx, p)
				want = append(want, topic.Published{Receipt: r, Err: err})
			}
			got := all.PublishAll(ctx, ps)
			// With a store a round is a step of its own, so positions of different
			// topics may change places; those of one topic do not.
			if withStore {
				for i, p := range ps {
					if p.Key != "" { // a repeat counts the streams that are there when all are stored
						want[i].Receivers, got[i].Receivers = 0, 0
					}
					w, g := outcomeIn(want[i], seenOne, p.Topic), outcomeIn(got[i], seenAll, p.Topic)
					if w != g {
						t.Fatalf("seed %d, %d of %d: %+v answered %s, one by one %s", seed, i, len(ps), p, g, w)
					}
				}
				continue
			}
			if w, g := outcomes(want, seenOne), outcomes(got, seenAll); !slices.Equal(w, g) {
				t.Fatalf("seed %d: answers\n got %v\nwant %v", seed, g, w)
			}
			if w, g := a.got(t), b.got(t); w != g {
				t.Fatalf("seed %d: a stream received\n %s, one by one\n %s", seed, g, w)
			}
		}
		if withStore {
			checkChain(t, seed, allStore.events)
		}
	}
}

// outcomeIn is an answer with its id as the number among those of its topic.
func outcomeIn(a topic.Published, seen map[string]int, name string) string {
	if a.Err != nil {
		return string(wire.ErrorOf(a.Err).Code)
	}
	if a.ID == "" {
		return fmt.Sprint("-/", a.Receivers)
	}
	if _, ok := seen[name+a.ID]; !ok {
		seen[name]++
		seen[name+a.ID] = seen[name]
	}
	return fmt.Sprint(seen[name+a.ID], "/", a.Receivers)
}

// checkChain: each event names the one before it, and they are numbered on.
func checkChain(t *testing.T, seed uint64, events []topic.Stored) {
	t.Helper()
	last := map[string]topic.Stored{}
	for _, e := range events {
		before := last[e.Topic]
		if e.Prev != before.Seq || e.Number != before.Number+1 {
			t.Errorf("seed %d: event %d of %s has number %d and stands behind %d, want %d and %d",
				seed, e.Seq, e.Topic, e.Number, e.Prev, before.Number+1, before.Seq)
		}
		last[e.Topic] = e
	}
}

func TestPublishAllIsOneCallOfTheStore(t *testing.T) {
	t.Parallel()
	s, h := newPicky(0)
	publish(t, h, "all:1", "0")
	s.calls = nil
	var ps []topic.Publication
	for i := range 200 {
		ps = append(ps, topic.Publication{Topic: fmt.Sprint("all:", i%7), HasEvent: true, Data: "x", Key: fmt.Sprint(i)})
	}
	for i, a := range h.PublishAll(ctx, ps) {
		if a.Err != nil {
			t.Errorf("publication %d = %v", i, a.Err)
		}
	}
	if len(s.calls) != 1 || len(s.calls[0]) != len(ps) {
		t.Errorf("%d calls, the first with %d entries, want one with all", len(s.calls), len(s.calls[0]))
	}
	checkChain(t, 0, s.events)
}

// What may come again keeps what is behind it from being taken; what was wrong
// with the event itself does not.
func TestPublishAllTakesNothingBehindWhatMayComeAgain(t *testing.T) {
	t.Parallel()
	for failure, want := range map[string]string{
		"away":  "ok ENGINE_UNAVAILABLE ENGINE_UNAVAILABLE ok ENGINE_UNAVAILABLE ENGINE_UNAVAILABLE ok",
		"full":  "ok ENGINE_FULL ENGINE_FULL ok ENGINE_FULL ENGINE_FULL ok",
		"large": "ok BODY_TOO_LARGE ok ok ok TOPIC_CLOSED ok",
	} {
		s, h := newPicky(0)
		var ps []topic.Publication
		for i, data := range []string{"1", "fail " + failure, "2", "b", "end", "late", "b"} {
			name := "all:a"
			if data == "b" {
				name = "all:b"
			}
			ps = append(ps, topic.Publication{Topic: name, HasEvent: true, Data: data, Close: data == "end", Key: fmt.Sprint(i)})
		}
		var got []string
		for _, a := range h.PublishAll(ctx, ps) {
			if a.Err != nil {
				got = append(got, string(wire.ErrorOf(a.Err).Code))
			} else {
				got = append(got, "ok")
			}
		}
		if answers := strings.Join(got, " "); answers != want {
			t.Errorf("%s: answers %s, want %s", failure, answers, want)
		}
		checkChain(t, 0, s.events)
	}
}

func TestPublishAllFailsOnlyWhereTheStoreIsAway(t *testing.T) {
	t.Parallel()
	s, h := newPicky(0)
	publish(t, h, "all:a", "1")
	publish(t, h, "all:b", "1")
	h = s.restart(1) // which knows of all:b
	s.away = true
	answers := h.PublishAll(ctx, []topic.Publication{
		{Topic: "all:a", HasEvent: true}, {Topic: "all:b"}, {Topic: "all:a", HasEvent: true}, {Topic: "all:b", HasEvent: true},
	})
	for i, want := range []error{topic.ErrUnavailable, nil, topic.ErrUnavailable, topic.ErrUnavailable} {
		if !errors.Is(answers[i].Err, want) {
			t.Errorf("publication %d = %v, want %v", i, answers[i].Err, want)
		}
	}
}
