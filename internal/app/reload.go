package app

import (
	"os"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"tidegate/internal/logging"
	"tidegate/internal/version"
)

// reloadable is a part that reads something from outside which may change while
// the program runs. A Reload that fails leaves it as it was.
type reloadable interface{ Reload() error }

// reloads are the parts of a program that SIGHUP reloads.
type reloads struct {
	parts  []namedReload // set once
	done   atomic.Uint64
	failed atomic.Uint64
}

type namedReload struct {
	name string
	part reloadable
}

// add has a part reloaded with the others, in the order in which they are added.
func (r *reloads) add(name string, part reloadable) {
	r.parts = append(r.parts, namedReload{name, part})
}

// fail counts something that could not be read anew.
func (r *reloads) fail() { r.failed.Add(1) }

// reload reads everything anew. What cannot be read stays as it was.
func (p *program) reload() {
	for _, r := range p.reloads.parts {
		if err := r.part.Reload(); err != nil {
			p.reloads.fail()
			p.log.Error("reload failed: the old one stays", "part", r.name, "cause", err)
			continue
		}
		p.reloads.done.Add(1)
		p.log.Info("reloaded", "part", r.name)
	}
}

// reloadOn reloads at each signal until stop is closed.
func (p *program) reloadOn(signals <-chan os.Signal, stop <-chan struct{}) {
	for {
		select {
		case <-signals:
			p.reload()
		case <-stop:
			return
		}
	}
}

// watch has certificates reloaded with the rest, and shows what reloads and the
// log have come to.
func (p *program) watch(output *logging.Output) {
	if p.storage != nil {
		p.certificates = append(p.certificates, p.storage.engine.Certificates()...)
	}
	registry := p.metrics
	if p.gateway != nil {
		registry = p.gateway.Registry()
	}
	counter := func(name, help string, read func() uint64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help},
			func() float64 { return float64(read()) })
	}
	registry.MustRegister(
		buildInfo(),
		counter("tidegate_reloads_total", "Parts that were read anew at a SIGHUP.", p.reloads.done.Load),
		counter("tidegate_reload_failures_total", "Parts that could not be, and stayed as they were.", p.reloads.failed.Load),
	)
	for _, source := range p.certificates {
		p.reloads.add("certificate of "+source.Name(), source)
		registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "tidegate_certificate_not_after_seconds", Help: "When a certificate in use ends, as Unix time.",
			ConstLabels: prometheus.Labels{"setting": source.Name()},
		}, func() float64 { return float64(source.NotAfter().Unix()) }))
	}
	if output != nil {
		registry.MustRegister(counter("tidegate_logging_lines_dropped_total",
			"Log lines that were dropped, because nobody took them.", output.Dropped))
	}
}

// buildInfo is always 1: its labels say which build this process runs.
func buildInfo() prometheus.Collector {
	build := version.Get()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "tidegate_build_info", Help: "The build of this process, in labels. The value is always 1.",
		ConstLabels: prometheus.Labels{"version": build.Version, "revision": build.Revision, "goversion": build.Go},
	})
	info.Set(1)
	return info
}
