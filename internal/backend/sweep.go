package backend

import (
	"context"
	"errors"
	"strings"
	"time"

	"tidegate/client"
	"tidegate/task"
)

// sweepMargin is added to the longest run of a task: a log that is quiet for longer than
// both is closed.
const sweepMargin = time.Minute

// sweep closes the logs of tasks that no process runs any more, at once and then every
// interval until ctx ends. Without it, streams of such a task would wait for ever.
func (t *taskLogs) sweep(ctx context.Context, interval, longest time.Duration) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	failing := false
	for {
		err := t.sweepOnce(ctx, longest+sweepMargin)
		if err != nil && !failing && ctx.Err() == nil {
			t.log.Warn("sweep of task logs failed; the next sweep goes on", "cause", err)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// sweepOnce reads every open task log. A task that is unknown here may run in another
// process. It counts as lost once its log is quiet for longer than a task may run.
func (t *taskLogs) sweepOnce(ctx context.Context, quiet time.Duration) error {
	now := time.Now()
	for topic, err := range t.gateway.Topics(ctx, client.TopicQuery{Prefix: taskTopic(""), Open: true}) {
		if isIncomplete(err) {
			return nil // the next sweep reads the topics of a node that is away
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
			continue // known; or the store is away: then the next sweep decides
		}
		if err := t.sendAll(ctx, []client.Message{lostTask(id, now), closing(id, "task_failed", id+":lost:close")}); err != nil {
			return err
		}
		t.metrics.swept.Inc()
		t.log.Warn("closed the log of a lost task: quiet for longer than a task may run", "task_id", id, "last_event", topic.LastAt)
	}
	return nil
}
