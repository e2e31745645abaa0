package app

import (
	"os"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"tidegate/internal/logging"
	"tidegate/internal/metric"
)

// reloadable is a part that reads a file which can change while the program runs. A Reload that
// fails leaves the part as it was.
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

// add adds a part. Parts are reloaded in the order in which they are added.
func (r *reloads) add(name string, part reloadable) {
	r.parts = append(r.parts, namedReload{name, part})
}

// fail counts a part that could not be reloaded.
func (r *reloads) fail() { r.failed.Add(1) }

// reload reloads all parts. A part that fails stays as it was.
func (p *program) reload() {
	for _, r := range p.reloads.parts {
		if err := r.part.Reload(); err != nil {
			p.reloads.fail()
			p.log.Error("reload failed: the former one stays in use", "part", r.name, "cause", err)
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

// watchFiles adds the certificates to the parts that are reloaded, and the metrics of reloads and of
// the log.
func (p *program) watchFiles(output *logging.Output) {
	if p.storage != nil {
		p.certificates = append(p.certificates, p.storage.engine.Certificates()...)
	}
	registry := p.registry()
	registry.MustRegister(metric.Reloads.NewCounterFunc(p.reloads.done.Load), metric.ReloadFailures.NewCounterFunc(p.reloads.failed.Load))
	for _, source := range p.certificates {
		p.reloads.add("certificate of "+source.Name(), source)
		registry.MustRegister(metric.CertificateExpiry.NewGaugeFunc(prometheus.Labels{"setting": source.Name()},
			func() float64 { return float64(source.NotAfter().Unix()) }))
	}
	if output != nil {
		registry.MustRegister(metric.LogLinesDropped.NewCounterFunc(output.Dropped))
	}
}
