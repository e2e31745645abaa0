package eventlog

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/topic"
)

// NATS drops messages that it cannot read any more without reporting it. Each event names its
// predecessor. If that is missing although an older event of the topic is there, it was not
// trimmed, because trimming removes the oldest first. So the log is damaged there, and other
// topics may have lost their newest events in the same place.

// damage is what is known of that.
type damage struct {
	lost     atomic.Uint64 // up to here topics may have lost events
	suspects chan suspect  // size maxSuspects
}

// maxSuspects bounds the holes that wait to be inspected. One is enough to find a damaged
// place, and those that do not fit are found again when the topic is read again.
const maxSuspects = 64

func (d *damage) init() { d.suspects = make(chan suspect, maxSuspects) }

// suspect is an event that seems to be missing.
type suspect struct {
	topic string
	seq   uint64        // 0: there is none
	age   time.Duration // of the event behind it
}

// chain checks that the predecessor that each event names has come. The zero value checks
// one topic; with a log, all topics.
type chain struct {
	log  *Log
	last map[string]uint64
	of   uint64 // of one topic: the last position, 0 for none
}

// hole returns the event that is missing in front of the next one of one topic.
func (c *chain) hole(e topic.Stored) (s suspect) {
	if c.of > 0 && e.PrevKnown && e.Prev > max(c.of, e.DeletedTo) {
		s = suspect{e.Topic, e.Prev, e.Age}
	}
	c.of = e.Seq
	return s
}

// follow checks the next event of all topics, up to a position.
func (c *chain) follow(e topic.Stored, upTo uint64) {
	if c == nil || e.Seq > upTo {
		return
	}
	if c.last == nil {
		c.last = make(map[string]uint64)
	}
	if before, known := c.last[e.Topic]; known || !e.PrevKnown || e.Prev <= e.DeletedTo {
		one := chain{of: before}
		c.log.suspect(one.hole(e))
	} else { // it may be there, before the start: inspect looks it up
		c.log.suspect(suspect{e.Topic, e.Prev, e.Age})
	}
	c.last[e.Topic] = e.Seq
}

// suspect queues a missing event for inspect. It does not wait.
func (l *Log) suspect(s suspect) {
	if s.seq == 0 || s.seq <= l.damage.lost.Load() {
		return
	}
	select {
	case l.damage.suspects <- s:
	default:
	}
}

// Lost is 0: which topics have lost events is unknown, see topic.Hub.MayMiss.
func (l *Log) Lost(string) uint64 { return 0 }

// reportDamage passes the position up to which topics may lack events to the hub.
func (l *Log) reportDamage(hub topic.Follower) {
	lost := l.damage.lost.Load()
	if follower, ok := hub.(interface{ MayMiss(seq uint64) }); ok && lost > 0 {
		follower.MayMiss(lost)
	}
}

// inspect looks up events that seem to be missing, until ctx ends.
func (l *Log) inspect(ctx context.Context, hub topic.Follower) {
	for {
		select {
		case s := <-l.damage.suspects:
			if err := l.inspectOne(ctx, s, hub); err != nil && ctx.Err() == nil {
				l.log.Debug("not known yet whether the event log is damaged", "topic", s.topic, "position", s.seq, "error", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

func (l *Log) inspectOne(ctx context.Context, s suspect, hub topic.Follower) error {
	if s.seq <= l.damage.lost.Load() {
		return nil
	}
	oldest, age, err := l.oldest(ctx, s.topic)
	if err != nil {
		return err
	}
	if oldest == 0 || oldest >= s.seq || age != s.age {
		return nil // it is there, or was trimmed, or the topic deleted; or it may have expired before older ones
	}
	next, _, err := l.next(ctx, s.seq)
	switch {
	case err != nil:
		return err
	case next == s.seq:
		return nil // it is there
	}
	if next == s.seq+1 {
		before, _, err := l.next(ctx, s.seq-1)
		if err != nil {
			return err
		}
		if before == s.seq-1 { // only this one is missing, so no other topic lacks one
			l.foundHole("topic", s.topic, "position", s.seq)
			return nil
		}
	}
	l.foundDamage(max(next, s.seq+1)-1, "topic", s.topic, "position", s.seq)
	l.reportDamage(hub)
	return nil
}

// foundDamage notes that events of any topic up to a position may be missing.
func (l *Log) foundDamage(upTo uint64, where ...any) {
	l.damage.lost.Store(max(l.damage.lost.Load(), upTo))
	l.foundHole(append(where, "up_to", upTo)...)
}

func (l *Log) foundHole(where ...any) {
	l.tally.add(func(s *Stats) { s.Holes++ })
	l.log.Error("the event log is damaged: events are missing; clients that may need them get a reset", where...)
}

// oldest is the position of the oldest event of a topic, 0 for none, and its age limit.
func (l *Log) oldest(ctx context.Context, name string) (seq uint64, age time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, logTimeout)
	defer cancel()
	msg, err := l.ev.GetMsg(ctx, 1, jetstream.WithGetMsgSubject(topicSubject(l.e, name)))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, fmt.Errorf("look up the oldest event: %w", err)
	}
	return msg.Sequence, parseTTL(msg.Header.Get(jetstream.MsgTTLHeader)), nil
}

// endMissing is how many of the last positions may be missing: events that the hubs refuse
// are removed.
const endMissing = 2

// checkEnd checks whether the newest events are there. If some are missing and cannot have
// expired, a file was truncated or cannot be read.
func (l *Log) checkEnd(ctx context.Context, state jetstream.StreamState) error {
	if state.Msgs == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, logTimeout)
	defer cancel()
	last, err := l.ev.GetLastMsgForSubject(ctx, l.e.Subject(evSubjects+">"))
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return nil
	case err != nil:
		return fmt.Errorf("look at the end of the event log: %w", err)
	case last.Sequence+endMissing >= state.LastSeq, l.opts.ShortestLife > 0 && time.Since(last.Time) >= l.opts.ShortestLife:
		return nil
	}
	l.foundDamage(state.LastSeq, "position", last.Sequence+1)
	return nil
}
