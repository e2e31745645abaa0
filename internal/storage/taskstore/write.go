package taskstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/backoff"
	"tidegate/internal/storage/nats"
	"tidegate/task"
)

// The tombstone of a removed record is a message with this header. It stays for tombstoneTTL, so
// that processes that follow the stream see it.
const (
	taskOpHeader  = "Sl-Op"
	taskOpRemoved = "removed"
	tombstoneTTL  = time.Minute
)

// taskSubject is where the record of a task is. Ids that no task can have get none: such a
// subject could match several.
func (t *Store) taskSubject(id string) (string, bool) {
	if id == "" || len(id) > 64 || plainToken(id) != id {
		return "", false
	}
	return t.e.Subject("tk.s." + id), true
}

// Submit implements [task.Store].
func (t *Store) Submit(ctx context.Context, rec task.Record) (task.Record, error) {
	subject, ok := t.taskSubject(rec.ID)
	if !ok {
		return rec, fmt.Errorf("task id %q cannot be stored", rec.ID)
	}
	if err := t.list.room(t.opts.MaxTasks, t.opts.MaxPending); err != nil {
		return rec, err
	}
	rec, err := t.store(ctx, subject, rec, taskParts{})
	if errors.Is(err, task.ErrConflict) {
		return rec, task.ErrExists
	}
	if err != nil {
		return rec, err
	}
	ctx, cancel, err := t.bounded(ctx)
	if err == nil {
		defer cancel()
		// An id may come again, if it follows from a key; its place in the stream does not.
		err = t.enqueue(ctx, rec, jetstream.WithMsgID(fmt.Sprintf("q:%s:%d", rec.ID, rec.Seq)))
	}
	if err != nil {
		t.log.Warn("task stored but not queued; the sweeper will queue it", "task_id", rec.ID, "error", err)
	}
	return rec, nil
}

// Load implements [task.Store].
func (t *Store) Load(ctx context.Context, id string) (task.Record, error) {
	rec, parts, err := t.record(ctx, id)
	if err != nil {
		return rec, err
	}
	params, err1 := t.download(ctx, parts.Params)
	result, err2 := t.download(ctx, parts.Result)
	text, err3 := t.download(ctx, parts.Error)
	if err := errors.Join(err1, err2, err3); err != nil {
		return rec, unavailable("load task", err)
	}
	if params != nil {
		rec.Params = params
	}
	if result != nil {
		rec.Result = result
	}
	if text != nil {
		rec.Error = string(text)
	}
	return rec, nil
}

// record is Load without the parts that are objects. It returns their names.
func (t *Store) record(ctx context.Context, id string) (task.Record, taskParts, error) {
	subject, ok := t.taskSubject(id)
	if !ok {
		return task.Record{}, taskParts{}, task.ErrNotFound
	}
	if t.opts.Alone && t.list.lacks(id) {
		return task.Record{}, taskParts{}, task.ErrNotFound // requests for unknown ids are cheap
	}
	ctx, cancel, err := t.bounded(ctx)
	if err != nil {
		return task.Record{}, taskParts{}, err
	}
	defer cancel()
	m, err := t.tasks.GetLastMsgForSubject(ctx, subject)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound), err == nil && m.Header.Get(taskOpHeader) == taskOpRemoved:
		return task.Record{}, taskParts{}, task.ErrNotFound
	case err != nil:
		return task.Record{}, taskParts{}, unavailable("load task", err)
	}
	return decodeTask(id, m.Sequence, m.Data)
}

// Update implements [task.Store].
func (t *Store) Update(ctx context.Context, rec task.Record) (task.Record, error) {
	subject, ok := t.taskSubject(rec.ID)
	if !ok {
		return rec, task.ErrNotFound
	}
	before := t.list.parts(rec.ID)
	stored, err := t.store(ctx, subject, rec, before)
	if err != nil {
		return rec, err
	}
	t.dropObjects(ctx, before, t.list.parts(rec.ID))
	return stored, nil
}

// Remove implements [task.Store].
func (t *Store) Remove(ctx context.Context, rec task.Record) error {
	subject, ok := t.taskSubject(rec.ID)
	if !ok {
		return task.ErrNotFound
	}
	ctx, cancel, err := t.bounded(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	m := natsgo.NewMsg(subject)
	m.Header.Set(taskOpHeader, taskOpRemoved)
	seq, err := t.write(ctx, m, rec.Revision, tombstoneTTL)
	if err != nil {
		return err
	}
	t.dropRemoved(ctx, rec.ID, seq)
	return nil
}

// store writes a record if it is still at rec.Revision. there has the parts that are objects
// already.
func (t *Store) store(ctx context.Context, subject string, rec task.Record, there taskParts) (task.Record, error) {
	payload, parts, objects, err := encodeTask(rec, t.inline)
	if err != nil {
		return rec, err
	}
	if err := t.putObjects(ctx, objects, there); err != nil {
		return rec, storeError("store task", err)
	}
	ctx, cancel, err := t.bounded(ctx)
	if err != nil {
		return rec, err
	}
	defer cancel()
	m := natsgo.NewMsg(subject)
	m.Data = payload
	var ttl time.Duration
	if rec.State.Final() {
		ttl = wholeSeconds(rec.Retention)
	}
	seq, err := t.write(ctx, m, rec.Revision, ttl)
	if err != nil {
		return rec, err
	}
	rec.Revision = seq
	if rec.Seq == 0 {
		rec.Seq = seq
	}
	t.list.put(rec, parts, expiry(rec))
	return rec, nil
}

// tryFor bounds one try of a write; writePause is between two.
const (
	tryFor     = 2 * time.Second
	writePause = 100 * time.Millisecond
)

// write publishes m if the last message of its subject has the sequence number expected, and
// returns the new one. It tries until ctx ends. A conflict after a try without an answer may
// be with that try itself; then it looks which message is there.
func (t *Store) write(ctx context.Context, m *natsgo.Msg, expected uint64, ttl time.Duration) (uint64, error) {
	opts := []jetstream.PublishOpt{jetstream.WithExpectLastSequencePerSubject(expected)}
	if ttl > 0 {
		opts = append(opts, jetstream.WithMsgTTL(ttl))
	}
	for unanswered := false; ; {
		tryCtx, cancel := context.WithTimeout(ctx, tryFor)
		ack, err := t.e.JetStream().PublishMsg(tryCtx, m, opts...)
		cancel()
		switch {
		case err == nil:
			return ack.Sequence, nil
		case nats.IsWrongSequence(err):
			if unanswered {
				return t.ours(ctx, m)
			}
			return 0, t.conflict(ctx, m.Subject)
		case nats.IsFull(err):
			return 0, fmt.Errorf("%w: %w", task.ErrBusy, err)
		}
		unanswered = true
		if backoff.Wait(ctx, writePause) != nil {
			return 0, unavailable("store task", err)
		}
	}
}

// ours returns the sequence number of m if m is the last message of its subject.
func (t *Store) ours(ctx context.Context, m *natsgo.Msg) (uint64, error) {
	last, err := t.tasks.GetLastMsgForSubject(ctx, m.Subject)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return 0, task.ErrNotFound
	case err != nil:
		return 0, unavailable("read back a task", err)
	case bytes.Equal(last.Data, m.Data) && last.Header.Get(taskOpHeader) == m.Header.Get(taskOpHeader):
		return last.Sequence, nil
	default:
		return 0, task.ErrConflict
	}
}

// conflict is the error for a record that was changed, or is gone.
func (t *Store) conflict(ctx context.Context, subject string) error {
	last, err := t.tasks.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) || err == nil && last.Header.Get(taskOpHeader) == taskOpRemoved {
		return task.ErrNotFound
	}
	return task.ErrConflict
}

// storeError is the error for the service where the object store returned err.
func storeError(what string, err error) error {
	if nats.IsFull(err) {
		return fmt.Errorf("%w: %s: %w", task.ErrBusy, what, err)
	}
	return unavailable(what, err)
}

// wholeSeconds rounds up: messages expire after whole seconds.
func wholeSeconds(d time.Duration) time.Duration {
	return max((d + time.Second - 1).Truncate(time.Second), time.Second)
}
