package backend

import (
	"cmp"
	"context"
	"time"

	"golang.org/x/sync/errgroup"
	"tidegate/client"
)

// phase is where a backend is in its life.
type phase int

const (
	starting phase = iota // Run was not called yet
	running
	stopping // Drain was called, or Run has ended
)

// Run runs tasks and everything that goes on by itself, until ctx ends and all
// of it has ended. Call it once.
func (b *Backend) Run(ctx context.Context) error {
	b.enter(running)
	defer b.enter(stopping)
	defer b.gateway.CloseIdleConnections()
	g, ctx := errgroup.WithContext(ctx)
	for _, loop := range b.loops() {
		g.Go(func() error { loop(ctx); return nil })
	}
	g.Go(func() error { return b.service.Run(ctx) })
	return g.Wait()
}

// loops are what goes on beside the tasks.
func (b *Backend) loops() []func(context.Context) {
	loops := []func(context.Context){
		b.probe,
		b.expiries.run,
		func(ctx context.Context) { b.logs.sweep(ctx, b.opts.SweepInterval, b.longestRun()) },
		func(ctx context.Context) {
			b.logs.lost.run(ctx, b.logs.republish, func(id string, err error) {
				b.log.Warn("lost task log not written again yet", "task_id", id, "cause", err)
			})
		},
		func(ctx context.Context) {
			b.versions.lost.run(ctx, b.versions.restore, func(id string, err error) {
				b.log.Warn("lost version not published again yet", "request_id", id, "cause", err)
			})
		},
		func(ctx context.Context) {
			b.logs.unused.run(ctx, b.logs.drop, func(id string, err error) {
				b.log.Warn("log of a forgotten task not deleted yet", "task_id", id, "cause", err)
			})
		},
	}
	if b.poller != nil {
		loops = append(loops, b.poller.run)
	}
	return loops
}

// longestRun is how long a task may run at most.
func (b *Backend) longestRun() time.Duration {
	longest := cmp.Or(b.opts.Tasks.Timeout, 5*time.Minute)
	for _, t := range b.opts.Types {
		longest = max(longest, t.Timeout)
	}
	return longest
}

// probePause is between two looks whether the gateway is back.
const probePause = 2 * time.Second

// probe finds out when a gateway that could not be reached can be. While calls
// succeed it makes none of its own.
func (b *Backend) probe(ctx context.Context) {
	tick := time.NewTicker(probePause)
	defer tick.Stop()
	for {
		if !b.gateway.Reachable() {
			for range b.gateway.Topics(ctx, client.TopicQuery{Limit: 1, Prefix: taskTopic("")}) {
				break // whatever the answer is, Reachable has noted that there was one
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Drain takes no new tasks and waits for those there are; when ctx ends it
// cancels the rest. Callbacks are answered as before. Call it while Run still
// runs, and end Run's context afterwards.
func (b *Backend) Drain(ctx context.Context) {
	b.enter(stopping)
	b.service.Drain(ctx)
}

// TasksLeft is what Drain waits for: tasks that run here, and, where they end with
// this process, tasks that wait.
func (b *Backend) TasksLeft() (running, pending int) { return b.service.Unfinished() }

// enter moves on to a later phase.
func (b *Backend) enter(next phase) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.phase = max(b.phase, next)
}

// Ready reports whether the backend can do its work, and if not, why.
func (b *Backend) Ready() (ok bool, reasons []string) {
	b.mu.Lock()
	now := b.phase
	b.mu.Unlock()
	switch now {
	case starting:
		reasons = append(reasons, "backend is starting")
	case stopping:
		reasons = append(reasons, "backend is stopping")
	}
	if !b.gateway.Reachable() {
		reasons = append(reasons, "gateway is not reachable")
	}
	return len(reasons) == 0, reasons
}
