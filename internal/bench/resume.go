package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

const (
	// resumeTopics are what the streams are spread over, if --topics does not say
	// otherwise.
	resumeTopics = 50
	// liveStreams listen to a topic of their own meanwhile.
	liveStreams = 100
	// coldEvents are published elsewhere before a cold run: as many as a gateway
	// keeps at hand when it starts.
	coldEvents = 50_000
)

// measureResume has all streams come back at once, each --behind events behind,
// while others are sent an event every --pace. What those notice of it is
// compared with the time before. With --cold the gateway is one that has just
// started, and has to read what they are sent from its storage.
func measureResume(ctx context.Context, b *bed) error {
	if err := b.fallBehind(ctx); err != nil {
		return err
	}
	listeners, err := startClients(ctx, b.opts, b.log)
	if err != nil {
		return err
	}
	err = b.resumeBeside(ctx, &live{bed: b, clients: listeners})
	return errors.Join(err, listeners.stop())
}

// fallBehind publishes an event to each topic, whose id the streams come back
// with, and then what they are behind.
func (b *bed) fallBehind(ctx context.Context) error {
	b.door.Each, b.door.Topics = true, b.opts.topicsOr(resumeTopics)
	conn, err := b.api.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.close()
	for n := range b.door.Topics {
		m := mark{seq: 1, to: everyone, at: now()}
		answer, err := conn.post(sendPath, typeJSON, appendMessage(nil, topicTarget(b.door.topicOf(n)), m, b.opts.Size))
		var told struct{ ID string }
		if err == nil {
			err = json.Unmarshal(answer, &told)
		}
		if err != nil {
			return fmt.Errorf("publish what comes before: %w", err)
		}
		b.door.LastIDs = append(b.door.LastIDs, told.ID)
	}
	if _, err := b.fill(ctx, b.door.Topics, b.door.Topics*b.opts.Behind); err != nil {
		return err
	}
	if !b.opts.Cold {
		return nil
	}
	before := b.door
	b.door = door{Topic: before.Topic + "-elsewhere"}
	if _, err := b.fill(ctx, resumeTopics, coldEvents); err != nil {
		return err
	}
	b.door = before
	if err := b.gateway.stop(); err != nil {
		return err
	}
	return b.again(ctx)
}

// resumeBeside lets the listeners come first, and then the others.
func (b *bed) resumeBeside(ctx context.Context, l *live) error {
	if err := l.open(ctx); err != nil {
		return err
	}
	defer l.conn.close()
	before, err := l.during(ctx, func() error { return pause(ctx, b.opts.lasting(sendDefault)) })
	if err != nil {
		return err
	}
	b.clients.opened = liveStreams // the ids before are those of the listeners
	b.sent.each = int64(b.opts.Behind)
	var took time.Duration
	during, err := l.during(ctx, func() error {
		used, err := b.timed(func() error {
			begin := time.Now()
			if _, err := b.open(b.opts.Streams); err != nil {
				return err
			}
			_, err := b.clients.await(b.sent)
			took = time.Since(begin)
			return err
		})
		if err == nil {
			b.cpuFigures("resume", used, int64(b.opts.Streams))
		}
		return err
	})
	if err != nil {
		return err
	}
	b.figure("all caught up after", "ms", millis(took))
	b.figure("resumes", "/s", float64(b.opts.Streams)/took.Seconds())
	b.figure("events replayed", "/s", float64(b.opts.Streams*b.opts.Behind)/took.Seconds())
	for _, p := range []struct {
		name string
		q    float64
	}{{"p50", 0.50}, {"p99", 0.99}} {
		calm, stormy := millis(before.quantile(p.q)), millis(during.quantile(p.q))
		b.figure("live delivery before, "+p.name, "ms", calm)
		b.figure("live delivery during, "+p.name, "ms", stormy)
		if calm > 0 {
			b.figure("live delivery during, "+p.name+", times that before", "×", stormy/calm)
		}
	}
	return nil
}

// live is the topic that goes on all the time, and its listeners.
type live struct {
	bed     *bed
	clients *clients
	conn    *sender
	topic   string
	sent    int64
}

func (l *live) open(ctx context.Context) (err error) {
	d := l.bed.door
	l.topic = d.Topic + "-live"
	d = door{Address: d.Address, Base: d.Base, Path: d.Path, Topic: l.topic}
	if _, err := l.clients.open(d, liveStreams, l.bed.opts.Window); err != nil {
		return err
	}
	l.conn, err = l.bed.api.dial(ctx)
	return err
}

// during publishes while do runs, and returns how long deliveries took.
func (l *live) during(ctx context.Context, do func() error) (histogram, error) {
	if err := l.clients.forget(); err != nil {
		return histogram{}, err
	}
	publishing, enough := context.WithCancel(ctx)
	published := make(chan error, 1)
	go func() { published <- l.publish(publishing) }() // waited for below
	err := do()
	enough()
	if err = errors.Join(err, <-published); err != nil {
		return histogram{}, err
	}
	if _, err := l.clients.await(sent{each: l.sent}); err != nil && !errors.Is(err, errUndelivered) {
		return histogram{}, fmt.Errorf("the listeners: %w", err)
	}
	got, err := l.clients.report(sent{each: l.sent})
	if err == nil && got.Faults != (faults{}) {
		l.bed.fault("the listeners: " + got.Faults.String())
	}
	return got.Latency, err
}

// publish publishes until ctx ends. An event that is late does not make the next
// one late, which is begun when its time has come or, if that has passed, at once.
func (l *live) publish(ctx context.Context) error {
	ticker := time.NewTicker(max(l.bed.opts.Pace, time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
		l.sent++
		m := mark{seq: l.sent, to: everyone, at: now()}
		if _, err := l.conn.post(sendPath, typeJSON, appendMessage(nil, topicTarget(l.topic), m, l.bed.opts.Size)); err != nil {
			return fmt.Errorf("publish to the listeners: %w", err)
		}
	}
}
