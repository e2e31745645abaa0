package app

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"tidegate/internal/config"
	"tidegate/internal/storage/eventlog"
	"tidegate/internal/storage/nats"
	"tidegate/internal/storage/segments"
	"tidegate/internal/topic"
	"tidegate/internal/transfer"
	"tidegate/internal/wire"
)

// eventLog stores the events of topics: on NATS if nodes share them, else in a log of this process.
type eventLog interface {
	topic.Store
	Run(ctx context.Context, hub topic.Follower) error
	Caught(ctx context.Context) error
	Health() []string // its problems; none if it works
}

var (
	_ eventLog = (*eventlog.Log)(nil)
	_ eventLog = (*segments.Log)(nil)
)

// eventBytes is the room in the log for an event besides its message.
const eventBytes = 64 << 10

// openOwnLog opens the log of this process, in the folder that the engine has locked. First it
// converts a log that an older version kept on NATS. After a power loss the log gets a new generation,
// which invalidates old ids. The engine records that only when the generation is on the disk, so an
// interrupted start does it again.
func (s *storage) openOwnLog(ctx, patient context.Context, c *config.Config, log *slog.Logger) (err error) {
	if err := transfer.TakeOver(patient, s.engine, log.With("component", "log")); err != nil {
		return err
	}
	maxBytes, err := s.engine.LogBytes(0)
	if err != nil {
		return err
	}
	s.own, err = segments.Open(ctx, segments.Options{
		Dir: s.engine.LogDir(), Power: c.Durability == config.PowerDurability, MaxBytes: maxBytes,
		MaxEvent: int(c.MaxBody) + eventBytes, Redraw: s.engine.NeedsGeneration(), Refuse: s.engine.Full, Log: log,
		MaxWaiting: c.MaxInflight / 4, MaxKeys: keysOf(c.MaxHistory),
	})
	if err != nil {
		return err
	}
	s.log = s.own
	if s.engine.NeedsGeneration() {
		return s.engine.GenerationDrawn()
	}
	return nil
}

// generation returns the first part of all event ids.
func (s *storage) generation() string {
	if s.own != nil {
		return s.own.Generation()
	}
	return s.engine.Generation()
}

// status returns the state of the engine, of the nodes and of the log of this process.
func (s *storage) status(ctx context.Context) wire.ClusterStatus {
	var nodes []string
	var err error
	var asked sync.WaitGroup
	asked.Go(func() { nodes, err = s.nodes.Alive(ctx) })
	status := s.engine.Status(ctx)
	asked.Wait()
	status.Nodes = nodes
	if err != nil {
		status.Health = append([]string{"the list of live nodes cannot be read: " + nats.Explain(err)}, status.Health...)
	}
	if s.own == nil {
		return status
	}
	stats := s.own.Stats()
	status.Generation = s.own.Generation()
	status.Streams = append([]wire.StreamStatus{{
		Name: "log", Messages: uint64(stats.Events), Bytes: uint64(stats.Bytes), MaxBytes: stats.MaxBytes,
		First: stats.First, Last: stats.Last, Replicas: 1,
		Segments: stats.Segments, Topics: stats.Topics, Holes: stats.Holes,
	}}, status.Streams...)
	return status
}

// warnings returns settings and states that work but are probably not intended.
func (s *storage) warnings() []string {
	warnings := s.engine.Warnings()
	if s.own == nil {
		return warnings
	}
	if holes := s.own.Stats().Holes; holes > 0 {
		warnings = append(warnings, fmt.Sprintf("the event log has %d holes because files are damaged: clients that lack these events receive a reset; tidegate storage check lists the places", holes))
	}
	return warnings
}
