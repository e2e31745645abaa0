package app

import (
	"time"

	"tidegate/internal/topic"
)

// newTopics makes the topics, with the history that each namespace keeps.
func (p *program) newTopics() *topic.Hub {
	opts := topic.Options{
		Namespaces: make(map[string]topic.Retention),
		MaxTopics:  p.cfg.MaxTopics,
		MaxBytes:   p.cfg.MaxHistory,
		MaxKeys:    keysOf(p.cfg.MaxHistory),
		NoIDBlocks: !p.cfg.IDBlocks,
	}
	for name, n := range p.cfg.Namespaces {
		keep := topic.Retention{Events: n.Events, Bytes: n.Bytes, Age: n.Age, Replay: topic.Replay(n.Replay)}
		if name == "*" {
			opts.Default = keep
		} else {
			opts.Namespaces[name] = keep
		}
	}
	if p.storage != nil {
		opts.Store, opts.Generation = p.storage.log, p.storage.generation()
		if p.storage.own != nil {
			opts.Idle = idleTopics
			opts.Unsealed = p.storage.engine.Adopted()
		}
	}
	return topic.New(opts)
}

// idleTopics is the time after which a topic that nobody uses leaves memory, where the process has
// its own event log: reading it back takes less than a millisecond. From NATS it takes longer, so
// there topics stay in memory up to --max-history.
const idleTopics = time.Minute
