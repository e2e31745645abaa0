package taskstore

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/storage/nats"
	"tidegate/task"
)

// lookPause is between two looks at the queue without a notification: none comes for a task
// that was released with a pause.
const lookPause = time.Second

// maxLeased bounds the tasks of one type that are leased or wait for their pause.
const maxLeased = 10_000

// plainToken is s as a token of a subject: itself if it is plain, else base64 behind "=", which
// no plain one has.
func plainToken(s string) string {
	plain := s != "" && len(s) <= 128
	for _, c := range []byte(s) {
		plain = plain && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == ':' || c == '-')
	}
	if plain {
		return s
	}
	return "=" + base64.RawURLEncoding.EncodeToString([]byte(s))
}

// enqueue puts a task in the queue unless it is there already.
func (t *Store) enqueue(ctx context.Context, rec task.Record, id jetstream.PublishOpt) error {
	_, err := t.e.JetStream().PublishMsg(ctx, &natsgo.Msg{Subject: t.queueSubject(laneOf(rec), rec.ID)}, id)
	if nats.IsSubjectTaken(err) {
		err = nil // it is there
	}
	if err != nil {
		return fmt.Errorf("queue task: %w", err)
	}
	t.announce()
	return nil
}

// announce notifies all processes that something is in the queue. If that gets lost they see
// it at their next look.
func (t *Store) announce() { _ = t.e.Conn().Publish(t.e.Subject("tk.wake"), nil) }

// wakeFetch lets Fetch look at once.
func (t *Store) wakeFetch() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// Queued implements [task.Store].
func (t *Store) Queued(ctx context.Context, rec task.Record) (bool, error) {
	ctx, cancel, err := t.bounded(ctx)
	if err != nil {
		return false, err
	}
	defer cancel()
	_, err = t.taskq.GetLastMsgForSubject(ctx, t.queueSubject(laneOf(rec), rec.ID))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	if err != nil {
		return false, unavailable("look at the queue", err)
	}
	return true, nil
}

// Acknowledge implements [task.Store].
func (t *Store) Acknowledge(ctx context.Context, rec task.Record, lease task.Lease) error {
	ctx, cancel, err := t.bounded(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	if l, ok := lease.(*taskLease); ok && l.acknowledge(ctx, t.opts.Timeout/2) == nil {
		return nil
	}
	// This process does not hold the lease, or the consumer is gone.
	if err := t.unqueue(ctx, rec); err != nil {
		return unavailable("take a task out of the queue", err)
	}
	return nil
}

// acknowledge takes the task out of the queue.
func (l *taskLease) acknowledge(ctx context.Context, bound time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	err := l.msg.DoubleAck(ctx)
	if errors.Is(err, jetstream.ErrMsgAlreadyAckd) {
		return nil
	}
	return err
}

// unqueue deletes the message of a task. It does not purge the subject. A consumer of more
// subjects would then count messages as acknowledged that it is about to deliver again.
func (t *Store) unqueue(ctx context.Context, rec task.Record) error {
	if rec.Type == "" {
		return nil // removed, and so is its message
	}
	m, err := t.taskq.GetLastMsgForSubject(ctx, t.queueSubject(laneOf(rec), rec.ID))
	if err == nil {
		err = deleteMessage(ctx, t.taskq, m.Sequence)
	}
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil
	}
	return err
}

// deleteMessage deletes a message, unless it is gone already.
func deleteMessage(ctx context.Context, s jetstream.Stream, seq uint64) error {
	err := s.DeleteMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) { // for whatever reason
		if _, missing := s.GetMsg(ctx, seq); errors.Is(missing, jetstream.ErrMsgNotFound) {
			return nil
		}
	}
	return err
}

// Fetch implements [task.Store]. It asks for tasks when it is notified that there may be
// some. If it waited at the consumers of all types at once, they would deliver more than n.
func (t *Store) Fetch(ctx context.Context, types []string, n int) ([]task.Lease, error) {
	ticker := time.NewTicker(lookPause)
	defer ticker.Stop()
	for {
		leases, err := t.fetchSome(ctx, types, n)
		if len(leases) == n && n > 0 {
			t.wakeFetch() // there may be more for the next caller
		}
		if len(leases) > 0 {
			return leases, nil
		}
		if err != nil {
			return nil, err
		}
		select {
		case <-t.wake:
		case <-ticker.C:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// fetchSome looks once at each lane: those of the highest priority first, and among
// them at another type first each time.
func (t *Store) fetchSome(ctx context.Context, types []string, n int) (leases []task.Lease, err error) {
	t.mu.Lock()
	first := t.next
	t.next++
	t.mu.Unlock()
	for _, p := range t.list.priorities() {
		for i := range types {
			if len(leases) >= n || ctx.Err() != nil {
				return leases, err
			}
			more, laneErr := t.fetchLane(ctx, lane{types[(first+i)%len(types)], p}, n-len(leases))
			leases = append(leases, more...)
			err = errors.Join(err, laneErr)
		}
	}
	return leases, err
}

func (t *Store) fetchLane(ctx context.Context, l lane, n int) ([]task.Lease, error) {
	consumer, err := t.consumer(ctx, l)
	if err != nil {
		return nil, err
	}
	if !t.e.Conn().IsConnected() { // tasks would be leased to a connection that has gone
		return nil, fmt.Errorf("%w: not connected to NATS", task.ErrUnavailable)
	}
	batch, err := consumer.FetchNoWait(n)
	if err != nil {
		return nil, unavailable("fetch tasks", err)
	}
	var leases []task.Lease
	for m := range batch.Messages() {
		id := m.Subject()[strings.LastIndexByte(m.Subject(), '.')+1:]
		leases = append(leases, &taskLease{t, m, id})
	}
	if err := batch.Error(); err != nil {
		t.resetConsumer(l) // it may be gone
		if len(leases) == 0 {
			return nil, unavailable("fetch tasks", err)
		}
	}
	return leases, nil
}

// consumer returns the consumer of a lane, which all processes share. A work queue has
// at most one for each subject.
func (t *Store) consumer(ctx context.Context, l lane) (jetstream.Consumer, error) {
	t.mu.Lock()
	c, known := t.consumers[l]
	t.mu.Unlock()
	if c != nil {
		return c, nil
	}
	ctx, cancel, err := t.bounded(ctx)
	if err != nil {
		return nil, err
	}
	defer cancel()
	name := l.consumerName()
	if t.opts.Alone && !known {
		// Its leases are those of processes that are gone.
		if err := t.taskq.DeleteConsumer(ctx, name); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return nil, unavailable("fetch tasks", err)
		}
	}
	c, err = t.taskq.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{
		Durable:       name,
		FilterSubject: t.queueSubject(l, "*"),
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       t.opts.AckWait,
		MaxDeliver:    -1,
		MaxAckPending: maxLeased,
	})
	if err != nil {
		return nil, unavailable("fetch tasks", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.consumers[l] = c
	return c, nil
}

// resetConsumer has the consumer of a lane made again if it is gone.
func (t *Store) resetConsumer(l lane) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.consumers[l] = nil
}

// taskLease is a message of the queue that was delivered and is not acknowledged.
type taskLease struct {
	tasks *Store
	msg   jetstream.Msg
	id    string
}

func (l *taskLease) TaskID() string              { return l.id }
func (l *taskLease) TTL() time.Duration          { return l.tasks.opts.AckWait }
func (l *taskLease) Renew(context.Context) error { return l.msg.InProgress() }

// Release puts the task back in its place in the queue.
func (l *taskLease) Release(_ context.Context, pause time.Duration) error {
	if pause > 0 {
		return l.msg.NakWithDelay(pause)
	}
	err := l.msg.Nak()
	l.tasks.announce()
	return err
}
