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

// Names of events: all of a run, and the last one of each topic.
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
		// What was not published while the server was away is not made up for.
		if next = next.Add(pause); time.Until(next) < -time.Second {
			next = time.Now()
		}
		timer.Reset(time.Until(next))
	}
}

// keyLife is less than the 2 minutes for which the server knows an idempotency
// key: a repeat after that would be another event.
const keyLife = 110 * time.Second

var errKeyLife = fmt.Errorf("the server was away for %s, and an event cannot be repeated for longer than its idempotency key lives", keyLife)

// publish publishes one event and writes down what came of it. An error is one
// that ends the run.
func (p *publisher) publish(ctx context.Context, topic int, end bool) error {
	p.count++
	p.byTop[topic]++
	e := record.Event{
		Global: uint64(p.number)<<32 | p.count, Publisher: p.number, Topic: topic, Number: p.byTop[topic], End: end,
	}
	text := record.Body{Global: e.Global, Publisher: e.Publisher, Topic: topic, Number: e.Number}.Text(p.load.opts.Size)
	m := message{Topic: p.load.door.topic(topic), Key: fmt.Sprintf("%s-%d", p.load.name, e.Global)}
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
			return fmt.Errorf("%w: an answer of 200 to a topic has no id", api.ErrPermanent)
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
		return fmt.Errorf("publish: no answer to an event (the run has to end): %w", err)
	}
	return nil
}

// draw gives a topic. Some are drawn far more often than others: they have many
// publishers and clients at once, and the rest is seldom written to.
func draw(random *rand.Rand, topics int) int {
	u := random.Float64()
	return int(u * u * float64(topics))
}

// pauses finds the longest time between two answers to any publishers.
type pauses struct {
	began   time.Time
	last    atomic.Int64 // since began
	longest atomic.Int64

	mu   sync.Mutex
	long []time.Duration // guarded by mu: those of longPause or more
}

// longPause is one that a client of the API notices; mostPauses bounds what is kept.
const (
	longPause  = time.Second
	mostPauses = 100_000
)

func (p *pauses) start() { p.began = time.Now() }

// restart forgets the time since the last answer: nobody published.
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

// median gives how many pauses were long, and the one in their middle.
func (p *pauses) median() (n int, middle time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.long) == 0 {
		return 0, 0
	}
	sorted := slices.Sorted(slices.Values(p.long))
	return len(sorted), sorted[len(sorted)/2]
}
