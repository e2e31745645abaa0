package topic_test

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"testing"

	"tidegate/internal/topic"
)

// fakeStore is a store in memory that gives each event to its hub at once. What
// is in it outlives the hub.
type fakeStore struct {
	events []topic.Stored
	hub    *topic.Hub
	away   bool // every call fails
	first  uint64
	reads  int
	trims  int
	keys   map[string]topic.Appended
	used   map[string]topic.Entry
	secret string // that ids are sealed with

	lost map[string]uint64 // what Lost says
	top  uint64            // positions up to it were given out

	epoch     int64  // times that it went back: what comes then is stored at other times
	meanwhile func() // what happens while the next Read is under way
}

var errAway = errors.New("the store is away")

func newFakeStore() *fakeStore {
	return &fakeStore{first: 1, keys: make(map[string]topic.Appended), used: make(map[string]topic.Entry)}
}

// start makes a hub that is given the newest back events.
func (s *fakeStore) start(opts topic.Options, back int) *topic.Hub {
	opts.Store, opts.Generation = s, "teststor"
	s.hub = topic.New(opts)
	s.hub.Key(s.secret)
	tail := s.events[max(0, len(s.events)-back):]
	floor := s.head() + 1
	if len(tail) > 0 {
		floor = tail[0].Seq
	}
	if len(tail) == len(s.events) {
		floor = s.first
	}
	var at int64
	for _, e := range s.events {
		if e.Seq == floor-1 {
			at = e.At
		}
	}
	s.hub.Begin(floor, at, "")
	s.hub.Apply(slices.Clone(tail))
	return s.hub
}

func (s *fakeStore) head() uint64 {
	if len(s.events) == 0 {
		return max(s.first-1, s.top)
	}
	return max(s.events[len(s.events)-1].Seq, s.top)
}

// damage takes an event out as if it could not be read any more. If it is the newest
// of its topic, the store says so.
func (s *fakeStore) damage(seq uint64) {
	i := slices.IndexFunc(s.events, func(e topic.Stored) bool { return e.Seq == seq })
	if i < 0 {
		return
	}
	name := s.events[i].Topic
	s.top = s.head()
	s.events = slices.Delete(slices.Clone(s.events), i, i+1)
	if !slices.ContainsFunc(s.events, func(e topic.Stored) bool { return e.Topic == name && e.Seq > seq }) {
		if s.lost == nil {
			s.lost = make(map[string]uint64)
		}
		s.lost[name] = max(s.lost[name], seq)
	}
}

// timeAt is when the event at seq is said to have been stored.
func timeAt(seq uint64) int64 { return 1_700_000_000_000_000_000 + int64(seq)*1_000_003 }

func (s *fakeStore) AppendAll(ctx context.Context, entries []topic.Entry) []topic.Result {
	return topic.OneByOne(ctx, entries, s.append)
}

func (s *fakeStore) append(_ context.Context, e topic.Entry) (topic.Appended, error) {
	if s.away {
		return topic.Appended{}, errAway
	}
	if first, ok := s.keys[e.Topic+" "+e.Key]; ok && e.Key != "" {
		if used := s.used[e.Topic+" "+e.Key]; !used.SameContent(&e) {
			return topic.Appended{}, topic.ErrMismatch
		}
		return first, nil
	}
	got := s.take(e)
	s.keys[e.Topic+" "+e.Key] = topic.Appended{Seq: got.Seq, At: got.At, Repeat: true}
	s.used[e.Topic+" "+e.Key] = e
	a := s.hub.Apply([]topic.Stored{got})[0]
	return topic.Appended{Seq: got.Seq, At: got.At, Receivers: a.Receivers}, a.Err
}

// take stores an event without giving it to the hub.
func (s *fakeStore) take(e topic.Entry) topic.Stored {
	e.Prev = max(e.Prev, s.lost[e.Topic])
	got := topic.Stored{Entry: e, Seq: s.head() + 1, PrevKnown: true}
	got.At = timeAt(got.Seq) + s.epoch
	s.events = append(s.events, got)
	return got
}

// elsewhere is an event that another node stores, as the next of its topic.
func (s *fakeStore) elsewhere(name, data string) topic.Stored {
	e := topic.Entry{Topic: name, Data: data, HasEvent: true, Number: 1}
	if last, ok, _ := s.Last(ctx, name); ok {
		e.Number, e.Prev = last.Number+1, last.Seq
	}
	return s.take(e)
}

// lose takes the store back to a position.
func (s *fakeStore) lose(above uint64) {
	s.events = slices.DeleteFunc(slices.Clone(s.events), func(e topic.Stored) bool { return e.Seq > above })
	s.epoch++
}

// rewind has the hub find out that the store went back, and follow it. It gives the
// position where it does, and whether it has begun anew there.
func (s *fakeStore) rewind(t testing.TB, generation string) (position uint64, anew bool) {
	t.Helper()
	position, _, err := s.hub.Common(ctx)
	if err != nil {
		t.Fatalf("Common = %v", err)
	}
	if anew = position == 0; anew {
		position = s.head()
		at, _, _ := s.Time(ctx, position)
		s.hub.Begin(position+1, at, generation)
	} else {
		s.hub.Rewind(position, generation)
	}
	i, _ := slices.BinarySearchFunc(s.events, position+1, func(e topic.Stored, seq uint64) int { return cmp.Compare(e.Seq, seq) })
	s.hub.Apply(slices.Clone(s.events[i:]))
	return position, anew
}

func (s *fakeStore) Read(_ context.Context, name string, from, before uint64, yield func(topic.Stored) error) error {
	if s.away {
		return errAway
	}
	s.reads++
	if s.meanwhile != nil {
		defer s.meanwhile()
		s.meanwhile = nil
	}
	for _, e := range s.events {
		if e.Topic == name && e.Seq >= from && e.Seq < before {
			if err := yield(e); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *fakeStore) Find(_ context.Context, e topic.Entry, from, before uint64) (topic.Appended, bool, error) {
	if s.away {
		return topic.Appended{}, false, errAway
	}
	first, ok := s.keys[e.Topic+" "+e.Key]
	if used := s.used[e.Topic+" "+e.Key]; ok && !used.SameContent(&e) {
		return topic.Appended{}, false, topic.ErrMismatch
	}
	return first, ok && first.Seq >= from && first.Seq < before, nil
}

func (s *fakeStore) Last(_ context.Context, name string) (topic.Stored, bool, error) {
	if s.away {
		return topic.Stored{}, false, errAway
	}
	for _, e := range slices.Backward(s.events) {
		if e.Topic == name {
			return e, true, nil
		}
	}
	return topic.Stored{}, false, nil
}

func (s *fakeStore) Time(_ context.Context, seq uint64) (at int64, exact bool, err error) {
	if s.away {
		return 0, false, errAway
	}
	for _, e := range s.events {
		if e.Seq >= seq {
			return e.At, e.Seq == seq, nil
		}
	}
	return 0, false, nil
}

// Trim keeps the newest events of a topic only.
func (s *fakeStore) Trim(name string, keep int) {
	s.trims++
	n := 0
	for i, e := range slices.Backward(s.events) {
		if e.Topic == name {
			if n++; n > keep {
				s.events = slices.Delete(s.events, i, i+1)
			}
		}
	}
}

func (s *fakeStore) Discarded() uint64 { return 0 }

func (s *fakeStore) Lost(name string) uint64 { return s.lost[name] }

func (s *fakeStore) Purge(_ context.Context, name string, before uint64) error {
	s.events = slices.DeleteFunc(s.events, func(e topic.Stored) bool { return e.Topic == name && e.Seq < before })
	return nil
}
