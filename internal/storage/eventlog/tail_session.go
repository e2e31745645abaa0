package eventlog

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/topic"
)

const (
	// tailIdle is after what silence the consumer sends a heartbeat.
	tailIdle = time.Second
	// tailSilence is after what silence, also of heartbeats, the consumer counts as lost.
	tailSilence = 3 * time.Second
	// tailBatchSize bounds the events of one Apply.
	tailBatchSize = 256
)

// session follows the log by one consumer until that is lost. started reports whether the
// consumer was made.
//
// The consumer pushes. The server stops when more than some megabytes are on their way: flow
// control. It numbers its messages, and sends a heartbeat every second. So the tail notices
// lost messages and a lost consumer. Reads use a pull consumer, see topicRead.
func (t *tail) session(ctx context.Context, status <-chan natsgo.Status) (started bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	drain(status)
	drain(t.again)
	if err := t.locate(ctx); err != nil {
		return false, err
	}
	msgs, sub, err := t.subscribe(ctx)
	if err != nil {
		return false, err
	}
	defer unsubscribe(sub)
	c := &tailConsumer{
		name:     "tail-" + t.l.opts.Node() + "-" + strings.ToLower(rand.Text()[:8]),
		liveFrom: t.target,
	}
	defer t.release(ctx, c.name) // it may be there even without an answer
	if err := t.consume(ctx, c, sub.Subject); err != nil {
		return false, err
	}
	t.l.condition.connect(true)
	defer t.l.condition.connect(false)
	t.l.tally.add(func(s *Stats) { s.TailStarts++ })
	t.l.log.Info("event log connected", "position", t.l.inflight.at(), "last", t.target)
	if err := t.awaitQuiet(ctx); err != nil {
		return true, err
	}
	return true, t.receive(ctx, c, msgs, status)
}

// subscribe receives what the consumer will send, until ctx ends.
func (t *tail) subscribe(ctx context.Context) (<-chan *natsgo.Msg, *natsgo.Subscription, error) {
	msgs := make(chan *natsgo.Msg, tailBatchSize)
	sub, err := t.l.e.Conn().Subscribe(t.l.e.Conn().NewInbox(), func(msg *natsgo.Msg) {
		select {
		case msgs <- msg:
		case <-ctx.Done():
		}
	})
	if err != nil {
		return nil, nil, fmt.Errorf("subscribe to the event log: %w", err)
	}
	// Flow control bounds what waits. Dropping messages would only cost another start.
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		unsubscribe(sub)
		return nil, nil, fmt.Errorf("subscribe to the event log: %w", err)
	}
	return msgs, sub, nil
}

func drain[T any](c <-chan T) {
	for {
		select {
		case <-c:
		default:
			return
		}
	}
}

// tailConsumer is what is known of the consumer of a session.
type tailConsumer struct {
	name      string
	delivered uint64 // messages that have come from it
	pending   uint64 // messages behind the last of them, as the server said
	liveFrom  uint64 // above this position events are new, and their publishers wait for counts
}

func (t *tail) consume(ctx context.Context, c *tailConsumer, inbox string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*t.patience)
	defer cancel()
	_, err := t.l.js.CreatePushConsumer(ctx, t.l.name, jetstream.ConsumerConfig{
		Name:              c.name,
		DeliverSubject:    inbox,
		DeliverPolicy:     jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:       t.l.inflight.at() + 1,
		AckPolicy:         jetstream.AckNonePolicy,
		FlowControl:       true,
		IdleHeartbeat:     tailIdle,
		InactiveThreshold: tailSilence, // after a lost connection the tail makes a new one anyway
		MemoryStorage:     true,
		Replicas:          1,
	})
	if err != nil {
		return fmt.Errorf("follow the event log: %w", err)
	}
	return nil
}

// release deletes the consumer. Without a connection the server does so by itself, when it
// finds that nobody is subscribed.
func (t *tail) release(ctx context.Context, name string) {
	if !t.l.e.Conn().IsConnected() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.patience)
	defer cancel()
	_ = t.l.js.DeleteConsumer(ctx, t.l.name, name)
}

// receive applies messages until there is a reason to make another consumer.
func (t *tail) receive(ctx context.Context, c *tailConsumer, msgs <-chan *natsgo.Msg, status <-chan natsgo.Status) error {
	batch := &tailBatch{liveFrom: c.liveFrom}
	quiet := time.NewTimer(tailSilence)
	defer quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-status:
			return errRelook
		case <-t.again:
			return errRelook
		case <-quiet.C:
			return errTailSilent
		case msg := <-msgs:
			batch.reset(t.l.inflight.at())
			err := t.gather(c, batch, msg, msgs)
			t.apply(batch)
			if err == nil && c.pending == 0 {
				err = t.awaitQuiet(ctx)
			}
			if err != nil {
				return err
			}
			t.l.condition.contact(c.pending)
			quiet.Reset(tailSilence)
		}
	}
}

// gather puts a message into the batch, and those that have come meanwhile. On an error the
// batch has what came before it.
func (t *tail) gather(c *tailConsumer, batch *tailBatch, msg *natsgo.Msg, msgs <-chan *natsgo.Msg) error {
	for {
		if err := t.take(c, batch, msg); err != nil || len(batch.events) == tailBatchSize {
			return err
		}
		select {
		case msg = <-msgs:
		default:
			return nil
		}
	}
}

// take adds an event to the batch, or handles a control message.
func (t *tail) take(c *tailConsumer, batch *tailBatch, msg *natsgo.Msg) error {
	if len(msg.Data) == 0 && msg.Header.Get("Status") != "" {
		return t.control(c, msg)
	}
	meta, err := msg.Metadata()
	if err != nil {
		return fmt.Errorf("event log: %w", err)
	}
	if meta.Consumer != c.name || meta.Sequence.Consumer != c.delivered+1 {
		return errGap
	}
	c.delivered++
	c.pending = meta.NumPending
	seq := meta.Sequence.Stream
	if seq <= batch.position { // in front of where the consumer was to begin
		return nil
	}
	batch.position = seq
	event, ok := t.l.eventOf(msg, seq, meta.Timestamp.UnixNano())
	if !ok {
		return nil
	}
	t.chain.follow(event, t.target)
	ref, _ := parseRef(msg.Header.Get(headerRef))
	batch.events = append(batch.events, event)
	batch.outcomes = append(batch.outcomes, tailOutcome{ref: ref, seq: seq, at: event.At})
	return nil
}

// control answers flow control, and checks that all messages came that a heartbeat counts.
func (t *tail) control(c *tailConsumer, msg *natsgo.Msg) error {
	if status := msg.Header.Get("Status"); status != "100" {
		return fmt.Errorf("%w: %s %s", errRefused, status, msg.Header.Get("Description"))
	}
	stalled := msg.Header.Get("Nats-Consumer-Stalled")
	if sent := msg.Header.Get("Nats-Last-Consumer"); sent != "" {
		if n, err := strconv.ParseUint(sent, 10, 64); err != nil || n != c.delivered {
			return errGap
		}
		if stalled == "" {
			c.pending = 0 // an idle heartbeat: nothing is pending
		}
	}
	for _, reply := range []string{msg.Reply, stalled} {
		if reply == "" {
			continue
		}
		if err := t.l.e.Conn().Publish(reply, nil); err != nil {
			return fmt.Errorf("event log: %w", err)
		}
	}
	return nil
}

// tailBatch is the events that are applied at once.
type tailBatch struct {
	events   []topic.Stored
	outcomes []tailOutcome // of the events, in their order
	position uint64        // of the newest message
	liveFrom uint64
}

func (b *tailBatch) reset(position uint64) {
	clear(b.events) // the hub keeps their texts
	b.events, b.outcomes, b.position = b.events[:0], b.outcomes[:0], position
}

// live leaves out events that were in the log before the consumer was made: nobody waits for
// their counts.
func (b *tailBatch) live(outcomes []tailOutcome) []tailOutcome {
	for i, o := range outcomes {
		if o.seq > b.liveFrom {
			return outcomes[i:]
		}
	}
	return nil
}
