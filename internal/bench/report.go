package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
)

// report is all that was measured.
type report struct {
	Machine  machine   `json:"machine"`
	Settings settings  `json:"settings"`
	Figures  []*figure `json:"figures"`
	// Faults lists what was not delivered correctly. If there are any, the
	// figures do not count.
	Faults []string `json:"faults"`
}

// machine is what the figures were measured on.
type machine struct {
	Go        string `json:"go"` // that bench was built with
	Kernel    string `json:"kernel"`
	Cores     int    `json:"cores"`
	OpenFiles int    `json:"open_files"` // that a process may have
}

// settings are the options that a figure depends on.
type settings struct {
	Gateway  string `json:"gateway"`
	Beside   string `json:"beside,omitempty"` // what it is compared with
	Protocol string `json:"protocol"`
	Runs     int    `json:"runs"`
	Streams  int    `json:"streams"`
	First    int    `json:"first"`
	Size     int    `json:"size_bytes"`
	Settle   string `json:"settle"`
	Events   int    `json:"events"`
	Burst    int    `json:"burst"`
	Senders  int    `json:"senders"`
	Leaves   int    `json:"leaves"`
}

// gatewayShort is the gateway without its flags.
func (s settings) gatewayShort() string {
	name, _, _ := strings.Cut(s.Gateway, " ")
	return name
}

// figure is one measured quantity.
type figure struct {
	Mode string `json:"mode"`
	Name string `json:"name"`
	Unit string `json:"unit"`
	series
	Beside *series `json:"beside,omitempty"` // of what the gateway is compared with
	Ratio  *series `json:"ratio,omitempty"`  // of the gateway's value to the other's, run by run
}

// series are the values of all runs. Where others are busy too, their median
// says more than their mean.
type series struct {
	Median float64   `json:"median"`
	Min    float64   `json:"min"`
	Max    float64   `json:"max"`
	Runs   []float64 `json:"runs"`
}

func (s *series) add(value float64) {
	s.Runs = append(s.Runs, value)
	s.Median, s.Min, s.Max = median(s.Runs), slices.Min(s.Runs), slices.Max(s.Runs)
}

func newReport(o *Options) *report {
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease") // "" elsewhere
	files, _ := fileLimit()
	return &report{
		Machine: machine{Go: runtime.Version(), Kernel: strings.TrimSpace(string(kernel)), Cores: runtime.NumCPU(), OpenFiles: files},
		Settings: settings{
			Gateway: strings.TrimSpace(o.gatewayName() + " " + o.GatewayArgs), Beside: o.besideName(), Protocol: o.Protocol,
			Runs: o.Runs, Streams: o.Streams, First: o.First, Size: o.Size, Settle: o.Settle.String(),
			Events: o.Events, Burst: o.Burst, Senders: o.Senders, Leaves: o.Leaves,
		},
		Faults: []string{},
	}
}

// add notes the value of one run, of the gateway or of the one beside it.
func (r *report) add(beside bool, mode, name, unit string, value float64) {
	f := r.find(mode, name)
	if f == nil {
		f = &figure{Mode: mode, Name: name, Unit: unit}
		r.Figures = append(r.Figures, f)
	}
	if !beside {
		f.series.add(value)
	} else {
		if f.Beside == nil {
			f.Beside = new(series)
		}
		f.Beside.add(value)
	}
	f.compare()
}

func (r *report) find(mode, name string) *figure {
	i := slices.IndexFunc(r.Figures, func(f *figure) bool { return f.Mode == mode && f.Name == name })
	if i < 0 {
		return nil
	}
	return r.Figures[i]
}

// compare divides the runs that both have. What is a load or a share of the
// machine has no ratio that says anything.
func (f *figure) compare() {
	if f.Beside == nil || slices.Contains(circumstances, f.Name) {
		return
	}
	f.Ratio = nil
	for i := range min(len(f.Runs), len(f.Beside.Runs)) {
		if f.Beside.Runs[i] <= 0 {
			continue
		}
		if f.Ratio == nil {
			f.Ratio = new(series)
		}
		f.Ratio.add(f.Runs[i] / f.Beside.Runs[i])
	}
}

// Figures that are of the machine and not of a gateway.
const (
	othersFigure = "CPU used by others"
	loadFigure   = "load average before"
)

var circumstances = []string{othersFigure, loadFigure}

// write prints the report, and draws its chart, as opts say.
func (r *report) write(opts *Options, w io.Writer) error {
	show := r.writeTable
	if opts.JSON {
		show = r.writeJSON
	}
	errs := []error{show(w)}
	if opts.SVG != "" {
		var chart bytes.Buffer
		r.draw(&chart)
		errs = append(errs, os.WriteFile(opts.SVG, chart.Bytes(), 0o644))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// writeJSON prints the report as one JSON object.
func (r *report) writeJSON(w io.Writer) error {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	return out.Encode(r)
}
