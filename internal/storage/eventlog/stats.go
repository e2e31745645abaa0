package eventlog

import (
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/storage/nats"
)

// Stats counts since the Log was made.
type Stats struct {
	Appends       uint64 // events stored
	Conflicts     uint64 // tries that another node's event came before
	Repeats       uint64 // events whose key had been used
	Retries       uint64 // tries after one without an answer
	Applied       uint64 // events passed to the hub
	Unreadable    uint64 // messages in the log that are no events of this version
	Holes         uint64 // places where events are missing for no known reason
	Rewinds       uint64 // times that the log had gone backwards
	TailStarts    uint64 // times that the tail was connected
	Reads         uint64 // cold reads
	CountTimeouts uint64 // events that did not wait any longer for other nodes' counts
	TrimsRefused  uint64 // topics that were not trimmed, because too many were waiting
	Inflight      int64  // events on their way into the log
	InflightBytes int64  // memory of those
	NoRoom        uint64 // events refused because too many were on their way for too long
	Lag           Lag
}

// Lag says how far the hub is behind the log.
type Lag struct {
	Connected   bool      // the tail is connected, and something came in the last seconds
	LastContact time.Time // when something came last; zero for never
	Behind      uint64    // events that the hub had not got then
}

func (g Lag) String() string {
	switch {
	case g.LastContact.IsZero():
		return "the event log has not been connected yet"
	case !g.Connected:
		return fmt.Sprintf("the event log has sent nothing for %v", time.Since(g.LastContact).Truncate(time.Second))
	}
	return fmt.Sprintf("the hub is %d events behind the event log", g.Behind)
}

// tally guards the counters.
type tally struct {
	mu    sync.Mutex
	stats Stats
}

func (t *tally) add(to func(*Stats)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	to(&t.stats)
}

// Stats is a copy of the counters.
func (l *Log) Stats() Stats {
	l.tally.mu.Lock()
	stats := l.tally.stats
	l.tally.mu.Unlock()
	stats.Inflight, stats.InflightBytes = l.quota.usedEvents.Load(), l.quota.usedBytes.Load()
	stats.NoRoom = l.quota.refused.Load()
	stats.Lag = l.Lag()
	return stats
}

// Lag says how far the hub is behind the log. A node that is not connected does not get new
// events, and is not healthy.
func (l *Log) Lag() Lag {
	c := &l.condition
	c.mu.Lock()
	defer c.mu.Unlock()
	return Lag{Connected: c.connected && time.Since(c.lastContact) < tailSilence+tailIdle, LastContact: c.lastContact, Behind: c.behind}
}

// maxBehind is how many events a healthy node may be behind.
const maxBehind = 10_000

// Health is why the log cannot be relied on now; nothing if it can.
func (l *Log) Health() []string {
	if lag := l.Lag(); !lag.Connected || lag.Behind > maxBehind {
		return []string{lag.String()}
	}
	return nil
}

// condition is what is known of the stream and of the tail.
type condition struct {
	caught chan struct{} // closed when all events that were there when Run began are applied

	mu          sync.Mutex
	connected   bool // guarded by mu, like all below
	lastContact time.Time
	behind      uint64
	discarded   uint64

	// Of the stream that is followed.
	created    time.Time
	generation string
}

func (c *condition) init() { c.caught = make(chan struct{}) }

// connect notes that the tail has a consumer, or has lost it.
func (c *condition) connect(connected bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.connected = connected
	if connected {
		c.lastContact = time.Now()
	}
}

// contact notes that something came from the consumer.
func (c *condition) contact(behind uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lastContact, c.behind = time.Now(), behind
}

// follow notes which stream is followed.
func (c *condition) follow(info *jetstream.StreamInfo) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.created, c.generation = info.Created, nats.Generation(info)
	c.discarded = discardedOf(info)
}

// isOther reports whether the stream was made anew, or has a new generation, since it is
// followed. Then events may be lost.
func (c *condition) isOther(info *jetstream.StreamInfo) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.created.IsZero() && (!c.created.Equal(info.Created) || c.generation != nats.Generation(info))
}
