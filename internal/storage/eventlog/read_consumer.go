package eventlog

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/backoff"
)

const (
	// readBatch is how many events are asked for at once.
	readBatch = 256
	// readPatience is how long to wait for the next events.
	readPatience = 5 * time.Second
	// readerLife is after what time the server drops the consumer of a reader that has
	// not deleted it.
	readerLife = 30 * time.Second
	// makeReaderFor bounds making one: an election takes up to 9 seconds.
	makeReaderFor = 10 * time.Second
)

// errReadCut: not all events came.
var errReadCut = errors.New("eventlog: the read of a topic was cut short")

// topicRead is one Read.
//
// It has a consumer of its own and does not use a batched direct get. During such a get the
// server blocks writes to the stream and all requests of the connection, and it takes twice
// as long. And with replicas, one that is behind may answer.
//
// The tail has a push consumer instead, see tail.session. It runs for as long as the
// process, and notices by flow control and heartbeats what is lost. A read ends after some
// batches, and fetches them at the speed of its caller.
type topicRead struct {
	l            *Log
	subject      string
	next, before uint64 // positions yet to be read: [next, before)
	take         takeMessage
}

// give passes a message on.
func (r *topicRead) give(msg *natsgo.Msg, seq uint64, at time.Time) error {
	r.next = seq + 1
	msg.Subject = r.subject
	return r.take(msg, seq, at)
}

// run reads until the topic's newest event, for which it asks the leader first: the consumer
// may run at a replica that is behind.
func (r *topicRead) run(ctx context.Context) error {
	newest, err := r.newest(ctx)
	if err != nil || newest < r.next {
		return err
	}
	c, err := r.consumer(ctx)
	if err != nil {
		return err
	}
	defer r.release(ctx, c.CachedInfo().Name)
	waited := time.Now()
	for delivered := uint64(0); newest >= r.next && r.next < r.before; {
		before := delivered
		if err := r.fetch(c, &delivered); err != nil {
			return err
		}
		if delivered > before {
			waited = time.Now()
			continue
		}
		// The replica is behind, or the newest event has been dropped meanwhile.
		if time.Since(waited) > readPatience {
			return fmt.Errorf("read topic: %w", errReadCut)
		}
		if err := backoff.Wait(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("read topic: %w", err)
		}
		if newest, err = r.newest(ctx); err != nil {
			return err
		}
	}
	return nil
}

// newest asks the leader for the position of the topic's newest event, 0 for none.
func (r *topicRead) newest(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, logTimeout)
	defer cancel()
	msg, err := r.l.ev.GetLastMsgForSubject(ctx, r.subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read topic: %w", err)
	}
	return msg.Sequence, nil
}

// consumer makes the consumer. The cluster may choose a server that was just lost; then no
// answer comes, and the next try may choose another.
func (r *topicRead) consumer(ctx context.Context) (jetstream.Consumer, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, makeReaderFor, errReadCut)
	defer cancel()
	for {
		c, err := r.tryConsumer(ctx)
		if err == nil {
			return c, nil
		}
		refusal, refused := errors.AsType[*jetstream.APIError](err)
		final := refused && refusal.Code != http.StatusServiceUnavailable
		if final || backoff.Wait(ctx, tryPause) != nil {
			return nil, fmt.Errorf("read topic: %w", err)
		}
	}
}

func (r *topicRead) tryConsumer(ctx context.Context) (jetstream.Consumer, error) {
	ctx, cancel := context.WithTimeout(ctx, logLookTimeout)
	defer cancel()
	return r.l.js.CreateConsumer(ctx, r.l.name, jetstream.ConsumerConfig{
		FilterSubject:     r.subject,
		DeliverPolicy:     jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:       r.next,
		AckPolicy:         jetstream.AckNonePolicy,
		InactiveThreshold: readerLife,
		MemoryStorage:     true,
		Replicas:          1,
	})
}

func (r *topicRead) release(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = r.l.js.DeleteConsumer(ctx, r.l.name, name) // else the server drops it after readerLife
}

// fetch passes on the messages that the consumer has now, if any.
func (r *topicRead) fetch(c jetstream.Consumer, delivered *uint64) error {
	batch, err := c.FetchNoWait(readBatch)
	if err != nil {
		return fmt.Errorf("read topic: %w", err)
	}
	for msg := range batch.Messages() {
		if more, err := r.got(msg, delivered); err != nil || !more {
			return err
		}
	}
	// Not all servers know yet that the consumer was made.
	if err := batch.Error(); err != nil && !errors.Is(err, natsgo.ErrNoResponders) {
		return fmt.Errorf("read topic: %w", err)
	}
	return nil
}

// got passes on a message of the consumer, unless it lies in front of what is read. more is
// false when it lies behind.
func (r *topicRead) got(msg jetstream.Msg, delivered *uint64) (more bool, err error) {
	meta, err := msg.Metadata()
	if err != nil {
		return false, fmt.Errorf("read topic: %w", err)
	}
	if *delivered++; meta.Sequence.Consumer != *delivered {
		return false, fmt.Errorf("read topic: %w", errReadCut)
	}
	switch seq := meta.Sequence.Stream; {
	case seq >= r.before:
		r.next = seq // the end
		return false, nil
	case seq < r.next:
		return true, nil
	default:
		err := r.give(&natsgo.Msg{Header: msg.Headers(), Data: msg.Data()}, seq, meta.Timestamp)
		return err == nil, err
	}
}
