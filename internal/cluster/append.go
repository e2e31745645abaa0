package cluster

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/topic"
)

const (
	// appendTimeout bounds an Append whose caller has no bound.
	appendTimeout = 10 * time.Second
	// countTimeout is how long other nodes may take to tell their receivers.
	countTimeout = 250 * time.Millisecond
	// takeOutTimeout bounds what is done about a refused event.
	takeOutTimeout = time.Second
)

// errUnanswered is what an Append returns that has run out of time.
var errUnanswered = errors.New("cluster: no answer from the event log in time")

// AppendAll stores events and waits for them to come back in the tail, see
// [topic.Store]. It tries until ctx ends, or for 10 seconds if ctx has no
// deadline; it then is unknown whether an event is stored. An error is a
// *wire.Error with status 413 if the event is too large for the log, and with
// ENGINE_FULL if that has no room and the event is not stored. 10,000 events
// may be under way; others are refused, and not stored.
func (l *Log) AppendAll(ctx context.Context, entries []topic.Entry) []topic.Result {
	if len(entries) == 1 {
		got, err := l.append(ctx, entries[0])
		return []topic.Result{{Appended: got, Err: err}}
	}
	results := make([]topic.Result, len(entries))
	places := make(map[string][]int) // of each topic's entries
	for i, e := range entries {
		places[e.Topic] = append(places[e.Topic], i)
	}
	var working sync.WaitGroup
	free := make(chan struct{}, maxAtOnce)
	for _, at := range places {
		free <- struct{}{}
		working.Go(func() {
			defer func() { <-free }()
			own := make([]topic.Entry, len(at))
			for i, place := range at {
				own[i] = entries[place]
			}
			for i, r := range topic.OneByOne(ctx, own, l.append) {
				results[at[i]] = r
			}
		})
	}
	working.Wait()
	return results
}

// maxAtOnce bounds the topics of one AppendAll that are waited for at once.
const maxAtOnce = 64

func (l *Log) append(ctx context.Context, e topic.Entry) (topic.Appended, error) {
	got, err := l.appendOne(ctx, e)
	l.failed(&l.failedAppends, "event not stored, or not known to be", e.Topic, err)
	return got, err
}

func (l *Log) appendOne(ctx context.Context, e topic.Entry) (topic.Appended, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, appendTimeout, errUnanswered)
		defer cancel()
	}
	if err := l.e.Writable(); err != nil {
		return topic.Appended{}, err
	}
	node := l.opts.Node()
	if err := l.listen(node); err != nil {
		return topic.Appended{}, err
	}
	w, err := l.meeting.enter(node, l.opts.Others())
	if err != nil {
		return topic.Appended{}, err
	}
	defer l.meeting.leave(w)
	ack, err := l.store(ctx, e, w)
	if err != nil {
		return topic.Appended{}, err
	}
	if ack != nil {
		l.meeting.stored(w, ack.Sequence)
	}
	select {
	case <-w.settled:
	case <-ctx.Done():
		return topic.Appended{}, context.Cause(ctx)
	}
	if e.Key != "" && ack != nil && ack.Duplicate && errors.Is(w.err, errPassed) {
		return l.repeat(ctx, ack.Sequence, e)
	}
	if w.err != nil {
		l.takeOut(ctx, w)
		return topic.Appended{}, w.err
	}
	l.tally.add(func(s *LogStats) { s.Appends++ })
	return l.count(ctx, w), nil
}

// takeOut drops an event from the log that the hub has refused, as those of all
// nodes do: it counts for nobody, and would take the place of one that does.
func (l *Log) takeOut(ctx context.Context, w *appendWaiter) {
	seq := w.got.Seq
	if seq == 0 {
		return // it has not come
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), takeOutTimeout)
	defer cancel()
	if err := l.ev.DeleteMsg(ctx, seq); err != nil {
		l.log.Debug("refused event stays in the log", "position", seq, "error", err)
	}
}

// repeat answers an Append whose key was used before. When the first one was stored,
// and whether it said the same, is known only while it is there.
func (l *Log) repeat(ctx context.Context, seq uint64, e topic.Entry) (topic.Appended, error) {
	first, at, found, err := l.at(ctx, seq)
	switch {
	case err != nil:
		return topic.Appended{}, err
	case found && !first.SameContent(&e):
		return topic.Appended{}, topic.ErrMismatch
	}
	l.tally.add(func(s *LogStats) { s.Repeats++ })
	return topic.Appended{Seq: seq, At: at, Repeat: true}, nil
}

// count waits for the other nodes to tell of their streams, or for long enough.
func (l *Log) count(ctx context.Context, w *appendWaiter) topic.Appended {
	select {
	case <-w.counted:
		return l.meeting.total(w)
	default:
	}
	late := time.NewTimer(l.opts.countWait)
	defer late.Stop()
	select {
	case <-w.counted:
	case <-late.C:
		l.tally.add(func(s *LogStats) { s.CountTimeouts++ })
		l.meeting.muted(w)
	case <-ctx.Done(): // that the caller has gone says nothing of the nodes
	}
	return l.meeting.total(w)
}

// store publishes an event until it is stored. It may be stored without an ack
// when the tail has applied it and the server's answer was lost.
func (l *Log) store(ctx context.Context, e topic.Entry, w *appendWaiter) (*jetstream.PubAck, error) {
	try := newTry(e, w.ref)
	for {
		ack, err := l.publish(ctx, &try)
		if err == nil {
			return ack, nil
		}
		err = l.again(ctx, &try, w, err)
		if w.isSettled() {
			return nil, nil
		}
		switch {
		case err == nil:
		case try.unanswered:
			return nil, err
		default:
			return nil, full(err)
		}
	}
}

func (l *Log) publish(ctx context.Context, try *appendTry) (*jetstream.PubAck, error) {
	msg := try.message(l.e)
	if err := l.fits(msg); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	return l.e.js.PublishMsg(ctx, msg, jetstream.WithRetryAttempts(0))
}
