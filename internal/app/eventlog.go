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

// eventLog is where the events of topics are kept: on NATS where nodes may share them,
// else in a log of this process.
type eventLog interface {
	topic.Store
	Run(ctx context.Context, hub topic.Follower) error
	Caught(ctx context.Context) error
	Health() []string // why it cannot be relied on now; nothing if it can
}

var (
	_ eventLog = (*eventlog.Log)(nil)
	_ eventLog = (*segments.Log)(nil)
)

// eventBytes is what an event may take in the log besides its message's data.
const eventBytes = 64 << 10

// openOwnLog opens the log of this process, in the folder that the engine has locked.
// What the version before kept on NATS is taken over first. ids of before end only when
// the new generation is on the disk, so a start that is cut short does it again.
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

// generation is the first part of all event ids.
func (s *storage) generation() string {
	if s.own != nil {
		return s.own.Generation()
	}
	return s.engine.Generation()
}

// status is what the engine and the nodes know, and what it does not know of the log of this process.
func (s *storage) status(ctx context.Context) wire.ClusterStatus {
	var nodes []string
	var err error
	var asked sync.WaitGroup
	asked.Go(func() { nodes, err = s.nodes.Alive(ctx) })
	status := s.engine.Status(ctx)
	asked.Wait()
	status.Nodes = nodes
	if err != nil {
		status.Health = append([]string{"it is not known which nodes are alive: " + nats.Explain(err)}, status.Health...)
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

// warnings is what is well and yet may not be meant.
func (s *storage) warnings() []string {
	warnings := s.engine.Warnings()
	if s.own == nil {
		return warnings
	}
	if holes := s.own.Stats().Holes; holes > 0 {
		warnings = append(warnings, fmt.Sprintf("the event log has %d holes, for its files are damaged: clients that lack what is missing get a reset; tidegate storage check says what it was", holes))
	}
	return warnings
}
