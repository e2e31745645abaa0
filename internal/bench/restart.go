package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"tidegate/internal/backoff"
)

// restartTopics are filled if --topics does not say otherwise.
const restartTopics = 10_000

// measureRestart fills the storage, kills the gateway (SIGKILL) and takes the
// time until another is ready that has all of it. Then the same with a gateway
// that was stopped in order.
func measureRestart(ctx context.Context, b *testbed) error {
	if b.gateway.cmd == nil {
		return errors.New("a gateway that bench has not started cannot be killed")
	}
	topics := min(b.opts.topicsOr(restartTopics), b.opts.Held)
	empty, err := b.storeSize(ctx)
	if err != nil {
		return err
	}
	took, err := b.fill(ctx, topics, b.opts.Held)
	if err != nil {
		return err
	}
	b.figure("events, while filling", "/s", float64(b.opts.Held)/took.Seconds())
	full, err := b.storeSize(ctx)
	if err != nil {
		return err
	}
	b.figure("on disk per event", "bytes", float64(full-empty)/float64(b.opts.Held))
	for _, end := range []struct {
		name string
		do   func() error
	}{
		{"killed", func() error { b.gateway.kill(); return nil }},
		{"stopped", func() error { return b.gateway.stop() }},
	} {
		if err := end.do(); err != nil {
			return err
		}
		begin := time.Now()
		if err := b.again(ctx); err != nil {
			return err
		}
		b.figure(end.name+": ready after", "ms", millis(time.Since(begin)))
		if err := b.allHeld(ctx, topics); err != nil {
			return err
		}
		fresh, err := memoryOf(b.gateway.pids)
		if err != nil {
			return err
		}
		if err := backoff.Wait(ctx, b.opts.Settle); err != nil {
			return err
		}
		settled, err := memoryOf(b.gateway.pids)
		if err != nil {
			return err
		}
		b.figure(end.name+": memory of the process", "MiB", mebi(fresh.rss))
		b.figure(end.name+": memory of the process, settled", "MiB", mebi(settled.rss))
		b.figure(end.name+": memory of the process, peak", "MiB", mebi(settled.peak))
	}
	return nil
}

// again starts the gateway anew, on the same storage and at the same addresses,
// and waits until it is ready.
func (b *testbed) again(ctx context.Context) (err error) {
	b.places = []string{"--listen", b.endpoint.Address, "--internal-listen", b.api.address}
	if b.gateway, err = b.startOne(ctx); err != nil {
		return err
	}
	b.gateway.secret = b.opts.InternalSecret
	for {
		status, _, err := b.api.get(ctx, "/readyz")
		if err != nil || status == http.StatusOK {
			return err
		}
		if err := backoff.Wait(ctx, time.Millisecond); err != nil {
			return err
		}
	}
}

// sampled is how many topics are looked at.
const sampled = 100

// allHeld finds the last event in some topics.
func (b *testbed) allHeld(ctx context.Context, topics int) error {
	for i := range min(sampled, topics) {
		n := i * (topics / min(sampled, topics))
		want := min(maxListed, (b.opts.Held-n+topics-1)/topics)
		held, err := b.api.held(ctx, b.endpoint.topicOf(n))
		if err != nil {
			return err
		}
		if held != want {
			b.fault(fmt.Sprintf("topic %d held %d of %d events", n, held, want))
		}
	}
	return nil
}
