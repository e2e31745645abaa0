package nats

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/wire"
)

// Status asks for the state of all streams at once, which takes seconds if servers are
// away. What is not answered, and each server that is away, is a line of Health. Why this
// process is not ready is not among them, see [Engine.Health].
func (e *Engine) Status(ctx context.Context) wire.ClusterStatus {
	s := wire.ClusterStatus{
		Mode: "external", Server: e.nc.ConnectedServerName(), Version: e.nc.ConnectedServerVersion(),
		Cluster: e.nc.ConnectedClusterName(), URL: redacted([]string{e.nc.ConnectedUrl()}),
		Generation: e.Generation(), Nodes: []string{}, Streams: []wire.StreamStatus{}, Health: []string{},
	}
	if e.embedded != nil {
		s.Mode, s.URL, s.Listen, s.Durability = "embedded", "", e.ListenAddr(), string(e.opts.Durability)
		if disk, err := e.opts.space(e.opts.Dir); err == nil {
			s.Disk = &wire.DiskStatus{Free: disk.free, Total: disk.total}
		}
	}
	definitions := e.definitions(NeedLog | NeedSessions | NeedNodes | NeedTasks)
	infos, errs := make([]*jetstream.StreamInfo, len(definitions)), make([]error, len(definitions))
	var asked sync.WaitGroup
	for i, d := range definitions {
		asked.Go(func() { infos[i], errs[i] = e.StreamInfo(ctx, d.config.Name) })
	}
	asked.Wait()
	for i, d := range definitions {
		switch {
		case errors.Is(errs[i], jetstream.ErrStreamNotFound) || errs[i] != nil && !e.knows(d.config.Name):
			continue
		case errs[i] != nil:
			s.Streams = append(s.Streams, wire.StreamStatus{Name: d.config.Name, Error: Explain(errs[i])})
			s.Health = append(s.Health, fmt.Sprintf("stream %s: %s", d.config.Name, Explain(errs[i])))
			continue
		case d.generation:
			s.Generation = Generation(infos[i])
		}
		stream := streamStatus(infos[i])
		if s.Streams = append(s.Streams, stream); stream.Error != "" {
			s.Health = append(s.Health, fmt.Sprintf("stream %s: %s", stream.Name, stream.Error))
		}
	}
	s.Health = append(s.Health, silentServers(s.Streams)...)
	return s
}

// knows reports whether this process has made or found a stream. Not all deployments have
// all streams.
func (e *Engine) knows(stream string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.made[stream]
}

// Explain says for people why a request was not answered.
func Explain(err error) string {
	for _, away := range []error{natsgo.ErrReconnectBufExceeded, natsgo.ErrDisconnected, natsgo.ErrConnectionClosed} {
		if errors.Is(err, away) {
			return "not connected to NATS"
		}
	}
	for _, silence := range []error{context.DeadlineExceeded, natsgo.ErrTimeout, natsgo.ErrNoResponders} {
		if errors.Is(err, silence) {
			return "no answer: it has no leader, or JetStream is away"
		}
	}
	return err.Error()
}

// silentServers says which servers are away, and which streams lack a copy.
func silentServers(streams []wire.StreamStatus) (lines []string) {
	lack := map[string][]string{}
	for _, s := range streams {
		for _, server := range s.Offline {
			lack[server] = append(lack[server], s.Name)
		}
	}
	for _, server := range slices.Sorted(maps.Keys(lack)) {
		lines = append(lines, fmt.Sprintf("server %s is away, which has a copy of %s", server, strings.Join(lack[server], ", ")))
	}
	return lines
}

// StreamInfo asks for one stream, by its whole name. The error is
// [jetstream.ErrStreamNotFound] if there is none.
func (e *Engine) StreamInfo(ctx context.Context, name string) (*jetstream.StreamInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	s, err := e.js.Stream(ctx, name)
	if err != nil {
		return nil, err
	}
	return s.CachedInfo(), nil
}

// silentServer is after what silence a server counts as away. It normally answers the
// leader of a stream every second.
const silentServer = 3 * time.Second

func streamStatus(info *jetstream.StreamInfo) wire.StreamStatus {
	s := wire.StreamStatus{
		Name: info.Config.Name, Messages: info.State.Msgs, Bytes: info.State.Bytes, MaxBytes: info.Config.MaxBytes,
		First: info.State.FirstSeq, Last: info.State.LastSeq, Replicas: info.Config.Replicas,
	}
	if info.Cluster == nil {
		return s
	}
	s.Leader = info.Cluster.Leader
	if s.Leader == "" {
		s.Error = "it has no leader"
	}
	for _, r := range info.Cluster.Replicas {
		s.Lag = max(s.Lag, r.Lag)
		// NATS takes a minute to call a server offline that was killed.
		unseen := r.Active == 0 && !r.Current // since this server leads
		if r.Offline || unseen || r.Active > silentServer {
			s.Offline = append(s.Offline, r.Name)
		}
	}
	return s
}
