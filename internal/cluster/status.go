package cluster

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

// Status asks for everything there is to know, with a question for each stream, all
// at once. What is not answered within seconds is a line of Health, as is each server
// that is away; the rest is what an operator has then. Why this process is not ready
// is not among them, see [Engine.Health].
func (e *Engine) Status(ctx context.Context) wire.ClusterStatus {
	s := wire.ClusterStatus{
		Mode: "external", Server: e.nc.ConnectedServerName(), Version: e.nc.ConnectedServerVersion(),
		Cluster: e.nc.ConnectedClusterName(), URL: redacted([]string{e.nc.ConnectedUrl()}),
		Generation: e.Generation(), Streams: []wire.StreamStatus{}, Health: []string{},
	}
	if e.embedded != nil {
		s.Mode, s.URL, s.Listen, s.Durability = "embedded", "", e.ListenAddr(), string(e.opts.Durability)
		if disk, err := e.opts.space(e.opts.Dir); err == nil {
			s.Disk = &wire.DiskStatus{Free: disk.free, Total: disk.total}
		}
	}
	definitions := e.definitions(NeedLog | NeedLedger | NeedNodes | NeedTasks)
	infos, errs := make([]*jetstream.StreamInfo, len(definitions)), make([]error, len(definitions))
	var asked sync.WaitGroup
	for i, d := range definitions {
		asked.Go(func() { infos[i], errs[i] = e.info(ctx, d.config.Name) })
	}
	nodes, err := e.alive(ctx)
	asked.Wait()
	s.Nodes = nodes
	if err != nil {
		s.Health = append(s.Health, fmt.Sprintf("it is not known which nodes are alive: bucket %s: %s", e.stream("NODES"), why(err)))
	}
	for i, d := range definitions {
		switch {
		case errors.Is(errs[i], jetstream.ErrStreamNotFound) || errs[i] != nil && !e.knows(d.config.Name):
			continue
		case errs[i] != nil:
			s.Streams = append(s.Streams, wire.StreamStatus{Name: d.config.Name, Error: why(errs[i])})
			s.Health = append(s.Health, fmt.Sprintf("stream %s: %s", d.config.Name, why(errs[i])))
			continue
		case d.generation:
			s.Generation = marked(infos[i].Config.Metadata, generationKey)
		}
		stream := streamStatus(infos[i])
		if s.Streams = append(s.Streams, stream); stream.Error != "" {
			s.Health = append(s.Health, fmt.Sprintf("stream %s: %s", stream.Name, stream.Error))
		}
	}
	s.Health = append(s.Health, silentServers(s.Streams)...)
	return s
}

// knows tells whether a stream was there when this process began, or came with it.
// Not all deployments have all.
func (e *Engine) knows(stream string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.made[stream]
}

// why is an error of a question for people.
func why(err error) string {
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

// info asks for one stream.
func (e *Engine) info(ctx context.Context, name string) (*jetstream.StreamInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	s, err := e.js.Stream(ctx, name)
	if err != nil {
		return nil, err
	}
	return s.CachedInfo(), nil
}

// silentServer is after which silence towards a stream's leader, to whom it answers
// every second, a server counts as away.
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
		unseen := r.Active == 0 && !r.Current // since the leader is one
		if r.Offline || unseen || r.Active > silentServer {
			s.Offline = append(s.Offline, r.Name)
		}
	}
	return s
}

// alive lists the keys of bucket NODES, sorted. Without the bucket there are none.
func (e *Engine) alive(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	nodes := []string{}
	kv, err := e.js.KeyValue(ctx, e.stream("NODES"))
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return nodes, nil
	}
	if err != nil {
		return nodes, err
	}
	keys, err := kv.ListKeys(ctx)
	if err != nil {
		return nodes, err
	}
	for key := range keys.Keys() {
		if node, ok := strings.CutPrefix(key, leaseKeys); ok {
			nodes = append(nodes, node)
		}
	}
	slices.Sort(nodes)
	return nodes, ctx.Err() // the list ends early without a word
}
