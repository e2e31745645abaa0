// Package metric is the one list of the program's metrics. Each entry has the name, the kind,
// the labels with their values, the help text and the condition for an alert. The other packages
// build their Prometheus metrics from it, and docs/reference/metrics.md is generated from it.
//
// Names follow Prometheus' conventions: base units as suffix, _total for counters.
// A counter exists from the start, with 0, for all label values that are known: an alert on
// increase() does not see the first event of a series that begins with it.
package metric

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// Kind is what Prometheus calls the type of a metric.
type Kind string

// The kinds that the program uses.
const (
	Counter   Kind = "counter"
	Gauge     Kind = "gauge"
	Histogram Kind = "histogram"
)

// Section is a part of the list: metrics that belong together on the page.
type Section struct {
	Title   string
	Where   string // which commands have these metrics, and when: a sentence
	Metrics []*Def
}

// Def is one metric. It is immutable, and safe for concurrent use.
type Def struct {
	Name   string
	Kind   Kind
	Help   string // one sentence that is understood without the others
	Labels []Label
	Alert  string // when somebody should look; "" for metrics that only explain

	series  [][]string // the label values that exist from the start
	buckets []float64
	desc    *prometheus.Desc
}

// Label is a label of a metric.
type Label struct {
	Name    string
	Meaning string
	Values  []string // that exist from the start
	Open    bool     // more values can follow: they are not known in advance
}

func section(title, where string) *Section { return &Section{Title: title, Where: where} }

func (s *Section) add(kind Kind, name, help string) *Def {
	d := &Def{Name: name, Kind: kind, Help: help, desc: prometheus.NewDesc(name, help, nil, nil)}
	s.Metrics = append(s.Metrics, d)
	return d
}

func (s *Section) counter(name, help string) *Def { return s.add(Counter, name, help) }

func (s *Section) gauge(name, help string) *Def { return s.add(Gauge, name, help) }

func (s *Section) histogram(name, help string, buckets []float64) *Def {
	d := s.add(Histogram, name, help)
	d.buckets = buckets
	return d
}

// by gives the metric a label.
func (d *Def) by(name, meaning string, values ...string) *Def {
	d.Labels = append(d.Labels, Label{Name: name, Meaning: meaning, Values: values})
	d.series = product(d.series, values)
	if slices.ContainsFunc(d.Labels, func(l Label) bool { return len(l.Values) == 0 }) {
		d.series = nil
	}
	return d.describe()
}

// byOpen gives the metric a label that can have more values than those known in advance.
func (d *Def) byOpen(name, meaning string, values ...string) *Def {
	d.by(name, meaning, values...)
	d.Labels[len(d.Labels)-1].Open = true
	return d
}

// only replaces the combinations of label values that exist from the start.
func (d *Def) only(series [][]string) *Def {
	d.series = series
	return d
}

func (d *Def) alert(when string) *Def {
	d.Alert = when
	return d
}

func (d *Def) describe() *Def {
	d.desc = prometheus.NewDesc(d.Name, d.Help, d.labelNames(), nil)
	return d
}

func (d *Def) labelNames() []string {
	names := make([]string, len(d.Labels))
	for i, l := range d.Labels {
		names[i] = l.Name
	}
	return names
}

// product adds each of the values to each of the series.
func product(series [][]string, values []string) [][]string {
	if len(series) == 0 {
		series = [][]string{nil}
	}
	var all [][]string
	for _, s := range series {
		for _, v := range values {
			all = append(all, append(slices.Clone(s), v))
		}
	}
	return all
}

// Series returns the combinations of label values that exist from the start, in the order of
// Labels. It is empty for a metric without labels and for one whose values are all open.
func (d *Def) Series() [][]string { return d.series }
