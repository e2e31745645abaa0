package taskstore

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tidegate/task"
)

// sweeperKey is the lease of the process that sweeps. It is not renewed: when it has run out,
// the first process that asks gets the next one.
const sweeperKey = "sweeper"

// The sweeper leaves younger ones alone: the process that made them may not have finished.
const (
	orphanAge = 15 * time.Second
	objectAge = 10 * time.Minute
)

// sweep looks for stuck tasks and unused objects until ctx ends. Each process does so once when
// it begins, and then the holder of the lease every SweepInterval.
func (t *Store) sweep(ctx context.Context, h task.Hooks) {
	select {
	case <-t.listed:
	case <-ctx.Done():
		return
	}
	t.sweepOnce(ctx, h, true)
	ticker := time.NewTicker(t.opts.SweepInterval)
	defer ticker.Stop()
	var until time.Time // our lease lasts, with room for a sweep
	for turn := 1; ; turn++ {
		select {
		case <-ctx.Done():
			return
		case at := <-ticker.C:
			if at.After(until) {
				if !t.takeSweeper(ctx, h.Worker) {
					continue
				}
				until = at.Add(t.opts.SweepInterval)
			}
			t.sweepOnce(ctx, h, turn%20 == 0)
		}
	}
}

// takeSweeper takes the lease if no process has it.
func (t *Store) takeSweeper(ctx context.Context, worker string) bool {
	ctx, cancel, err := t.bounded(ctx)
	if err != nil {
		return false
	}
	defer cancel()
	_, err = t.leases.Create(ctx, sweeperKey, []byte(worker), jetstream.KeyTTL(wholeSeconds(2*t.opts.SweepInterval)))
	if err != nil && !errors.Is(err, jetstream.ErrKeyExists) {
		t.log.Debug("lease of the sweeper not taken", "error", err)
	}
	return err == nil
}

// sweepOnce makes one sweep. What fails is left for the next turn.
func (t *Store) sweepOnce(ctx context.Context, h task.Hooks, objects bool) {
	err := t.queueOrphans(ctx)
	now := time.Now()
	for _, rec := range t.list.open() {
		if rec.State == task.Running && now.After(rec.Deadline.Add(2*t.opts.AckWait)) {
			h.Overdue(ctx, rec)
		}
	}
	if objects {
		err = errors.Join(err, t.sweepObjects(ctx))
	}
	if err != nil && ctx.Err() == nil {
		t.log.Warn("sweep of tasks stopped half-way; the next turn goes on", "error", err)
	}
}

// queueOrphans queues tasks that have not ended and are not in the queue: the process that
// stored them died before it queued them.
func (t *Store) queueOrphans(ctx context.Context) error {
	open := t.list.open() // before the queue: a task that leaves it meanwhile has ended
	if len(open) == 0 {
		return nil
	}
	queued, err := t.queued(ctx)
	if err != nil {
		return err
	}
	idle, err := t.idleLanes(ctx, open)
	if err != nil {
		return err
	}
	stuck := map[string]uint64{}
	for _, rec := range open {
		there := queued[t.queueSubject(laneOf(rec), rec.ID)]
		switch {
		case time.Since(rec.Created) < t.orphanAge, there && !idle[laneOf(rec)]:
		case there:
			if stuck[rec.ID], err = t.requeueStuck(ctx, rec); err != nil {
				return err
			}
		default:
			if err := t.queueOrphan(ctx, rec.ID); err != nil {
				return err
			}
		}
	}
	t.stuck = stuck
	return nil
}

// requeueStuck queues a task again whose message no consumer would deliver. It deletes the
// message only if the same one was there at the last sweep too. Another sweeper may have
// queued the task again, and that message may be leased.
func (t *Store) requeueStuck(ctx context.Context, rec task.Record) (seq uint64, err error) {
	ctx, cancel, err := t.bounded(ctx)
	if err != nil {
		return 0, err
	}
	defer cancel()
	m, err := t.taskq.GetLastMsgForSubject(ctx, t.queueSubject(laneOf(rec), rec.ID))
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return 0, nil
	case err != nil:
		return 0, unavailable("look at the queue", err)
	case m.Sequence != t.stuck[rec.ID]:
		return m.Sequence, nil
	}
	if err := deleteMessage(ctx, t.taskq, m.Sequence); err != nil {
		return 0, unavailable("queue task anew", err)
	}
	return 0, t.queueOrphan(ctx, rec.ID)
}

// idleLanes are the lanes of which the consumer knows no message, neither
// pending nor leased. If the queue has one nevertheless, it is never delivered.
func (t *Store) idleLanes(ctx context.Context, recs []task.Record) (map[lane]bool, error) {
	idle := map[lane]bool{}
	for _, rec := range recs {
		l := laneOf(rec)
		if _, known := idle[l]; known {
			continue
		}
		ctx, cancel, err := t.bounded(ctx)
		if err != nil {
			return nil, err
		}
		c, err := t.taskq.Consumer(ctx, l.consumerName()) // as it is now
		cancel()
		switch {
		case errors.Is(err, jetstream.ErrConsumerNotFound): // no process has run that type yet
			idle[l] = false
		case err != nil:
			return nil, unavailable("look at the queue", err)
		default:
			info := c.CachedInfo()
			idle[l] = info.NumPending == 0 && info.NumAckPending == 0
		}
	}
	return idle, nil
}

// queueOrphan queues one task again if it has not ended. If another process has done so, its
// message stays: the queue takes no second one.
func (t *Store) queueOrphan(ctx context.Context, id string) error {
	rec, err := t.Load(ctx, id)
	if errors.Is(err, task.ErrNotFound) || err == nil && rec.State.Final() {
		return nil
	}
	if err != nil {
		return err
	}
	ctx, cancel, err := t.bounded(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	t.log.Warn("task was not in the queue, or no consumer would deliver it: queued again", "task_id", id, "type", rec.Type, "state", rec.State)
	return t.enqueue(ctx, rec, jetstream.WithMsgID("q:"+id+":"+rand.Text()))
}

// queued returns the subjects of all that is in the queue.
func (t *Store) queued(ctx context.Context) (map[string]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*t.opts.Timeout)
	defer cancel()
	info, err := t.taskq.Info(ctx, jetstream.WithSubjectFilter(t.e.Subject("tk.q.>")))
	if err != nil {
		return nil, unavailable("list the queue", err)
	}
	subjects := make(map[string]bool, len(info.State.Subjects))
	for subject := range info.State.Subjects {
		subjects[subject] = true
	}
	return subjects, nil
}
