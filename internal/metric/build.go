package metric

import "github.com/prometheus/client_golang/prometheus"

// NewCounter makes the metric, which must be a counter without labels.
func (d *Def) NewCounter() prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: d.Name, Help: d.Help})
}

// NewCounterVec makes the metric, which must be a counter with labels. All series that are known
// in advance exist, with 0.
func (d *Def) NewCounterVec() *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: d.Name, Help: d.Help}, d.labelNames())
	for _, values := range d.series {
		v.WithLabelValues(values...)
	}
	return v
}

// NewCounterFunc makes the metric, which must be a counter without labels. Each scrape calls read.
func (d *Def) NewCounterFunc(read func() uint64) prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: d.Name, Help: d.Help},
		func() float64 { return float64(read()) })
}

// NewGauge makes the metric, which must be a gauge without labels.
func (d *Def) NewGauge() prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Name: d.Name, Help: d.Help})
}

// NewGaugeFunc makes the metric, which must be a gauge. Each scrape calls read. Labels have the
// same values at each scrape; nil for a metric without labels.
func (d *Def) NewGaugeFunc(labels prometheus.Labels, read func() float64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: d.Name, Help: d.Help, ConstLabels: labels}, read)
}

// NewHistogramVec makes the metric, which must be a histogram with labels. All series that are
// known in advance exist, without observations.
func (d *Def) NewHistogramVec() *prometheus.HistogramVec {
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: d.Name, Help: d.Help, Buckets: d.buckets}, d.labelNames())
	for _, values := range d.series {
		v.WithLabelValues(values...)
	}
	return v
}

// Desc describes the metric for a [prometheus.Collector] that makes its values at each scrape.
func (d *Def) Desc() *prometheus.Desc { return d.desc }

// Value is one series of a counter or a gauge at a scrape. The label values are in the order of
// d.Labels.
func (d *Def) Value(v float64, labels ...string) prometheus.Metric {
	kind := prometheus.GaugeValue
	if d.Kind == Counter {
		kind = prometheus.CounterValue
	}
	return prometheus.MustNewConstMetric(d.desc, kind, v, labels...)
}

// Bool is the value of a gauge that says yes or no.
func Bool(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
