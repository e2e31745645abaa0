package workload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"tidegate/measure/reliability/api"
	"tidegate/measure/reliability/eventsource"
	"tidegate/measure/reliability/record"
)

// client follows its topics until the context of run ends.
type client struct {
	number int
	load   *Load
	random *rand.Rand
	out    *record.Writer
	topics []int

	lastID     string
	positioned bool         // it has an id, since the start or the last reset
	ended      map[int]bool // topics whose end marker has arrived
	complete   bool
	final      bool   // EventSource would not reconnect
	onPosition func() // called once, at the first id
	onComplete func() // called once, when complete first becomes true
}

func newClient(number int, l *Load, out *record.Writer) *client {
	random := rand.New(rand.NewPCG(l.opts.Seed, uint64(1_000_000+number)))
	c := &client{number: number, load: l, random: random, out: out, ended: map[int]bool{}}
	count := min(1+random.IntN(maxPerClient), l.opts.Topics)
	for chosen := map[int]bool{}; len(chosen) < count; {
		if t := draw(random, l.opts.Topics); !chosen[t] {
			chosen[t] = true
			c.topics = append(c.topics, t)
		}
	}
	out.Write(record.Observation{Kind: record.Topics, Topics: c.topics})
	return c
}

// run opens one stream after another until ctx ends.
func (c *client) run(ctx context.Context) {
	for attempt := c.number; !c.final; attempt++ {
		err := c.stream(ctx, c.load.opts.Public[attempt%len(c.load.opts.Public)])
		c.out.Write(record.Observation{Kind: record.Ended, ID: c.lastID, Why: why(ctx, err)})
		pause := c.load.opts.Retry
		if !api.Sleep(ctx, pause+time.Duration(c.random.Int64N(int64(pause)/2+1))) {
			return
		}
	}
}

// stream opens one stream and reads it to its end, or up to a random time at which the
// client leaves.
func (c *client) stream(ctx context.Context, base string) error {
	s, err := eventsource.Open(ctx, eventsource.Request{
		Base: base, Target: c.load.naming.target(c.number, c.topics), LastEventID: c.lastID,
		Wait: c.load.opts.Timeout, Idle: c.load.opts.Idle,
	})
	if status, ok := errors.AsType[*eventsource.StatusError](err); ok && status.Status == http.StatusNoContent {
		c.final = true
	}
	if err != nil {
		return err
	}
	defer s.Close()
	c.out.Write(record.Observation{Kind: record.Open, ID: c.lastID})
	var until time.Time
	if c.load.opts.Drop > 0 {
		until = time.Now().Add(time.Duration(c.random.ExpFloat64() * float64(c.load.opts.Drop)))
	}
	for {
		b, err := s.Next(until)
		if err != nil {
			return err
		}
		c.block(b)
	}
}

// why describes the end of a stream for the record.
func why(ctx context.Context, err error) string {
	switch status, refused := errors.AsType[*eventsource.StatusError](err); {
	case ctx.Err() != nil:
		return "end of the run"
	case errors.Is(err, eventsource.ErrUntil):
		return "left"
	case errors.Is(err, eventsource.ErrIdle):
		return "silent"
	case err == io.EOF:
		return "ended by the server"
	case refused:
		return fmt.Sprint("answered ", status.Status)
	default:
		return "network"
	}
}

// block processes a block of the stream.
func (c *client) block(b eventsource.Block) {
	if b.HasID {
		c.lastID = b.ID
	}
	switch {
	case !b.HasData:
	case b.Name == "reset":
		c.out.Write(record.Observation{Kind: record.Reset, At: c.load.clock.Now(), ID: c.lastID})
		c.positioned, c.complete = false, false
		clear(c.ended)
	default:
		c.event(b)
	}
	if c.lastID != "" && !c.positioned {
		// This time is after the id, so the client must miss nothing from here on.
		c.out.Write(record.Observation{Kind: record.Position, At: c.load.clock.Now(), ID: c.lastID})
		c.positioned = true
		c.once(&c.onPosition)
	}
	if len(c.ended) == len(c.topics) && !c.complete {
		c.complete = true
		c.out.Write(record.Observation{Kind: record.Complete})
		c.once(&c.onComplete)
	}
}

// event records an event.
func (c *client) event(b eventsource.Block) {
	body, err := record.ParseBody(b.Data)
	if err != nil || b.Name != eventName && b.Name != endName {
		c.out.Write(record.Observation{Kind: record.Foreign, ID: b.ID, Why: b.Name})
		return
	}
	c.out.Write(record.Observation{
		Kind: record.Received, ID: b.ID, Global: body.Global, Publisher: body.Publisher, Topic: body.Topic, Number: body.Number,
	})
	if b.Name == endName {
		c.ended[body.Topic] = true
	}
}

// once calls the function if it is not nil, and then sets it to nil.
func (c *client) once(do *func()) {
	if *do != nil {
		(*do)()
		*do = nil
	}
}
