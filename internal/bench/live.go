package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// live is a topic with steady events, and its listeners.
type live struct {
	testbed *testbed // of the gateway
	clients *clients
	conn    *sender
	topic   string
	sent    int64
}

func (l *live) start(ctx context.Context) (err error) {
	if l.clients, err = startClients(ctx, l.testbed.opts, l.testbed.log); err != nil {
		return err
	}
	d := l.testbed.endpoint
	l.topic = d.Topic + "-live"
	d = endpoint{Address: d.Address, Base: d.Base, Path: d.Path, Topic: l.topic}
	if _, err = l.clients.open(d, liveStreams, l.testbed.opts.Window); err == nil {
		l.conn, err = l.testbed.api.dial(ctx)
	}
	if err != nil {
		return errors.Join(err, l.clients.stop())
	}
	return nil
}

func (l *live) stop() error {
	l.conn.close()
	return l.clients.stop()
}

// lives are several live topics.
type lives []*live

// during publishes to all while do runs, and returns how long deliveries took
// for each.
func (ls lives) during(ctx context.Context, do func() error) ([]histogram, error) {
	publishing, enough := context.WithCancel(ctx)
	defer enough()
	published := make(chan error, len(ls))
	for _, l := range ls {
		if err := l.clients.resetLatencies(); err != nil {
			return nil, err
		}
	}
	for _, l := range ls {
		go func() { published <- l.publish(publishing) }() // waited for below
	}
	err := do()
	enough()
	for range ls {
		err = errors.Join(err, <-published)
	}
	if err != nil {
		return nil, err
	}
	var took []histogram
	for _, l := range ls {
		got, err := l.received()
		if err != nil {
			return nil, err
		}
		took = append(took, got)
	}
	return took, nil
}

// received waits for the listeners to have all, and checks it.
func (l *live) received() (histogram, error) {
	if _, err := l.clients.await(sent{each: l.sent}); err != nil && !errors.Is(err, errUndelivered) {
		return histogram{}, fmt.Errorf("the listeners: %w", err)
	}
	got, err := l.clients.report(sent{each: l.sent})
	if err == nil && got.Faults != (faults{}) {
		l.testbed.fault("the listeners: " + got.Faults.String())
	}
	return got.Latency, err
}

// publish publishes until ctx ends. An event that is late does not make the next
// one late, which is begun when its time has come or, if that has passed, at once.
func (l *live) publish(ctx context.Context) error {
	ticker := time.NewTicker(max(l.testbed.opts.Pace, time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
		l.sent++
		m := mark{seq: l.sent, to: everyone, at: now()}
		if _, err := l.conn.post(sendPath, typeJSON, appendMessage(nil, topicTarget(l.topic), m, l.testbed.opts.Size)); err != nil {
			return fmt.Errorf("publish to the listeners: %w", err)
		}
	}
}

// startBeside starts another gateway of the same kind, with a backend, a storage
// and listeners of its own.
func (b *testbed) startBeside(ctx context.Context) (l *live, err error) {
	other := &testbed{opts: b.opts, subject: b.subject, mode: b.mode, flags: b.flags, report: b.report, log: b.log}
	l = &live{testbed: other}
	if err = other.setUp(ctx, "127.0.0.1:0"); err == nil {
		err = l.start(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, other.takeDown())
	}
	other.later(l.stop)
	return l, nil
}
