package eventlog

import (
	"context"
	"maps"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/former"
	"tidegate/internal/storage/nats"
)

// When the stream is full it drops its oldest events, of whatever topic, and nothing
// in it tells later that it was that, and not their age. So it is noted with the
// stream up to which position events may have been dropped for want of room: as
// long as the stream is full that is one that its first event has yet to come to,
// so that it is not written all the time; and afterwards, where the first is.
const discardedKey = "tidegate_discarded" // in the metadata of EV, see marked

// Discarded is the position below which events may have been dropped for want of
// room, before their time; 0 if none were.
func (l *Log) Discarded() uint64 {
	l.condition.mu.Lock()
	defer l.condition.mu.Unlock()
	return l.condition.discarded
}

// see notes what the stream has dropped for want of room.
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

// toNote is what should be noted with the stream, if it is something else than what
// is.
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

// noteDiscarded writes to the stream's configuration, which cannot be done on
// condition that nobody else does. So it is done seldom, and never at once after a
// connection is back, when a server that has just started may draw the generation
// anew.
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
