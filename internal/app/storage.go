package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"tidegate/internal/config"
	"tidegate/internal/former"
	"tidegate/internal/gateway"
	"tidegate/internal/storage/eventlog"
	"tidegate/internal/storage/membership"
	"tidegate/internal/storage/nats"
	"tidegate/internal/storage/segments"
	"tidegate/internal/storage/sessions"
	"tidegate/internal/storage/taskstore"
	"tidegate/internal/topic"
)

// storage is the state that outlives a process or that it shares with other nodes. Parts that the
// command does not need are nil. Without configured storage, a *storage is nil.
type storage struct {
	engine   *nats.Engine
	log      eventLog
	shared   *eventlog.Log // log, if nodes share it on NATS; else nil
	own      *segments.Log // log, if this process has its own; else nil
	nodes    *membership.Nodes
	sessions *sessions.Store
	tasks    *taskstore.Store

	cutOff func(node string) // ends streams after a partition; the gateway sets it
}

// openPatience bounds the time to open storage. A million events take some seconds.
const openPatience = 2 * time.Minute

// openStorage opens the storage that the configuration names, if any.
func (p *program) openStorage(ctx context.Context) error {
	return whileStarting(p.notify, func() error { return p.openStores(ctx, p.command) })
}

// openStores opens the engine and the stores that the command needs.
func (p *program) openStores(ctx context.Context, command string) error {
	c := p.cfg
	external := len(c.NATSURLs) > 0
	if !external && c.Data == "" {
		return nil
	}
	patient := ctx
	ctx, cancel := context.WithTimeout(ctx, openPatience)
	defer cancel()
	opts, err := p.engineOptions(command)
	if err != nil {
		return err
	}
	engine, err := nats.Open(ctx, opts)
	if errors.Is(err, syscall.ENOSPC) && !external {
		return fmt.Errorf("storage: %w: free some space, or choose another folder with --data", err)
	}
	if _, ours := errors.AsType[*fs.PathError](err); ours && !external {
		return fmt.Errorf("storage: %w: choose another folder with --data, or give --data \"\" to keep everything in memory", err)
	}
	if err != nil {
		return fmt.Errorf("storage: %w", err)
	}
	s := &storage{engine: engine}
	p.storage = s
	alone := !external && c.NATSListen == ""
	if command != "backend" {
		err = s.openForGateway(ctx, membership.Options{
			Alone:  alone,
			CutOff: func(node string) { s.cutOff(node) },
		})
		switch {
		case err != nil:
		case alone:
			err = s.openOwnLog(ctx, patient, c, p.log)
		default:
			err = s.openSharedLog(ctx, c)
		}
	}
	if err == nil && command != "gateway" {
		s.tasks, err = taskstore.Open(ctx, engine, taskstore.Options{Alone: alone, MaxPending: c.TaskQueue})
	}
	if err != nil {
		return fmt.Errorf("storage: %w", err)
	}
	return nil
}

// openForGateway opens membership and the session store, by which nodes know each other's streams.
func (s *storage) openForGateway(ctx context.Context, opts membership.Options) (err error) {
	if s.nodes, err = membership.Open(ctx, s.engine, opts); err != nil {
		return err
	}
	s.sessions, err = sessions.Open(ctx, s.engine, s.nodes, sessions.Options{})
	return err
}

// openSharedLog opens the log on NATS. Events in flight to it can take a quarter of --max-inflight.
func (s *storage) openSharedLog(ctx context.Context, c *config.Config) (err error) {
	s.shared, err = eventlog.Open(ctx, s.engine, eventlog.Options{
		Node: s.nodes.Node, Others: s.nodes.Others, MaxInflight: c.MaxInflight / 4, ShortestLife: shortestLife(c.Namespaces),
	})
	if err == nil {
		s.log = s.shared
	}
	return err
}

// engineOptions translates the settings for the storage engine.
func (p *program) engineOptions(command string) (nats.Options, error) {
	c := p.cfg
	token, err := c.NATSSecret()
	if err != nil {
		return nats.Options{}, err
	}
	opts := nats.Options{
		URLs: natsServers(c.NATSURLs), Prefix: c.NATSPrefix, Command: command, Replicas: c.NATSReplicas,
		MaxBody: c.MaxBody, MaxEvents: largestHistory(c.Namespaces), EventsBytes: c.StoreSize,
		Durability: nats.Durability(c.Durability), Listen: c.NATSListen,
		Credentials: c.NATSCreds, NKey: c.NATSNKey, User: c.NATSUser, Password: c.NATSPassword, Token: token,
		TLSCA: c.NATSCA, TLSCert: c.NATSCert, TLSKey: c.NATSKey, Log: p.log,
	}
	if !c.Given("nats-prefix") {
		opts.Prefix = "" // the one that the data folder or cluster has
	}
	if len(c.NATSURLs) == 0 {
		opts.Dir = c.Data
		if !c.Given("data") {
			opts.Former = former.Folder
		}
	}
	return opts, nil
}

// run runs the background work of storage until ctx ends or a part fails. It stops the layers in
// order: sessions first, which still needs the others, and the engine last.
func (s *storage) run(ctx context.Context, g *gateway.Gateway, hub *topic.Hub) error {
	failed, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	layers := [][]func(context.Context) error{{s.engine.Run}}
	if g != nil {
		layers = [][]func(context.Context) error{
			{func(ctx context.Context) error { return s.sessions.Run(ctx, g.TakeOver) }},
			{func(ctx context.Context) error { return s.nodes.Run(ctx, g.AnswerPeer) }},
			{s.engine.Run, func(ctx context.Context) error { return s.log.Run(ctx, hub) }},
		}
	}
	stops := make([]func() error, len(layers))
	for i, parts := range layers {
		life, end := context.WithCancel(context.WithoutCancel(ctx))
		var running errgroup.Group
		for _, part := range parts {
			running.Go(func() error {
				err := part(life)
				if err != nil {
					fail(err)
				}
				return err
			})
		}
		stops[i] = func() error { end(); return running.Wait() }
	}
	<-failed.Done()
	var errs []error
	for _, stop := range stops {
		errs = append(errs, stop())
	}
	return errors.Join(errs...)
}

// caught waits until the topics of this node have all events of the log.
func (s *storage) caught(ctx context.Context) error {
	if s == nil || s.log == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, openPatience)
	defer cancel()
	if err := s.log.Caught(ctx); err != nil {
		return fmt.Errorf("storage: read the log: %w; %s (the log has details)", err, strings.Join(s.health(), "; "))
	}
	return nil
}

// close closes the log, and then the engine, which records a clean stop. Call it after run. It may be
// called more than once, and on nil.
func (s *storage) close(log *slog.Logger) {
	if s == nil {
		return
	}
	if s.own != nil {
		if err := s.own.Close(); err != nil {
			log.Error("close the event log", "err", err)
		}
	}
	s.engine.Close()
}

// health returns the problems of storage; none if it works.
func (s *storage) health() []string {
	reasons := s.engine.Health()
	if s.log != nil {
		reasons = append(reasons, s.log.Health()...)
	}
	return reasons
}

// largestHistory returns the most events that a topic of any namespace keeps.
func largestHistory(namespaces map[string]config.Namespace) int64 {
	most := 0
	for _, n := range namespaces {
		most = max(most, n.Events)
	}
	return int64(most)
}

// shortestLife returns the shortest age at which events expire, 0 if none does.
func shortestLife(namespaces map[string]config.Namespace) (shortest time.Duration) {
	for _, n := range namespaces {
		if n.Age > 0 && (shortest == 0 || n.Age < shortest) {
			shortest = n.Age
		}
	}
	return shortest
}

// natsServers splits the values of --nats-url into URLs.
func natsServers(given []string) (urls []string) {
	for _, list := range given {
		urls = append(urls, strings.Split(list, ",")...)
	}
	return urls
}
