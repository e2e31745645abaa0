package app

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"tidegate/client"
	"tidegate/internal/access"
	"tidegate/internal/backend"
	"tidegate/internal/config"
	"tidegate/task"
	"tidegate/task/checksum"
)

// newBackend makes the backend. It sends events to the gateway, and accepts callbacks with one of
// the secrets.
func (p *program) newBackend(gateway client.Options, secrets *access.Secrets, registry *prometheus.Registry) (*backend.Backend, error) {
	types, err := p.types()
	if err != nil {
		return nil, err
	}
	rights, err := p.accessOptions()
	if err != nil {
		return nil, fmt.Errorf("access tokens: %w", err)
	}
	var store task.Store // in memory
	if p.storage != nil {
		store = p.storage.tasks
	}
	return backend.New(backend.Options{
		Mode:            backend.Mode(p.cfg.Mode),
		CallbackSecrets: secrets,
		Access:          rights,
		Client:          gateway,
		Shared:          p.gateway != nil && p.storage != nil || len(p.cfg.NATSURLs) > 0,
		Replace:         p.cfg.Replace,
		Tasks: task.Options{
			Store:      store,
			Workers:    p.cfg.TaskWorkers,
			Timeout:    p.cfg.TaskTimeout,
			Retention:  p.cfg.TaskRetention,
			QueueLimit: p.cfg.TaskQueue,
			Log:        p.log.With("component", "tasks"),
		},
		Types:               types,
		VersionURL:          p.cfg.FrontendVersionURL,
		VersionPollInterval: p.cfg.FrontendVersionInterval,
		Log:                 p.log,
		Registerer:          registry,
	})
}

// types are the built-in kinds of task that are on.
func (p *program) types() ([]task.Type, error) {
	kinds := p.cfg.BuiltInTasks()
	p.log.Info("built-in kinds of task", "on", kinds)
	var types []task.Type
	for _, kind := range kinds {
		switch kind {
		case config.DemoTask:
			types = append(types, task.Demo())
		case config.FailingTask:
			types = append(types, task.Failing())
		case config.ChecksumTask:
			t, err := p.checksums()
			if err != nil {
				return nil, err
			}
			types = append(types, t)
		}
	}
	return types, nil
}

// checksums is the kind of task that reads files below --checksum-root.
func (p *program) checksums() (task.Type, error) {
	opts := checksum.Options{Roots: p.cfg.ChecksumRoots}
	if p.cfg.Data != "" {
		opts.Exclude = []string{p.cfg.Data} // it changes all the time, and has secrets
	}
	t, err := checksum.New(opts)
	if err != nil {
		return task.Type{}, fmt.Errorf("--checksum-root: %w", err)
	}
	return t, nil
}
