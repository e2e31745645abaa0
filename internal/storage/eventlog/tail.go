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

// tail follows the log for one Run, by consumers that may be lost at any time. Each new one
// goes on where the last ended, after a check whether the log is still the same.
type tail struct {
	l     *Log
	hub   topic.Follower
	again chan struct{} // size 1: the log may not be the same any more

	// Owned by run.
	patience     time.Duration // for an answer about the log; making a consumer may take twice that
	begun        bool
	target       uint64 // the log's end when Run began, and when the consumer was made
	caught       bool
	chain        *chain // of the events that were there at the start; nil once they have come
	checkpoint   uint64 // position of the newest applied event, or of the one in front of the first; 0: none
	checkpointAt int64
}

const (
	restartPause    = 50 * time.Millisecond // before the second try to connect, doubled for each
	restartPauseMax = 200 * time.Millisecond
	// electionTime is how long an election may take. Meanwhile nobody answers, and as soon
	// as there is a leader publishers wait for the tail only. So the tail asks often, and
	// waits for an answer no longer than quickPatience. Slow servers get more time
	// afterwards.
	electionTime  = 12 * time.Second
	quickPatience = 250 * time.Millisecond
)

func (t *tail) run(ctx context.Context) error {
	nc := t.l.e.Conn()
	status := nc.StatusChanged(natsgo.CONNECTED, natsgo.RECONNECTING, natsgo.CLOSED)
	defer nc.RemoveStatusListener(status)
	wait, logged, lost := restartPause, false, time.Now()
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
			wait, logged, lost = restartPause, false, time.Now()
		}
		if !logged {
			logged = true
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

// restart makes the tail check the log again.
func (t *tail) restart() {
	select {
	case t.again <- struct{}{}:
	default:
	}
}

// locate begins, or checks that the log goes on behind what was applied.
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

// rewind goes back to where the log and what was applied diverged. Everything behind that
// position is applied as new: other nodes and this one may have stored events there since.
// If log and hub have nothing in common, only events from now on are applied.
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
	t.l.log.Error("event log went backwards: streams get a reset",
		"position", t.l.inflight.at(), "back_to", position, "last", info.State.LastSeq, "made", info.Created)
	t.l.tally.add(func(s *Stats) { s.Rewinds++ })
	t.l.condition.follow(info)
	t.hub.Key(nats.Secret(info))
	t.setCheckpoint(position, at)
	t.l.inflight.rewind(position) // first: what the hub stores from then on is behind it
	if anew {
		t.hub.Begin(position+1, at, nats.Generation(info))
	} else {
		t.hub.Rewind(position, nats.Generation(info))
	}
	t.target = info.State.LastSeq
	t.caughtUp()
	return nil
}

// setCheckpoint sets the checkpoint to an event; at is 0 if there is none.
func (t *tail) setCheckpoint(seq uint64, at int64) {
	if t.checkpoint, t.checkpointAt = seq, at; at == 0 {
		t.checkpoint = 0
	}
}

const confirmPause = 500 * time.Millisecond

// confirmations is how often to check again whether the log went backwards. A new leader may
// not have applied all of it yet.
func confirmations(info *jetstream.StreamInfo) int {
	if info.Config.Replicas > 1 {
		return 3
	}
	return 0
}

// wentBack reports whether the log is not the one that was followed: made anew, or shorter, or
// with another event at the checkpoint. The last shows it if as many new events have come
// since.
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

// awaitQuiet moves on over events at the log's end that were dropped since the consumer was
// made. They never come, while Appends and Caught wait for them. Only the leader knows that
// they are gone: the consumer may run at a server that is behind.
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

// caughtUp ends Caught once all events that were there at the start are applied.
func (t *tail) caughtUp() {
	if !t.caught && t.l.inflight.at() >= t.target {
		t.caught, t.chain = true, nil
		close(t.l.condition.caught)
	}
}

// apply passes a batch to the hub and the outcomes to the events' publishers.
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
	errTailSilent = errors.New("eventlog: the consumer is silent")
	errGap        = errors.New("eventlog: the consumer has left something out")
	errRelook     = errors.New("eventlog: the connection or the log has changed")
	errRefused    = errors.New("eventlog: the consumer was ended by the server")
)
