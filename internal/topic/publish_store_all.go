package topic

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"tidegate/sse"
)

// maxLookups bounds the topics of one PublishAll that are looked up at once.
const maxLookups = 16

// batchPublish is a PublishAll with a Store. It works in rounds: each one stores the
// publications that do not depend on the answer of another.
type batchPublish struct {
	h        *Hub
	ps       []Publication
	contents []uint64 // of ps
	answers  []Published
	refused  refusals
	lookups  map[string]int // how often a topic was looked up

	// Of one round.
	left        []int // to be answered
	later       []int // to be answered in the next round
	entries     []Entry
	of          []int                  // of which publication each entry is
	byTopic     map[string]*topicRound // by topic
	topicRounds []topicRound           // of ahead
	unknown     []string               // topics that have to be looked up
	repeats     []repeated
}

// batchPool reuses the memory of batches.
var batchPool = sync.Pool{New: func() any {
	return &batchPublish{refused: refusals{}, lookups: make(map[string]int), byTopic: make(map[string]*topicRound)}
}}

func (s *batchPublish) putBack() {
	clear(s.refused)
	clear(s.lookups)
	s.reset()
	s.h, s.ps, s.answers = nil, nil, nil
	s.left = s.left[:0]
	batchPool.Put(s)
}

// reset starts a round.
func (s *batchPublish) reset() {
	clear(s.entries) // none of them is in use, see append
	clear(s.byTopic)
	clear(s.topicRounds)
	s.entries, s.of, s.topicRounds, s.later = s.entries[:0], s.of[:0], s.topicRounds[:0], nil
	s.unknown, s.repeats = nil, nil
}

// topicRoundOf returns the state of a topic in this round.
func (s *batchPublish) topicRoundOf(name string) *topicRound {
	d := s.byTopic[name]
	if d == nil {
		s.topicRounds = append(s.topicRounds, topicRound{}) // there is capacity for all, so none moves
		d = &s.topicRounds[len(s.topicRounds)-1]
		s.byTopic[name] = d
	}
	return d
}

// topicRound is the state of a topic in one round.
type topicRound struct {
	entries uint64
	keys    []string
	wait    bool // later publications wait for the next round
}

// repeated is a publication with a key to a topic that is closed, see Hub.repeat.
type repeated struct {
	i     int
	entry Entry
}

func (h *Hub) storeAll(ctx context.Context, ps []Publication) []Published {
	if len(ps) == 1 {
		r, err := h.store(ctx, ps[0])
		return []Published{{r, err}}
	}
	s := batchPool.Get().(*batchPublish)
	defer s.putBack()
	s.h, s.ps, s.answers = h, ps, make([]Published, len(ps))
	s.contents = slices.Grow(s.contents, len(ps))[:len(ps)]
	for i := range ps {
		if strings.ContainsAny(ps[i].Name, "\r\n\x00") {
			_, s.answers[i].Err = sse.Append(nil, sse.Event{Name: ps[i].Name})
			continue
		}
		s.contents[i] = contentOf(ps[i])
		s.left = append(s.left, i)
	}
	for len(s.left) > 0 {
		s.round(ctx)
	}
	return s.answers
}

func (s *batchPublish) round(ctx context.Context) {
	s.reset()
	s.topicRounds = slices.Grow(s.topicRounds, len(s.left))
	s.entries = slices.Grow(s.entries, len(s.left))
	for step := range slices.Chunk(s.left, applyStep) {
		s.prepare(step)
	}
	s.left = s.later
	if len(s.unknown)+len(s.repeats) == 0 {
		s.append(ctx)
		return
	}
	var failed refusals
	var looks sync.WaitGroup
	looks.Go(func() { failed = s.lookUp(ctx) })
	if len(s.entries) > 0 {
		s.append(ctx)
	}
	looks.Wait()
	maps.Copy(s.refused, failed)
}

// prepare makes the entries of some publications, under one hold of the lock.
func (s *batchPublish) prepare(step []int) {
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	now := time.Now()
	for _, i := range step {
		s.prepareOne(i, now)
	}
}

func (s *batchPublish) prepareOne(i int, now time.Time) {
	p, a := &s.ps[i], &s.answers[i]
	if a.Err = s.refused.of(p.Topic); a.Err != nil {
		return
	}
	d := s.topicRoundOf(p.Topic)
	if d.wait = d.wait || p.Key != "" && slices.Contains(d.keys, p.Key); d.wait {
		s.later = append(s.later, i)
		return
	}
	e, r, answered, known, err := s.h.entryOf(p, s.contents[i], now)
	switch {
	case err == ErrClosed && p.Key != "":
		s.repeats = append(s.repeats, repeated{i, e})
	case err != nil:
		a.Err = err
		s.refused.note(p.Topic, err)
	case answered:
		a.Receipt = r
	case !known:
		d.wait = true
		s.later = append(s.later, i)
		s.unknown = append(s.unknown, p.Topic)
	default:
		e.Number += d.entries
		d.entries++
		d.wait = p.Close // later ones are refused if this one is stored
		if p.Key != "" {
			d.keys = append(d.keys, p.Key)
		}
		s.entries, s.of = append(s.entries, e), append(s.of, i)
	}
}

// append stores the entries of the round.
func (s *batchPublish) append(ctx context.Context) {
	results := s.h.opts.Store.AppendAll(ctx, s.entries)
	for n := 0; n < len(results); n += applyStep {
		s.recordAnswers(n, results[n:min(n+applyStep, len(results))])
	}
	if slices.ContainsFunc(results, func(r Result) bool { return Retryable(r.Err) }) {
		s.entries = nil // the store may still use them
	}
}

func (s *batchPublish) recordAnswers(from int, results []Result) {
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	now := time.Now()
	for n, r := range results {
		i := s.of[from+n]
		if r.Err != nil {
			s.answers[i].Err = unavailable(r.Err)
			s.refused.note(s.ps[i].Topic, s.answers[i].Err)
			continue
		}
		s.answers[i].Receipt, s.answers[i].Err = s.h.recordAnswerLocked(&s.ps[i], s.contents[i], r.Appended, now)
	}
}

// lookUp answers publications with a key to a closed topic, and reads back the state of
// unknown topics for the next round. It returns the topics for which that failed.
func (s *batchPublish) lookUp(ctx context.Context) refusals {
	failed := refusals{}
	errs := make([]error, len(s.unknown))
	eachConcurrently(len(s.unknown), func(n int) { errs[n] = s.h.fetch(ctx, s.unknown[n], needState) })
	for n, name := range s.unknown {
		if s.lookups[name]++; errs[n] == nil && s.lookups[name] >= maxFetchTries {
			errs[n] = ErrUnavailable
		}
		failed.note(name, errs[n])
	}
	eachConcurrently(len(s.repeats), func(n int) {
		r := s.repeats[n]
		s.answers[r.i].Receipt, s.answers[r.i].Err = s.h.repeat(ctx, s.ps[r.i], r.entry)
	})
	for _, r := range s.repeats {
		failed.note(s.ps[r.i].Topic, s.answers[r.i].Err)
	}
	return failed
}

// eachConcurrently calls work for 0 to n-1, for maxLookups at once.
func eachConcurrently(n int, work func(int)) {
	free := make(chan struct{}, maxLookups)
	var working sync.WaitGroup
	for i := range n {
		free <- struct{}{}
		working.Go(func() {
			defer func() { <-free }()
			work(i)
		})
	}
	working.Wait()
}
