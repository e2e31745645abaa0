package bench

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"tidegate/internal/backoff"
)

const (
	// resumeTopics is the number of topics that the streams share, if --topics does not say
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
func measureResume(ctx context.Context, b *testbed) error {
	if err := b.fallBehind(ctx); err != nil {
		return err
	}
	return b.resumeBeside(ctx)
}

// fallBehind publishes an event to each topic, whose id the streams come back
// with, and then what they are behind.
func (b *testbed) fallBehind(ctx context.Context) error {
	b.endpoint.Each, b.endpoint.Topics = true, b.opts.topicsOr(resumeTopics)
	conn, err := b.api.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.close()
	for n := range b.endpoint.Topics {
		m := mark{seq: 1, to: everyone, at: now()}
		answer, err := conn.post(sendPath, typeJSON, appendMessage(nil, topicTarget(b.endpoint.topicOf(n)), m, b.opts.Size))
		var answered struct{ ID string }
		if err == nil {
			err = json.Unmarshal(answer, &answered)
		}
		if err != nil {
			return fmt.Errorf("publish what comes before: %w", err)
		}
		b.endpoint.LastIDs = append(b.endpoint.LastIDs, answered.ID)
	}
	if _, err := b.fill(ctx, b.endpoint.Topics, b.endpoint.Topics*b.opts.Behind); err != nil {
		return err
	}
	if !b.opts.Cold {
		return nil
	}
	before := b.endpoint
	b.endpoint = endpoint{Topic: before.Topic + "-elsewhere"}
	if _, err := b.fill(ctx, resumeTopics, cmp.Or(b.opts.coldEvents, coldEvents)); err != nil {
		return err
	}
	b.endpoint = before
	if err := b.gateway.stop(); err != nil {
		return err
	}
	return b.again(ctx)
}

// resumeBeside lets the listeners come first, and then the others. Another
// gateway, to which nobody comes back, has listeners too: what those notice is
// the machine's doing, and that of the clients on it. Those who come back stand for
// programs on other machines, and so get what the gateway leaves of this one.
func (b *testbed) resumeBeside(ctx context.Context) (err error) {
	own := &live{testbed: b}
	if err := own.start(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, own.stop()) }()
	b.more = own.clients.pids()
	all := lives{own}
	if b.subject.command != nil {
		other, err := b.startBeside(ctx)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, other.testbed.takeDown()) }()
		b.more = slices.Concat(b.more, other.clients.pids(), other.testbed.gateway.pids)
		all = append(all, other)
	}
	before, err := all.during(ctx, func() error { return backoff.Wait(ctx, b.opts.lasting(sendDefault)) })
	if err != nil {
		return err
	}
	if err := yieldCPU(b.clients.pids()); err != nil {
		return err
	}
	b.clients.opened = liveStreams // the ids before are those of the listeners
	b.sent.each = int64(b.opts.Behind)
	during, err := all.during(ctx, func() error { return b.resume(ctx) })
	if err != nil {
		return err
	}
	b.compareLive(before, during)
	return nil
}

// compareLive compares what the listeners noticed with the time before and with
// those at the other gateway, if there is one.
func (b *testbed) compareLive(before, during []histogram) {
	for _, p := range []struct {
		name string
		q    float64
	}{{"p50", 0.50}, {"p99", 0.99}} {
		before50, stormy := millis(before[0].quantile(p.q)), millis(during[0].quantile(p.q))
		b.figure("live delivery before, "+p.name, "ms", before50)
		b.figure("live delivery during, "+p.name, "ms", stormy)
		if before50 > 0 {
			b.figure("live delivery during, "+p.name+", times that before", "×", stormy/before50)
		}
		if len(during) == 1 {
			continue
		}
		elsewhere := millis(during[1].quantile(p.q))
		b.figure("live delivery at another gateway, "+p.name, "ms", elsewhere)
		if elsewhere > 0 {
			b.figure("live delivery during, "+p.name+", times that at another gateway", "×", stormy/elsewhere)
		}
	}
}

// resume has all come back at once.
func (b *testbed) resume(ctx context.Context) error {
	var took time.Duration
	used, err := b.timed(func() error {
		begin := time.Now()
		if _, err := b.open(b.opts.Streams); err != nil {
			return err
		}
		_, err := b.clients.await(b.sent)
		took = time.Since(begin)
		return err
	})
	if err != nil {
		return err
	}
	b.cpuFigures("resume", used, int64(b.opts.Streams))
	b.figure("all caught up after", "ms", millis(took))
	b.figure("resumes", "/s", float64(b.opts.Streams)/took.Seconds())
	b.figure("events replayed", "/s", float64(b.opts.Streams*b.opts.Behind)/took.Seconds())
	return nil
}
