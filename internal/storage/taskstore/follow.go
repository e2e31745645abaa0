package taskstore

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/backoff"
	"tidegate/task"
)

// checkPause is between two checks whether the list still follows the stream.
const checkPause = 5 * time.Second

// follow keeps the list as the stream is, until ctx ends.
func (t *Store) follow(ctx context.Context, h task.Hooks) {
	for try := 1; ; try++ {
		err := t.followOnce(ctx, h)
		if ctx.Err() != nil {
			return
		}
		if try%10 == 0 || err == nil {
			t.log.Warn("list of tasks is read again", "error", err)
		}
		if backoff.Wait(ctx, time.Second) != nil {
			return
		}
	}
}

// follower is one pass through the stream: first the newest version of each record,
// then each version as it comes.
type follower struct {
	tasks *Store
	hooks task.Hooks

	// Owned by the loop of followOnce.
	head     uint64 // the last sequence number that came
	last     uint64 // of the stream when the pass began
	complete bool   // all records that were there when the pass began have come
	behind   int    // checks in a row that found more in the stream than has come

	missing []droppedTask // in the list, but they did not come; owned as well
}

// followOnce makes one pass. It returns nil when the stream has gone back, or messages do not
// come although they are there: then the next pass has to begin.
func (t *Store) followOnce(ctx context.Context, h task.Hooks) error {
	info, err := t.tasks.Info(ctx)
	if err != nil {
		return err
	}
	f := &follower{tasks: t, hooks: h, last: info.State.LastSeq}
	t.list.resetSeen()
	defer t.list.resetSeen() // nothing comes between two passes
	consumer, err := t.tasks.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{t.e.Subject("tk.s.>")},
		DeliverPolicy:  jetstream.DeliverLastPerSubjectPolicy,
	})
	if err != nil {
		return err
	}
	messages := make(chan jetstream.Msg, 256) // the callback waits while it is full
	stop := make(chan struct{})
	consuming, err := consumer.Consume(func(m jetstream.Msg) {
		select {
		case messages <- m:
		case <-stop:
		}
	})
	if err != nil {
		return err
	}
	defer func() { <-consuming.Closed() }()
	defer consuming.Stop()
	defer close(stop)
	if info.State.Msgs == 0 {
		f.sawAll(ctx)
	}
	return f.run(ctx, messages, consuming.Closed())
}

func (f *follower) run(ctx context.Context, messages <-chan jetstream.Msg, closed <-chan struct{}) error {
	ticker := time.NewTicker(checkPause)
	defer ticker.Stop()
	for {
		select {
		case m := <-messages:
			f.see(ctx, m)
		case at := <-ticker.C:
			f.expire(ctx, at)
			f.lookForMissing(ctx)
			if !f.inStep(ctx) {
				return nil
			}
		case <-closed:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// see puts a message into the list.
func (f *follower) see(ctx context.Context, m jetstream.Msg) {
	meta, err := m.Metadata()
	if err != nil {
		f.tasks.log.Error("message of a stream without its number", "error", err)
		return
	}
	seq := meta.Sequence.Stream
	f.head, f.behind = max(f.head, seq), 0
	id := m.Subject()[strings.LastIndexByte(m.Subject(), '.')+1:]
	if m.Headers().Get(taskOpHeader) == taskOpRemoved {
		f.tasks.dropRemoved(ctx, id, seq)
	} else if rec, parts, err := decodeTask(id, seq, m.Data()); err != nil {
		f.tasks.log.Error("record of a task cannot be read", "task_id", id, "error", err)
	} else if f.tasks.list.put(rec, parts, expiry(rec)) {
		f.hooks.Changed(rec)
	}
	if !f.complete && meta.NumPending == 0 {
		f.sawAll(ctx)
	}
}

// sawAll drops records that are in the list and not in the stream.
func (f *follower) sawAll(ctx context.Context) {
	f.complete, f.head = true, max(f.head, f.last)
	f.missing = f.tasks.list.unseen(f.last)
	f.lookForMissing(ctx)
	f.tasks.list.sawAll()
	f.tasks.sawAll()
}

// lookForMissing drops records that are missing in the stream. It looks each up: the server
// also reports that nothing is pending when a record was overwritten and its new version
// does not count yet. It tries again later where the server does not answer.
func (f *follower) lookForMissing(ctx context.Context) {
	for i, g := range f.missing {
		switch _, _, err := f.tasks.record(ctx, g.id); {
		case errors.Is(err, task.ErrNotFound):
			f.tasks.drop(ctx, g.id, g.seq)
		case errors.Is(err, task.ErrUnavailable):
			f.missing = f.missing[i:]
			return
		} // else it is on its way
	}
	f.missing = nil
}

// drop drops a task from the list.
func (t *Store) drop(ctx context.Context, id string, seq uint64) {
	if parts, known := t.list.remove(id, seq); known {
		t.dropObjects(ctx, parts, taskParts{})
		t.notifyGone(id)
	}
}

// dropRemoved drops a removed task from the list. This process may have removed it, without
// having it in the list, or another one, which may have died since.
func (t *Store) dropRemoved(ctx context.Context, id string, seq uint64) {
	if parts, isNew := t.list.removeTombstoned(id, seq, time.Now()); isNew {
		t.dropObjects(ctx, parts, taskParts{})
		t.notifyGone(id)
	}
}

func (t *Store) notifyGone(id string) {
	t.mu.Lock()
	gone := t.hooks.Deleted
	t.mu.Unlock()
	if gone != nil { // Run was called
		gone(id)
	}
}

// expire drops records that have expired in the stream.
func (f *follower) expire(ctx context.Context, at time.Time) {
	for _, gone := range f.tasks.list.expired(at) {
		f.tasks.drop(ctx, gone.id, gone.seq)
	}
}

// inStep reports whether the list still follows the stream. If the stream has lost messages
// that the consumer had delivered, the consumer skips new ones up to their sequence number.
func (f *follower) inStep(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, checkPause)
	defer cancel()
	info, err := f.tasks.tasks.Info(ctx)
	if err != nil {
		return true // the server is away: the next check decides
	}
	if most := info.Config.MaxBytes; most > 0 {
		f.tasks.list.setFull(info.State.Bytes > uint64(most)/10*9)
	}
	if info.State.LastSeq < f.head {
		f.tasks.log.Error("stream of tasks went backwards: acknowledged records are lost", "was", f.head, "is", info.State.LastSeq)
		f.tasks.list.clear()
		return false
	}
	if info.State.LastSeq > f.head {
		f.behind++
	}
	return f.behind < 6
}
