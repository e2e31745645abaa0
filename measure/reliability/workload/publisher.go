package workload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tidegate/measure/reliability/api"
	"tidegate/measure/reliability/record"
)

// publisher publishes one event after another.
type publisher struct {
	number int
	load   *Load
	api    *api.Client
	random *rand.Rand
	out    *record.Writer
	count  uint64      // events so far
	byTop  map[int]int // events so far by topic

	answered, attempts int
}

type message struct {
	Topic string `json:"topic"`
	Event struct {
		Name string `json:"name"`
		Data string `json:"data"`
	} `json:"event"`
	Key string `json:"idempotency_key"`
}

// Names of events: the last one of each topic, and all others.
const (
	eventName = "load"
	endName   = "load-end"
)

// run publishes at its share of the rate until stop is closed.
func (p *publisher) run(ctx context.Context, stop <-chan struct{}) error {
	pause := time.Duration(float64(time.Second) * float64(p.load.opts.Publishers) / p.load.opts.Rate)
	next := time.Now().Add(time.Duration(p.random.Int64N(int64(pause) + 1)))
	timer := time.NewTimer(time.Until(next))
	defer timer.Stop()
	for {
		select {
		case <-stop:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-timer.C:
		}
		if err := p.publish(ctx, draw(p.random, p.load.opts.Topics), false); err != nil {
			return err
		}
		// Do not catch up on events that were due while the server was down.
		if next = next.Add(pause); time.Until(next) < -time.Second {
			next = time.Now()
		}
		timer.Reset(time.Until(next))
	}
}

// keyLife is less than the 2 minutes for which the server keeps an idempotency key. A
// later repeat would be a new event.
const keyLife = 110 * time.Second

var errKeyLife = fmt.Errorf("the server was down for %s, and an event must not be repeated after its idempotency key expires", keyLife)

// publish publishes one event and records the answer. An error ends the run.
func (p *publisher) publish(ctx context.Context, topic int, end bool) error {
	p.count++
	p.byTop[topic]++
	e := record.Event{
		Global: uint64(p.number)<<32 | p.count, Publisher: p.number, Topic: topic, Number: p.byTop[topic], End: end,
	}
	text := record.Body{Global: e.Global, Publisher: e.Publisher, Topic: topic, Number: e.Number}.Text(p.load.opts.Size)
	m := message{Topic: p.load.naming.topic(topic), Key: fmt.Sprintf("%s-%d", p.load.name, e.Global)}
	m.Event.Name, m.Event.Data = eventName, text
	if end {
		m.Event.Name = endName
	}
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	var answer struct{ ID string }
	trying, cancel := context.WithTimeoutCause(ctx, keyLife, errKeyLife)
	defer cancel()
	e.Begin = p.load.clock.Now()
	e.Attempts, err = api.Retry(trying, func() error {
		err := p.api.Post(trying, "/internal/send", body, &answer)
		if err == nil && answer.ID == "" {
			return fmt.Errorf("%w: the answer is 200 but has no id", api.ErrPermanent)
		}
		return err
	})
	p.attempts += e.Attempts
	if err == nil {
		e.Done, e.ID = p.load.clock.Now(), answer.ID
		p.answered++
		p.load.pauses.answered()
	}
	p.out.Write(e)
	if errors.Is(err, api.ErrPermanent) {
		return fmt.Errorf("publish: %w", err)
	}
	if err != nil {
		return fmt.Errorf("publish: no answer to an event, so the run cannot go on: %w", err)
	}
	return nil
}

// draw returns a topic. Topics with low numbers are far more likely, so that a few have
// many publishers and clients while the rest are quiet.
func draw(random *rand.Rand, topics int) int {
	u := random.Float64()
	return int(u * u * float64(topics))
}

// pauses measures the times between two answers to any publishers.
type pauses struct {
	began   time.Time
	last    atomic.Int64 // since began
	longest atomic.Int64

	mu   sync.Mutex
	long []time.Duration // those of longPause or more; guarded by mu
}

// longPause is a pause that users of the API notice. mostPauses bounds the memory.
const (
	longPause  = time.Second
	mostPauses = 100_000
)

func (p *pauses) start() { p.began = time.Now() }

// restart drops the time since the last answer, in which nobody published.
func (p *pauses) restart() { p.last.Store(int64(time.Since(p.began))) }

func (p *pauses) answered() {
	now := int64(time.Since(p.began))
	gap := now - p.last.Swap(now)
	if time.Duration(gap) >= longPause {
		p.mu.Lock()
		if len(p.long) < mostPauses {
			p.long = append(p.long, time.Duration(gap))
		}
		p.mu.Unlock()
	}
	for {
		longest := p.longest.Load()
		if gap <= longest || p.longest.CompareAndSwap(longest, gap) {
			return
		}
	}
}

// median returns the number and the median of the long pauses.
func (p *pauses) median() (n int, middle time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.long) == 0 {
		return 0, 0
	}
	sorted := slices.Sorted(slices.Values(p.long))
	return len(sorted), sorted[len(sorted)/2]
}
