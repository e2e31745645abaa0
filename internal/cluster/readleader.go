package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// readerLife is after what time the server drops the consumer of a reader that
	// did not do so itself.
	readerLife = 30 * time.Second
	// makeReaderFor bounds making one: an election takes up to 9 seconds.
	makeReaderFor = 10 * time.Second
)

// leader reads where there are more replicas. Many messages at once can only be
// had of a consumer, and it may run at a replica that is behind. So the leader is
// asked for the newest event first: the read has ended when that has come.
func (r *topicRead) leader(ctx context.Context) error {
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
		// The replica is behind, or the newest one has been dropped meanwhile.
		if time.Since(waited) > readPatience {
			return fmt.Errorf("read topic: %w", errReadCut)
		}
		if err := waitOr(ctx, 20*time.Millisecond, nil); err != nil {
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

// consumer makes one. A server that was just lost may still be chosen to run it,
// and then nobody answers: the next try is another choice.
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
		if final || waitOr(ctx, tryPause, nil) != nil {
			return nil, fmt.Errorf("read topic: %w", err)
		}
	}
}

func (r *topicRead) tryConsumer(ctx context.Context) (jetstream.Consumer, error) {
	ctx, cancel := context.WithTimeout(ctx, logLookTimeout)
	defer cancel()
	return r.l.e.js.CreateConsumer(ctx, r.l.name, jetstream.ConsumerConfig{
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
	_ = r.l.e.js.DeleteConsumer(ctx, r.l.name, name) // else the server does, later
}

// fetch hands on what the consumer has now, some of it or nothing.
func (r *topicRead) fetch(c jetstream.Consumer, delivered *uint64) error {
	batch, err := c.FetchNoWait(readBatch)
	if err != nil {
		return fmt.Errorf("read topic: %w", err)
	}
	for msg := range batch.Messages() {
		meta, err := msg.Metadata()
		if err != nil {
			return fmt.Errorf("read topic: %w", err)
		}
		if *delivered++; meta.Sequence.Consumer != *delivered {
			return fmt.Errorf("read topic: %w", errReadCut)
		}
		seq := meta.Sequence.Stream
		if seq >= r.before {
			r.next = seq // and so the end
			return nil
		}
		if seq < r.next {
			continue
		}
		raw := &nats.Msg{Header: msg.Headers(), Data: msg.Data()}
		if err := r.give(raw, seq, meta.Timestamp); err != nil {
			return err
		}
	}
	// That a consumer was made just now is not known at all servers yet.
	if err := batch.Error(); err != nil && !errors.Is(err, nats.ErrNoResponders) {
		return fmt.Errorf("read topic: %w", err)
	}
	return nil
}
