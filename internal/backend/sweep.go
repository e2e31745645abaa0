package backend

import (
	"context"
	"errors"
	"strings"
	"time"

	"tidegate/client"
	"tidegate/task"
)

// sweepMargin is how much longer than a task may run its log must be quiet
// before the sweep closes it.
const sweepMargin = time.Minute

// sweep closes the logs of tasks that nobody is at work on, now and every
// interval until ctx ends. After the process that ran a task is gone, its
// watchers would wait for ever.
func (t *taskLogs) sweep(ctx context.Context, interval, longest time.Duration) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	failing := false
	for {
		err := t.sweepOnce(ctx, longest+sweepMargin)
		if err != nil && !failing && ctx.Err() == nil {
			t.log.Warn("sweep of task logs stopped half-way; it goes on in the next turn", "cause", err)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// sweepOnce looks at every open task log. One that this process does not know
// may be another's; that one is alive as long as it writes, and a task that
// writes nothing for longer than it may run is not.
func (t *taskLogs) sweepOnce(ctx context.Context, quiet time.Duration) error {
	now := time.Now()
	for topic, err := range t.gateway.Topics(ctx, client.TopicQuery{Prefix: taskTopic(""), Open: true}) {
		if isIncomplete(err) {
			return nil // topics of a node that is away are looked at in the next turn
		}
		if err != nil {
			return err
		}
		id := strings.TrimPrefix(topic.Topic, taskTopic(""))
		last, err := time.Parse(time.RFC3339, topic.LastAt)
		if err != nil || now.Sub(last) <= quiet {
			continue // never written to, or lately
		}
		if _, err := t.service.Summary(ctx, id); !errors.Is(err, task.ErrNotFound) {
			continue // known, or the store is away: then the next turn will tell
		}
		if err := t.sendAll(ctx, []client.Message{lostTask(id, now), closing(id, "task_failed", id+":lost:close")}); err != nil {
			return err
		}
		t.metrics.swept.Inc()
		t.log.Warn("task lost: its log was quiet for longer than a task may run, and is closed", "task_id", id, "last_event", topic.LastAt)
	}
	return nil
}
