package eventlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/backoff"
	"tidegate/internal/storage/nats"
	"tidegate/internal/topic"
)

// tail follows the log for one Run, by consumers that may be lost at any time:
// each new one goes on where the last ended, after a look at whether the log is
// still the one that was followed.
type tail struct {
	l     *Log
	hub   topic.Follower
	again chan struct{} // size 1: somebody thinks that the log is not the same any more

	// Owned by run.
	patience     time.Duration // for an answer about the log; a consumer may take twice that
	begun        bool
	target       uint64 // the log's end when Run began, and when the consumer was made
	caught       bool
	chain        *chain // of what was there at the start; nil once it has come
	checkpoint   uint64 // position of the newest event that was applied, or is in front of what is; 0: none
	checkpointAt int64
}

const (
	restartPause    = 50 * time.Millisecond // before the second try to connect, doubled for each
	restartPauseMax = 200 * time.Millisecond
	// electionTime is how long there may be no leader. As long as this nobody answers,
	// and as soon as there is one publishers wait for nothing but the tail: so it asks
	// often, and waits for an answer no longer than quickPatience. A server that takes
	// longer to answer gets its time afterwards.
	electionTime  = 12 * time.Second
	quickPatience = 250 * time.Millisecond
)

func (t *tail) run(ctx context.Context) error {
	nc := t.l.e.Conn()
	status := nc.StatusChanged(natsgo.CONNECTED, natsgo.RECONNECTING, natsgo.CLOSED)
	defer nc.RemoveStatusListener(status)
	wait, told, lost := restartPause, false, time.Now()
	for {
		if t.patience = quickPatience; time.Since(lost) > electionTime {
			t.patience = logLookTimeout
		}
		started, err := t.session(ctx, status)
		switch {
		case ctx.Err() != nil:
			return nil
		case nc.IsClosed():
			return fmt.Errorf("follow the event log: %w", natsgo.ErrConnectionClosed)
		case started:
			wait, told, lost = restartPause, false, time.Now()
		}
		if !told {
			told = true
			t.l.log.Warn("event log lost; connecting again", "error", err, "position", t.l.inflight.at())
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-status:
		case <-ctx.Done():
		}
		timer.Stop()
		wait = min(2*wait, restartPauseMax)
	}
}

// restart makes the tail look at the log again.
func (t *tail) restart() {
	select {
	case t.again <- struct{}{}:
	default:
	}
}

// locate begins, or makes sure that the log goes on behind what was applied.
func (t *tail) locate(ctx context.Context) error {
	look, cancel := context.WithTimeout(ctx, t.patience)
	info, err := t.l.info(look)
	cancel()
	if err != nil {
		return fmt.Errorf("look at the event log: %w", err)
	}
	t.hub.Key(nats.Secret(info))
	if !t.begun {
		return t.begin(ctx, info)
	}
	back, err := t.wentBack(ctx, info)
	for n := 0; err == nil && back && n < confirmations(info); n++ {
		if err = backoff.Wait(ctx, confirmPause); err == nil {
			if info, err = t.l.info(ctx); err == nil {
				back, err = t.wentBack(ctx, info)
			}
		}
	}
	if err == nil && back {
		err = t.rewind(ctx, info)
	}
	if err != nil {
		return err
	}
	t.target = info.State.LastSeq
	return nil
}

func (t *tail) begin(ctx context.Context, info *jetstream.StreamInfo) error {
	state := info.State
	floor := max(state.FirstSeq, 1)
	if back := uint64(t.l.opts.StartBack); state.LastSeq > back {
		floor = max(floor, state.LastSeq-back+1)
	}
	at, err := t.timeOf(ctx, floor-1)
	if err != nil {
		return err
	}
	t.begun, t.target, t.chain = true, state.LastSeq, &chain{log: t.l}
	if err := t.l.checkEnd(ctx, state); err != nil {
		return err
	}
	t.setCheckpoint(floor-1, at)
	t.l.condition.follow(info)
	t.l.inflight.advance(floor - 1)
	t.hub.Begin(floor, at, nats.Generation(info))
	t.l.reportDamage(t.hub)
	t.caughtUp()
	return nil
}

// timeOf is when the event at a position was stored; 0 if there is none.
func (t *tail) timeOf(ctx context.Context, seq uint64) (int64, error) {
	if seq == 0 {
		return 0, nil
	}
	at, exact, err := t.l.Time(ctx, seq)
	if err != nil || !exact {
		return 0, err
	}
	return at, nil
}

// rewind goes back to where the log parted from what was applied. Others may have
// stored new events since, up to its old end and beyond, and so may have this
// node's Appends: all that is there behind that place is applied as what is new. If
// nothing is in common, nothing but what comes from now on is.
func (t *tail) rewind(ctx context.Context, info *jetstream.StreamInfo) error {
	position, at, err := t.hub.Common(ctx)
	if err != nil {
		return fmt.Errorf("look where the event log went back to: %w", err)
	}
	anew := position == 0
	if anew {
		position = info.State.LastSeq
		if at, err = t.timeOf(ctx, position); err != nil {
			return err
		}
	}
	t.l.log.Error("event log went backwards: streams are told to begin anew",
		"position", t.l.inflight.at(), "back_to", position, "last", info.State.LastSeq, "made", info.Created)
	t.l.tally.add(func(s *Stats) { s.Rewinds++ })
	t.l.condition.follow(info)
	t.hub.Key(nats.Secret(info))
	t.setCheckpoint(position, at)
	t.l.inflight.rewind(position) // first: what the hub has stored from then on is behind it
	if anew {
		t.hub.Begin(position+1, at, nats.Generation(info))
	} else {
		t.hub.Rewind(position, nats.Generation(info))
	}
	t.target = info.State.LastSeq
	t.caughtUp()
	return nil
}

// moor lays the anchor at an event; at is 0 if there is none.
func (t *tail) setCheckpoint(seq uint64, at int64) {
	if t.checkpoint, t.checkpointAt = seq, at; at == 0 {
		t.checkpoint = 0
	}
}

const confirmPause = 500 * time.Millisecond

// confirmations is how often it is looked again whether the log has gone
// backwards: a leader that was just elected may not have all of it at hand yet.
func confirmations(info *jetstream.StreamInfo) int {
	if info.Config.Replicas > 1 {
		return 3
	}
	return 0
}

// wentBack tells whether the log is not the one that was followed: made anew, or
// shorter, or another event stands where the newest was that was applied. The
// last is what remains to be seen if as many new ones have come since.
func (t *tail) wentBack(ctx context.Context, info *jetstream.StreamInfo) (bool, error) {
	if t.l.condition.isOther(info) || info.State.LastSeq < t.l.inflight.at() {
		return true, nil
	}
	if t.checkpoint == 0 {
		return false, nil
	}
	seq, at, err := t.l.next(ctx, t.checkpoint)
	if err != nil {
		return false, fmt.Errorf("look at the last event: %w", err)
	}
	return seq == t.checkpoint && at != t.checkpointAt, nil
}

// settle moves on over what was at the log's end when the consumer was made, and
// has been dropped since: it never comes, and is waited for. Only the leader
// knows that nothing is there; a consumer may run at a server that is behind.
func (t *tail) awaitQuiet(ctx context.Context) error {
	applied := t.l.inflight.at()
	if applied >= t.target {
		return nil
	}
	seq, _, err := t.l.next(ctx, applied+1)
	if err != nil {
		return fmt.Errorf("look for the next event: %w", err)
	}
	if seq == 0 || seq > t.target {
		t.l.inflight.advance(t.target)
		t.caughtUp()
	}
	return nil
}

// arrive opens Caught once all is applied that was there at first.
func (t *tail) caughtUp() {
	if !t.caught && t.l.inflight.at() >= t.target {
		t.caught, t.chain = true, nil
		close(t.l.condition.caught)
	}
}

// apply gives a batch to the hub and tells those who wait for it.
func (t *tail) apply(b *tailBatch) {
	if len(b.events) > 0 {
		applied := t.hub.Apply(b.events)
		for i := range b.outcomes {
			b.outcomes[i].applied = applied[i]
		}
		newest := b.events[len(b.events)-1]
		t.setCheckpoint(newest.Seq, newest.At)
		t.l.tally.add(func(s *Stats) { s.Applied += uint64(len(b.events)) })
	}
	foreign := t.l.inflight.apply(b.outcomes, b.position)
	t.l.sendCounts(b.live(foreign))
	t.caughtUp()
}

var (
	errTailSilent = errors.New("cluster: the consumer is silent")
	errGap        = errors.New("cluster: the consumer has left something out")
	errRelook     = errors.New("cluster: the connection or the log has changed")
	errRefused    = errors.New("cluster: the consumer was ended by the server")
)
