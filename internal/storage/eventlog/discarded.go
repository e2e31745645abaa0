package eventlog

import (
	"context"
	"maps"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/former"
	"tidegate/internal/storage/nats"
)

// When the stream is full it drops its oldest events, of whatever topic. Nothing in it says
// later that they were dropped for want of room, and not because of their age. So the
// stream's metadata have the position up to which events may have been dropped that way.
// While the stream is full, that is a position ahead of its first event, so that it is
// written seldom. Afterwards it is the position of the first event.
//
// A bucket with compare-and-set would be safer than the stream's configuration, which is
// read, changed and written. But nodes of older versions read and write it here, and a
// cluster is upgraded node by node.
const discardedKey = "tidegate_discarded" // in the metadata of EV, see nats.Metadata

// Discarded is the position below which events may have been dropped for want of
// room, before their time; 0 if none were.
func (l *Log) Discarded() uint64 {
	l.condition.mu.Lock()
	defer l.condition.mu.Unlock()
	return l.condition.discarded
}

// update notes what the stream has dropped for want of room.
func (c *condition) update(info *jetstream.StreamInfo) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.discarded = max(c.discarded, discardedOf(info))
}

func discardedOf(info *jetstream.StreamInfo) uint64 {
	if filled(info) >= nearlyFull {
		return info.State.FirstSeq
	}
	return min(notedOf(info), info.State.FirstSeq)
}

const (
	nearlyFull = 90 // percent: it may drop events for want of room
	roomAgain  = 80 // it does not any more
)

// filled is how full the stream is, in percent.
func filled(info *jetstream.StreamInfo) uint64 {
	if info.Config.MaxBytes <= 0 {
		return 0
	}
	return info.State.Bytes * 100 / uint64(info.Config.MaxBytes)
}

func notedOf(info *jetstream.StreamInfo) uint64 {
	noted, err := strconv.ParseUint(nats.Metadata(info.Config.Metadata, discardedKey), 10, 64)
	if err != nil {
		return 0
	}
	return noted
}

// toNote is the position that should be noted; other is true if it is not the one that is.
func toNote(info *jetstream.StreamInfo) (seq uint64, other bool) {
	noted, state := notedOf(info), info.State
	switch full := filled(info); {
	case full >= nearlyFull && noted < state.FirstSeq+(state.LastSeq-state.FirstSeq)/2:
		return state.LastSeq, true
	case full < roomAgain && noted > state.FirstSeq:
		return state.FirstSeq, true
	}
	return noted, false
}

// noteDiscarded writes the stream's configuration, which NATS cannot do on condition that it
// has not changed. So this happens seldom, and never right after a reconnect, when a server
// that has just started may write a new generation.
func (l *Log) noteDiscarded(ctx context.Context, info *jetstream.StreamInfo) {
	seq, other := toNote(info)
	if !other || l.condition.isOther(info) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, logTimeout)
	defer cancel()
	config := info.Config
	if config.Metadata = maps.Clone(config.Metadata); config.Metadata == nil {
		config.Metadata = make(map[string]string)
	}
	config.Metadata[former.MetadataKey(config.Metadata, discardedKey)] = strconv.FormatUint(seq, 10)
	if _, err := l.js.UpdateStream(ctx, config); err != nil {
		l.log.Debug("not noted yet what was dropped for want of room", "error", err)
	}
}
