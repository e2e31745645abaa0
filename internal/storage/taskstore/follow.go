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

// checkPause is between two looks whether the list still follows the stream.
const checkPause = 5 * time.Second

// follow keeps the list as the stream is, until ctx ends.
func (t *Store) follow(ctx context.Context, h task.Hooks) {
	for try := 1; ; try++ {
		err := t.followOnce(ctx, h)
		if ctx.Err() != nil {
			return
		}
		if try%10 == 0 || err == nil {
			t.log.Warn("list of tasks begins anew", "error", err)
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
	head     uint64 // the last number that was seen
	last     uint64 // of the stream when the pass began
	complete bool   // all that there was when it began has been seen
	behind   int    // looks in a row that found more in the stream, and nothing new here

	missing []droppedTask // they are in the list and were not seen; owned as well
}

// followOnce follows until the pass is no good any more: nil says that the stream
// has gone back, or that nothing comes although there is something.
func (t *Store) followOnce(ctx context.Context, h task.Hooks) error {
	info, err := t.tasks.Info(ctx)
	if err != nil {
		return err
	}
	f := &follower{tasks: t, hooks: h, last: info.State.LastSeq}
	t.list.resetSeen()
	defer t.list.resetSeen() // what comes then is not seen
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

// sawAll forgets what is in the list and not in the stream.
func (f *follower) sawAll(ctx context.Context) {
	f.complete, f.head = true, max(f.head, f.last)
	f.missing = f.tasks.list.unseen(f.last)
	f.lookForMissing(ctx)
	f.tasks.list.sawAll()
	f.tasks.sawAll()
}

// lookForMissing forgets what is missing in the stream. It looks at each record: that
// nothing is left to be seen is also said when a record was overwritten, and its new
// version does not count yet. What cannot be looked at now it looks at later.
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

// gone forgets a task here.
func (t *Store) drop(ctx context.Context, id string, seq uint64) {
	if parts, known := t.list.remove(id, seq); known {
		t.dropObjects(ctx, parts, taskParts{})
		t.notifyGone(id)
	}
}

// removed forgets a task here that somebody removed: this process, which need not
// have had it in the list, or another one, which may have died since.
func (t *Store) dropRemoved(ctx context.Context, id string, seq uint64) {
	if parts, news := t.list.removeTombstoned(id, seq, time.Now()); news {
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

// expire forgets what the stream has forgotten meanwhile.
func (f *follower) expire(ctx context.Context, at time.Time) {
	for _, gone := range f.tasks.list.expired(at) {
		f.tasks.drop(ctx, gone.id, gone.seq)
	}
}

// keepsUp reports whether the list still is what the stream says. A consumer that
// was at a number that the stream has lost waits until it comes again, and skips
// what has other numbers.
func (f *follower) inStep(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, checkPause)
	defer cancel()
	info, err := f.tasks.tasks.Info(ctx)
	if err != nil {
		return true // it is away; what comes then will tell
	}
	if most := info.Config.MaxBytes; most > 0 {
		f.tasks.list.setFull(info.State.Bytes > uint64(most)/10*9)
	}
	if info.State.LastSeq < f.head {
		f.tasks.log.Error("stream of tasks has gone back: it has lost what it had acknowledged", "was", f.head, "is", info.State.LastSeq)
		f.tasks.list.clear()
		return false
	}
	if info.State.LastSeq > f.head {
		f.behind++
	}
	return f.behind < 6
}
