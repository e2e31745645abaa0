package backend

import (
	"cmp"
	"context"
	"time"

	"golang.org/x/sync/errgroup"
	"tidegate/client"
)

// phase is a stage in the life of a backend.
type phase int

const (
	starting phase = iota // Run was not called yet
	running
	stopping // Drain was called, or Run has ended
)

// Run runs tasks and all background work until ctx ends, and returns when all of it has
// ended. Call it once.
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

// loops returns the background work beside the tasks.
func (b *Backend) loops() []func(context.Context) {
	loops := []func(context.Context){
		b.probe,
		b.expiries.run,
		func(ctx context.Context) { b.logs.sweep(ctx, b.opts.SweepInterval, b.longestRun()) },
		func(ctx context.Context) {
			b.logs.lost.run(ctx, b.logs.republish, func(id string, err error) {
				b.log.Warn("could not write a lost task log again; will retry", "task_id", id, "cause", err)
			})
		},
		func(ctx context.Context) {
			b.versions.lost.run(ctx, b.versions.restore, func(id string, err error) {
				b.log.Warn("could not publish a lost version again; will retry", "request_id", id, "cause", err)
			})
		},
		func(ctx context.Context) {
			b.logs.unused.run(ctx, b.logs.drop, func(id string, err error) {
				b.log.Warn("could not delete the log of a deleted task; will retry", "task_id", id, "cause", err)
			})
		},
	}
	if b.poller != nil {
		loops = append(loops, b.poller.run)
	}
	return loops
}

// longestRun returns how long a task may run at most.
func (b *Backend) longestRun() time.Duration {
	longest := cmp.Or(b.opts.Tasks.Timeout, 5*time.Minute)
	for _, t := range b.opts.Types {
		longest = max(longest, t.Timeout)
	}
	return longest
}

// probePause is the wait between two probes of a gateway that is away.
const probePause = 2 * time.Second

// probe finds out when the gateway can be reached again. While calls succeed it makes no
// requests.
func (b *Backend) probe(ctx context.Context) {
	tick := time.NewTicker(probePause)
	defer tick.Stop()
	for {
		if !b.gateway.Reachable() {
			for range b.gateway.Topics(ctx, client.TopicQuery{Limit: 1, Prefix: taskTopic("")}) {
				break // any answer counts, see Reachable
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Drain refuses new tasks and waits for those that run or wait; when ctx ends, it cancels
// the rest. Callbacks are answered as before. Call it while Run runs, and end Run's
// context afterwards.
func (b *Backend) Drain(ctx context.Context) {
	b.enter(stopping)
	b.service.Drain(ctx)
}

// TasksLeft returns what Drain waits for: tasks that run here and, if tasks are in memory,
// tasks that wait.
func (b *Backend) TasksLeft() (running, pending int) { return b.service.Unfinished() }

// enter moves to a later phase.
func (b *Backend) enter(next phase) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.phase = max(b.phase, next)
}

// Ready reports whether the backend can serve, and the reasons if it cannot.
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
