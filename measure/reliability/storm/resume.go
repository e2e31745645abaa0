package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"tidegate/measure/reliability/api"
	"tidegate/measure/reliability/eventsource"
	"tidegate/measure/reliability/record"
)

// resumeAll starts all clients at once and returns when each has caught up. All stay
// connected until then, as real clients do.
func (s *storm) resumeAll(ctx context.Context) error {
	following, leave := context.WithCancel(ctx)
	defer leave()
	var clients, behind sync.WaitGroup
	behind.Add(s.opts.clients)
	s.began = time.Now()
	for n := range s.opts.clients {
		clients.Go(func() {
			var once sync.Once
			defer once.Do(behind.Done) // do not wait for a client that gave up
			s.resume(following, n, func() { once.Do(behind.Done) })
		})
	}
	behind.Wait()
	s.took = time.Since(s.began)
	leave()
	clients.Wait()
	return context.Cause(ctx)
}

// resume is one client. It calls caughtUp when it has all events, and stays.
func (s *storm) resume(ctx context.Context, n int, caughtUp func()) {
	topic := n % s.opts.topics
	c := &follower{storm: s, topic: topic, lastID: s.resumeIDs[topic], next: 1, caughtUp: func() {
		took := time.Since(s.began)
		s.mu.Lock()
		s.caught = append(s.caught, took)
		s.mu.Unlock()
		caughtUp()
	}}
	for attempt := n; ; attempt++ {
		err := c.stream(ctx, s.public[attempt%len(s.public)]) // it reconnects after any error
		s.ended(why(ctx, err))
		if !api.Sleep(ctx, 100*time.Millisecond) {
			break
		}
	}
	if c.next <= s.opts.behind {
		s.fault("client %d of topic %d received %d of %d events", n, topic, c.next-1, s.opts.behind)
	}
}

func (s *storm) ended(why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.attempts++
	s.ends[why]++
}

// why describes the end of a connection.
func why(ctx context.Context, err error) string {
	switch status, refused := errors.AsType[*eventsource.StatusError](err); {
	case ctx.Err() != nil:
		return "end of the run"
	case refused:
		return fmt.Sprint("answered ", status.Status)
	case err == io.EOF:
		return "ended by the server"
	case errors.Is(err, eventsource.ErrIdle):
		return "silent"
	default:
		return "network"
	}
}

// follower is a client that knows which event must come next.
type follower struct {
	storm    *storm
	topic    int
	lastID   string
	next     int
	caughtUp func()
}

func (c *follower) stream(ctx context.Context, base string) error {
	st, err := eventsource.Open(ctx, eventsource.Request{
		Base: base, Target: "/storm?topic=" + topicName(c.topic), LastEventID: c.lastID, Wait: time.Minute, Idle: 30 * time.Second,
	})
	if err != nil {
		return err
	}
	defer st.Close()
	for {
		b, err := st.Next(time.Time{})
		if err != nil {
			return err
		}
		if b.HasID {
			c.lastID = b.ID
		}
		if b.HasData {
			c.event(b)
		}
	}
}

func (c *follower) event(b eventsource.Block) {
	s := c.storm
	if b.Name == "reset" {
		s.mu.Lock()
		s.resets++
		s.mu.Unlock()
		c.next = 0 // the server replays the topic from its first event
		return
	}
	body, err := record.ParseBody(b.Data)
	if err != nil || body.Topic != c.topic || body.Number != c.next {
		s.fault("a client of topic %d received %.40q, want event %d", c.topic, b.Data, c.next)
	}
	c.next++
	if c.next == s.opts.behind+1 {
		c.caughtUp()
	}
}
