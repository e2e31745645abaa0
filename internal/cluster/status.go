package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"tidegate/internal/wire"
)

// Status asks for everything there is to know, with a question for each stream.
// What is not answered within seconds is left out and is in the error: the rest is
// what an operator has then.
func (e *Engine) Status(ctx context.Context) (wire.ClusterStatus, error) {
	s := wire.ClusterStatus{
		Mode: "external", Server: e.nc.ConnectedServerName(), Version: e.nc.ConnectedServerVersion(),
		Cluster: e.nc.ConnectedClusterName(), URL: redacted([]string{e.nc.ConnectedUrl()}),
		Generation: e.Generation(), Streams: []wire.StreamStatus{}, Nodes: []string{}, Health: e.Health(),
	}
	if e.embedded != nil {
		s.Mode, s.URL, s.Listen, s.Durability = "embedded", "", e.ListenAddr(), string(e.opts.Durability)
		if disk, err := e.opts.space(e.opts.Dir); err == nil {
			s.Disk = &wire.DiskStatus{Free: disk.free, Total: disk.total}
		}
	}
	var unanswered []error
	for _, d := range e.definitions(NeedLog | NeedLedger | NeedNodes | NeedTasks) {
		info, err := e.info(ctx, d.config.Name)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
			continue
		case err != nil:
			unanswered = append(unanswered, fmt.Errorf("stream %s: %w", d.config.Name, err))
			continue
		case d.generation:
			s.Generation = marked(info.Config.Metadata, generationKey)
		}
		s.Streams = append(s.Streams, streamStatus(info))
	}
	var err error
	if s.Nodes, err = e.alive(ctx); err != nil {
		unanswered = append(unanswered, fmt.Errorf("bucket %s: %w", e.stream("NODES"), err))
	}
	return s, errors.Join(unanswered...)
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

func streamStatus(info *jetstream.StreamInfo) wire.StreamStatus {
	s := wire.StreamStatus{
		Name: info.Config.Name, Messages: info.State.Msgs, Bytes: info.State.Bytes, MaxBytes: info.Config.MaxBytes,
		First: info.State.FirstSeq, Last: info.State.LastSeq, Replicas: info.Config.Replicas,
	}
	if info.Cluster == nil {
		return s
	}
	s.Leader = info.Cluster.Leader
	for _, r := range info.Cluster.Replicas {
		s.Lag = max(s.Lag, r.Lag)
		if r.Offline {
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
